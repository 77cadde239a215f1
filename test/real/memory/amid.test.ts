import { afterAll, expect, test } from 'vitest';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { memoryNodes } from '../../../src/walk/pages/vm-counters.js';
import { damagedKernel } from '../../support/damaged-kernel.js';
import { labDump } from '../../support/lab.js';
import { littleEndian } from '../../support/little-endian.js';

const kernel = openNative({ files: [labDump('6.1').elf] });
afterAll(() => kernel.close());

/** What is warned of where a counter of the lists is off. */
function told(pages: bigint) {
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

test('pages that CPUs took off their lists, and had not counted yet, are no damage for sure', () => {
  // SWAP_CLUSTER_MAX: isolate_lru_folios counts so many at the end.
  const amid = [['torn-list', `${LISTS}; one is wrong, or a CPU stopped during an update`]];
  expect(told(32n)).toEqual(amid);
  expect(told(-1n)).toEqual(amid);
});

test('more of them are', () => {
  expect(told(4096n)).toEqual([['corrupt', LISTS]]);
});
