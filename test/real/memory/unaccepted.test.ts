import { expect, test } from 'vitest';
import { kernelCounts } from '../../../src/account/memory/counters.js';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { memoryNodes, ZoneCounters } from '../../../src/walk/pages/vm-counters.js';
import { dumpKernel } from '../../support/opened-kernel.js';

// No guest of the lab is confidential: the counters are patched.
const { kernel, addressOf, add, damagedBy } = dumpKernel('newest');

test('unaccepted memory of a confidential guest is free, and not in the buddy allocator', () => {
  const counters = new ZoneCounters(kernel);
  const [zone] = counters.of(memoryNodes(kernel)[0] ?? 0n);
  const stat = addressOf(zone?.address ?? 0n, 'zone.vm_stat');
  // Like __free_unaccepted: in both counters.
  const damages = ['NR_FREE_PAGES', 'NR_UNACCEPTED'].map((name) =>
    add(stat + 8n * (kernel.enumerators('zone_stat_item')?.get(name) ?? -1n), 8, 1024n),
  );
  const guest = damagedBy(...damages);
  const [before, after] = [kernelCounts(kernel), kernelCounts(guest)];
  expect(after.get('free-unaccepted')).toBe((before.get('free-unaccepted') ?? 0) + 1024);
  expect(after.get('all-free')).toBe((before.get('all-free') ?? 0) + 1024);
  expect(after.get('free-buddy')).toBe(before.get('free-buddy'));
  expect(accountMemory(guest).warnings).toEqual(accountMemory(kernel).warnings);
});
