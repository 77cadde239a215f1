import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { memoryJson } from '../../../src/answers/memory/json.js';
import { type CategoryJson, type MemoryJson, memorySchema } from '../../../src/contracts/memory.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { drgnJson } from '../../support/drgn.js';
import { LAB, type LabKernel } from '../../support/lab.js';
import { expectTold, notTold } from './functions-only.js';

/** Categories that drgn counts in another way: the counts must be equal, to the page. */
const SAME = [
  'memory',
  'free-buddy',
  'free-cpu-lists',
  'slab-reclaimable',
  'slab-unreclaimable',
  'kernel-stacks',
  'percpu',
  'image',
  'memmap',
] as const;

/** Pages that CPUs have yet to add to an LRU list: at most the size of their batches. */
const BATCHES = 2 * 5 * 31;

/**
 * Compares the memory of a dump with drgn's own count of each category and the kernel's counters.
 */
export function categoriesSuite(dump: string, kernel: LabKernel): void {
  describe(`every page frame in one category: ${dump}`, () => {
    const core = join(LAB, 'dumps', dump, 'elf.vmcore');
    let answer: MemoryJson;
    let drgn: Record<string, number> & {
      readonly zones: readonly (readonly number[])[];
      readonly 'anonymous-of': Readonly<Record<string, number>>;
    };
    const lacks = notTold(dump);
    const categories = new Map<string, CategoryJson>();
    const frames = (name: string) => categories.get(name)?.frames ?? Number.NaN;

    beforeAll(() => {
      const opened = openNative({ files: [core] });
      try {
        answer = memorySchema.parse(memoryJson(accountMemory(opened)));
      } finally {
        opened.close();
      }
      const visit = (category: CategoryJson): void => {
        categories.set(category.category, category);
        category.children.forEach(visit);
      };
      visit(answer.memory);
      drgn = drgnJson(core, kernel, new URL('categories.py', import.meta.url));
    });

    test('only categories without symbols are incomplete, and no two facts contradict', () => {
      expectTold(answer, dump);
      for (const name of lacks)
        expect([name, categories.get(name)]).toMatchObject([name, { frames: 0, complete: false }]);
      expect(frames('unread')).toBe(0);
    });

    test('rows of one level sum to the row above, to the byte', () => {
      for (const { category, bytes, children } of categories.values()) {
        if (children.length === 0) continue;
        expect(
          children.reduce((sum, child) => sum + child.bytes, 0),
          category,
        ).toBe(bytes);
      }
      expect(answer.memory.bytes).toBe(frames('memory') * (answer.kernel?.pageSize ?? Number.NaN));
    });

    test.each(SAME)('%s equals drgn’s count', (name) => {
      expect(frames(name)).toBe(lacks.includes(name) ? 0 : drgn[name]);
    });

    test('vmalloc, modules and BPF match the vmap area tree', () => {
      expect(frames('vmalloc') + frames('modules') + frames('bpf')).toBe(drgn['in-vmalloc']);
    });

    test.each(['anonymous', 'shared', 'page-cache'])(
      '%s: pages of the LRU lists, and those that CPUs have yet to add',
      (name) => {
        expect(frames(name)).toBeGreaterThanOrEqual(drgn[name] ?? Number.NaN);
        expect(frames(name)).toBeLessThanOrEqual((drgn[name] ?? Number.NaN) + BATCHES);
      },
    );

    test('equals the kernel’s counter where one exists', () => {
      for (const name of ['free-buddy', 'percpu', 'shared', 'slab-reclaimable'])
        expect(categories.get(name)?.differenceBytes, name).toBe(lacks.includes(name) ? null : 0);
      // Stacks of exiting threads are no longer counted, and those of new threads are counted
      // before they are listed.
      const stacks = categories.get('kernel-stacks')?.differenceBytes ?? Number.NaN;
      const pageSize = answer.kernel?.pageSize ?? Number.NaN;
      expect(stacks).toBeLessThanOrEqual((drgn['ending-stacks'] ?? Number.NaN) * pageSize);
      expect(-stacks).toBeLessThanOrEqual((drgn['spare-stacks'] ?? Number.NaN) * pageSize);
      // The kernel's own page tables, and the top-level ones, are in no counter.
      expect(categories.get('page-tables')?.differenceBytes).toBeGreaterThan(0);
    });

    test('owners of anonymous memory match drgn’s page table walk', () => {
      const owners = categories.get('anonymous')?.owners ?? [];
      const bytesOf = (pages = 0) => pages * (answer.kernel?.pageSize ?? Number.NaN);
      for (const { name, pid, bytes } of owners) expect(bytes, name).toBe(bytesOf(drgn['anonymous-of'][pid ?? name]));
      // The ten largest, and one row for all that several processes map.
      const most = Object.values(drgn['anonymous-of']).sort((one, other) => other - one);
      expect(owners.map(({ bytes }) => bytes)).toEqual(most.slice(0, 10).map(bytesOf));
    });

    test('free blocks of each zone match its free lists, order by order', () => {
      expect(answer.zones.map(({ freeBlocks }) => freeBlocks)).toEqual(drgn.zones);
      const present = answer.zones.reduce((sum, { presentPages }) => sum + presentPages, 0);
      expect(present).toBe(frames('memory'));
      for (const { watermarks } of answer.zones)
        expect(watermarks?.low).toBeGreaterThanOrEqual(watermarks?.min ?? Number.NaN);
    });

    test('unattributed memory is under 0.5 % of a guest of 512 MiB, and all of it is described', () => {
      // Without symbols for per-CPU memory, pipes and rings, these are unattributed too.
      const most = lacks.length === 0 ? 0.005 : 0.008;
      expect(frames('unattributed')).toBeLessThan(most * frames('memory'));
      const sizes = answer.unattributed?.sizes ?? [];
      expect(sizes.reduce((sum, one) => sum + one.frames, 0)).toBe(frames('unattributed'));
    });
  });
}
