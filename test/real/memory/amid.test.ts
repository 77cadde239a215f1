import { afterAll, expect, test } from 'vitest';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { memoryNodes } from '../../../src/walk/pages/vm-counters.js';
import { damagedKernel } from '../../support/damaged-kernel.js';
import { labDump } from '../../support/lab.js';
import { littleEndian } from '../../support/little-endian.js';

const kernel = openNative({ files: [labDump('6.1').elf] });
afterAll(() => kernel.close());

/** Warnings for a list counter with a deviation. */
function warningsFor(pages: bigint) {
  const stat = kernel.struct('pglist_data')?.member('vm_stat')?.offset ?? Number.NaN;
  const item = kernel.enumerators('node_stat_item')?.get('NR_INACTIVE_FILE') ?? -1n;
  const address = (memoryNodes(kernel)[0] ?? 0n) + BigInt(stat) + 8n * item;
  const bytes = littleEndian(kernel.read(address, 8).getBigUint64(0, true) + pages, 8);
  const damaged = damagedKernel(kernel, { patches: [{ address, bytes }], denials: [] });
  const { warnings, complete } = accountMemory(damaged);
  expect(complete).toBe(false);
  return warnings.map(({ code, message }) => [code, message.replaceAll(/\d+/g, 'N')]);
}

const LISTS = 'the kernel counts N pages of the LRU lists, but N were found';

test('pages that CPUs removed from their lists but did not count yet may be no damage', () => {
  // SWAP_CLUSTER_MAX: isolate_lru_folios counts that many at the end.
  const amid = [['torn-list', `${LISTS}; one is wrong, or a CPU stopped during an update`]];
  expect(warningsFor(32n)).toEqual(amid);
  expect(warningsFor(-1n)).toEqual(amid);
});

test('a larger deviation is damage', () => {
  expect(warningsFor(4096n)).toEqual([['corrupt', LISTS]]);
});
