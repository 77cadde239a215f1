import { expect, test } from 'vitest';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { memoryNodes } from '../../../src/walk/pages/vm-counters.js';
import { dumpKernel } from '../../support/opened-kernel.js';

const { kernel, addressOf, add, damagedBy } = dumpKernel('6.1');

/** Warnings for a list counter with a deviation. */
function warningsFor(pages: bigint) {
  const item = kernel.enumerators('node_stat_item')?.get('NR_INACTIVE_FILE') ?? -1n;
  const counter = addressOf(memoryNodes(kernel)[0] ?? 0n, 'pglist_data.vm_stat') + 8n * item;
  const damaged = damagedBy(add(counter, 8, pages));
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
