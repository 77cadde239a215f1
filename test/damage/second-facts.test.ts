import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { accountAll } from '../../src/account/sockets.js';
import { openNative } from '../../src/kernel/native/open.js';
import { protocols } from '../../src/walk/sockets/protocols.js';
import { damagedKernel, type Patch } from '../support/damaged-kernel.js';
import { ledgerOf } from '../support/ledger.js';
import { littleEndian } from '../support/little-endian.js';

const kernel = openNative({
  files: [fileURLToPath(new URL('../../fixtures/dumps/6.1.vmcore', import.meta.url))],
});
afterAll(() => kernel.close());
const { sockets } = accountAll(kernel);

function offsetOf(type: string, path: string): bigint {
  const member = kernel.struct(type)?.member(path);
  if (!member) throw new Error(`no ${type}.${path}`);
  return BigInt(member.offset);
}

const pointer = (at: bigint) => kernel.read(at, 8).getBigUint64(0, true);
const word = (address: bigint, value: bigint, bytes = 8): Patch => ({
  address,
  bytes: littleEndian(value, bytes),
});
const variable = (name: string) => kernel.symbol(name) ?? 0n;

/** Of a listener with connections that wait: the places of `request_sock.sk`. */
const waiting = (() => {
  const links = offsetOf('request_sock', 'dl_next');
  const head = offsetOf('inet_connection_sock', 'icsk_accept_queue.rskq_accept_head');
  const inet = sockets.find(
    ({ socket, acceptedFrom }) => acceptedFrom !== undefined && socket.family === 'AF_INET',
  );
  const places: bigint[] = [];
  for (let at = pointer((inet?.acceptedFrom ?? 0n) + head); at !== 0n; at = pointer(at + links))
    places.push(at + offsetOf('request_sock', 'sk'));
  return places;
})();

const named = (name: string) => {
  const found = protocols(kernel).find((protocol) => protocol.name === name);
  if (!found) throw new Error(`no protocol ${name}`);
  return found;
};

const held = (family: string) => {
  const found = sockets.find(
    ({ socket, holders }) =>
      holders.length > 0 && socket.family === family && socket.local !== null,
  );
  return found?.socket.sock ?? 0n;
};

test.each<[string, () => Patch, string]>([
  [
    'a CPU that fell out of the mask',
    () => word(variable('__cpu_possible_mask'), 1n),
    '__cpu_possible_mask ends at 0, of 2 CPUs',
  ],
  [
    'a CPU before the last that fell out of it',
    () => word(variable('__cpu_possible_mask'), 2n),
    'CPU 0 is online and not in __cpu_possible_mask',
  ],
  ['a connection that waits and is none', () => word(waiting[0]!, 0n), 'names a connection twice'],
  [
    'a connection that waits twice',
    () => word(waiting[0]!, pointer(waiting[1]!)),
    'names a connection twice',
  ],
  [
    'a protocol without its cache',
    () => word(named('TCP').address + offsetOf('proto', 'slab'), 0n),
    'the protocol TCP has no slab cache',
  ],
  [
    'a protocol with the cache of another',
    () => word(named('TCP').address + offsetOf('proto', 'slab'), named('UDP').cache),
    'open TCP sockets lies in the slab cache of TCP',
  ],
  [
    'an address of a unix socket that is too short for one',
    () =>
      word(
        pointer(held('AF_UNIX') + offsetOf('unix_sock', 'addr')) + offsetOf('unix_address', 'len'),
        0n,
        4,
      ),
    'a unix address of 0 bytes',
  ],
  [
    'an address of a unix socket that is longer than any',
    () =>
      word(
        pointer(held('AF_UNIX') + offsetOf('unix_sock', 'addr')) + offsetOf('unix_address', 'len'),
        300n,
        4,
      ),
    'a unix address of 300 bytes',
  ],
  [
    'a sock that lost the way to its socket',
    () => word(held('AF_INET') + offsetOf('sock', 'sk_socket'), 0n),
    'names no socket',
  ],
])('%s is told', (_, damage, message) => {
  const answer = accountAll(damagedKernel(kernel, { patches: [damage()], denials: [] }));
  const said = [...answer.warnings, ...ledgerOf(answer).values()]
    .map((one) => one.message)
    .join('\n');
  expect(said).toContain(message);
});
