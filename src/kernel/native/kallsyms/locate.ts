import { KernelError } from '../../error.js';
import type { Vmcoreinfo } from '../vmcoreinfo.js';
import { behind, type KallsymsPlaces, MOST_SYMBOLS } from './kallsyms.js';
import { TOKEN_INDEX_BYTES } from './tokens.js';

type Memory = { read(address: bigint, length: number): DataView };

/**
 * Where VMCOREINFO says that the tables lie (since 6.0, kernel/crash_core.c or vmcore_info.c), or
 * undefined when it doesn't.
 *
 * @throws {ReadError} when what it names cannot be read
 */
export function locateKallsyms(memory: Memory, info: Vmcoreinfo): KallsymsPlaces | undefined {
  const names = info.symbol('kallsyms_names');
  const tokenTable = info.symbol('kallsyms_token_table');
  const tokenIndex = info.symbol('kallsyms_token_index');
  const countAt = info.symbol('kallsyms_num_syms');
  if (
    names === undefined ||
    tokenTable === undefined ||
    tokenIndex === undefined ||
    countAt === undefined
  )
    return undefined;
  const count = memory.read(countAt, 4).getUint32(0, true);
  if (count < 1 || count > MOST_SYMBOLS)
    throw new KernelError('no-symbols', `kallsyms_num_syms is ${count}`);

  const addresses: KallsymsPlaces['addresses'][number][] = [];
  const orders = behind(tokenIndex + BigInt(TOKEN_INDEX_BYTES));
  const offsets = info.symbol('kallsyms_offsets');
  const baseAt = info.symbol('kallsyms_relative_base');
  if (offsets !== undefined) {
    orders.push(...behind(offsets + BigInt(count * 4)));
    if (baseAt !== undefined) {
      const base = memory.read(baseAt, 8).getBigUint64(0, true);
      addresses.push(
        { address: offsets, encoding: 'relative-percpu', base },
        { address: offsets, encoding: 'relative', base },
      );
      orders.push(...behind(baseAt + 8n));
    }
    addresses.push({ address: offsets, encoding: 'place', base: offsets });
  }
  const absolute = info.symbol('kallsyms_addresses');
  if (absolute !== undefined) addresses.push({ address: absolute, encoding: 'absolute', base: 0n });
  return { count, names, tokenTable, tokenIndex, addresses, orders };
}
