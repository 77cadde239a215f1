import { afterAll, expect, test } from 'vitest';
import { kernelCounts } from '../../../src/account/memory/counters.js';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { memoryNodes, ZoneCounters } from '../../../src/walk/pages/vm-counters.js';
import { damagedKernel } from '../../support/damaged-kernel.js';
import { labDump } from '../../support/lab.js';
import { littleEndian } from '../../support/little-endian.js';

// No guest of the lab is confidential: the counters are patched.
const kernel = openNative({ files: [labDump('newest').elf] });
afterAll(() => kernel.close());

test('unaccepted memory of a confidential guest is free, and not in the buddy allocator', () => {
  const counters = new ZoneCounters(kernel);
  const [zone] = counters.of(memoryNodes(kernel)[0] ?? 0n);
  const stat = kernel.struct('zone')?.member('vm_stat')?.offset ?? Number.NaN;
  // Like __free_unaccepted: in both counters.
  const patches = ['NR_FREE_PAGES', 'NR_UNACCEPTED'].map((name) => {
    const item = kernel.enumerators('zone_stat_item')?.get(name) ?? -1n;
    const address = (zone?.address ?? 0n) + BigInt(stat) + 8n * item;
    const pages = kernel.read(address, 8).getBigInt64(0, true) + 1024n;
    return { address, bytes: littleEndian(BigInt.asUintN(64, pages), 8) };
  });
  const guest = damagedKernel(kernel, { patches, denials: [] });
  const [before, after] = [kernelCounts(kernel), kernelCounts(guest)];
  expect(after.get('free-unaccepted')).toBe((before.get('free-unaccepted') ?? 0) + 1024);
  expect(after.get('all-free')).toBe((before.get('all-free') ?? 0) + 1024);
  expect(after.get('free-buddy')).toBe(before.get('free-buddy'));
  expect(accountMemory(guest).warnings).toEqual(accountMemory(kernel).warnings);
});
