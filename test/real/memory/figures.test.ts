import { describe, expect, test } from 'vitest';
import { type Category, leaves } from '../../../src/account/memory/tree.js';
import { memorySchema } from '../../../src/contracts/memory.js';
import { procsSchema } from '../../../src/contracts/procs.js';
import { drgnJson } from '../../support/drgn.js';
import { kdumpMem } from '../../support/in-process.js';
import { labDump, ofRun } from '../../support/lab.js';
import { asked } from './figure-lines.js';

describe.each(ofRun(['5.10', '6.1', '6.12', 'newest'] as const))('a dump of %s', (kernel) => {
  const { elf } = labDump(kernel);

  test('has the lines of /proc/meminfo that drgn computes, and rows that sum to them', async () => {
    const lines = await asked('meminfo', '--vmcore', elf);
    const drgn = drgnJson<Record<string, number>>(elf, kernel, new URL('meminfo.py', import.meta.url));
    expect(Object.keys(drgn).length).toBeGreaterThanOrEqual(7);
    for (const [name, bytes] of Object.entries(drgn)) expect.soft(lines.get(name)?.kernelBytes, name).toBe(bytes);
    for (const { name, bound, bytes, kernelBytes } of lines.values()) {
      if (bytes === null || kernelBytes === null) continue;
      if (bound === 'same' && name !== 'KernelStack') expect.soft(bytes, name).toBe(kernelBytes);
      if (bound === 'at-most') expect.soft(kernelBytes, name).toBeLessThanOrEqual(bytes);
      if (bound === 'at-least') expect.soft(kernelBytes, name).toBeGreaterThanOrEqual(bytes);
    }
    const { stdout } = await kdumpMem('memory', '--as', 'free', '--vmcore', elf);
    expect(stdout).toMatch(/^FREE +FROM ROWS +KERNEL COUNTER +DIFFERENCE +ROWS$/m);
    expect(stdout).toMatch(/^Only in the first line: .*network: socket queues/m);
  });

  test('has the same free memory in `memory` and `procs`', async () => {
    const [memory, procs] = await Promise.all(
      ['memory', 'procs'].map(async (name) => JSON.parse((await kdumpMem(name, '--vmcore', elf, '--json')).stdout)),
    );
    const { memory: tree } = memorySchema.parse(memory);
    const sum = (is: (category: string) => boolean) =>
      leaves(tree as Category).reduce((all, { category, bytes }) => all + (is(category) ? bytes : 0), 0);
    expect(procsSchema.parse(procs).machine).toEqual({
      totalBytes: tree.bytes,
      availableBytes: null,
      freeBytes: sum((category) => category.startsWith('free-')),
      reclaimableBytes: sum((category) => ['page-cache', 'slab-reclaimable'].includes(category)),
    });
  });
});
