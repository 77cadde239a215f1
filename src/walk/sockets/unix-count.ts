import type { Kernel } from '../../kernel/kernel.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';
import type { Warnings } from '../warnings.js';

const AF_UNIX = 1;

/**
 * Holds the unix socks that were found against `unix_nr_socks`, which counts them from the moment one is
 * asked for until it is freed (unix_create1() and unix_sock_destructor() in net/unix/af_unix.c). Their
 * slab cache is one that the allocator merges with others, so that a blank slot tells nothing.
 *
 * @param socks all that were found, of any family
 * @param leaving unix socks without references whose messages still wait somewhere
 */
export function checkUnixCount(
  kernel: Kernel,
  socks: Iterable<bigint>,
  leaving: number,
  warnings: Warnings,
): void {
  const counter = kernel.symbol('unix_nr_socks');
  const counted =
    counter === undefined
      ? undefined
      : readOrNot(() => kernel.read(counter, 8).getBigInt64(0, true));
  if (counted === undefined) return;
  const common = new StructReader(kernel, 'sock_common', ['skc_family']);
  let found = leaving;
  for (const sock of socks)
    if (readOrNot(() => common.read(sock).number('skc_family')) === AF_UNIX) found++;
  if (counted === BigInt(found)) return;
  const message = `the kernel counts ${counted} unix sockets, and ${found} were found`;
  warnings.add('corrupt', message);
}
