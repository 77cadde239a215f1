import { expect, test } from 'vitest';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { type Category, leaves } from '../../../src/account/memory/tree.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { memoryNodes } from '../../../src/walk/pages/vm-counters.js';
import { dumpKernel } from '../../support/opened-kernel.js';

// Guests have no graphics card: the counters are patched.
const { kernel, addressOf, set, damagedBy } = dumpKernel('newest');

const PAGES = { NR_GPU_ACTIVE: 192n, NR_GPU_RECLAIM: 64n };

const categories = (of: Kernel) => {
  const { memory, complete } = accountMemory(of);
  const found = new Map<Category['category'], Category>(leaves(memory).map((one) => [one.category, one]));
  return { complete, gpu: found.get('gpu'), unattributed: found.get('unattributed') };
};

test('a machine without graphics has no graphics memory', () => {
  const { complete, gpu } = categories(kernel);
  expect(complete).toBe(true);
  expect(gpu).toMatchObject({ bytes: 0, counterBytes: 0, complete: true });
});

test('reports the kernel’s counters of graphics memory, and the category that includes it', () => {
  const [node = 0n] = memoryNodes(kernel);
  const stat = addressOf(node, 'pglist_data.vm_stat');
  const patches = Object.entries(PAGES).map(([item, pages]) =>
    set(stat + 8n * (kernel.enumerators('node_stat_item')?.get(item) ?? -1n), 8, pages),
  );
  const { complete, gpu, unattributed } = categories(damagedBy(...patches));
  expect(complete).toBe(false);
  expect(gpu).toMatchObject({
    bytes: 0,
    counterBytes: 2 ** 20,
    complete: false,
    why: 'the kernel counts 256 pages of graphics drivers, but does not mark them; counted as unattributed',
  });
  expect(unattributed).toMatchObject({ complete: false });
});
