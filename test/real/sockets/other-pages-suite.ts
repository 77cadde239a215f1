import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { drgnJson } from '../../support/drgn.js';
import { LAB, type LabKernel } from '../../support/lab.js';
import { type LedgerRowJson, ledgerOf } from '../../support/ledger.js';
import { type PageMemory, pageMemory, total } from './page-memory.js';

/** Compares the row that bounds unattributed memory with drgn's view of every struct page. */
export function otherPagesSuite(dump: string, kernel: LabKernel): void {
  describe(`every page of the machine: ${dump}`, () => {
    let memory: PageMemory;
    let row: LedgerRowJson | undefined;
    let numbers: readonly number[];

    beforeAll(() => {
      memory = pageMemory(dump, kernel, 'rest');
      row = ledgerOf(memory.answer).get('other-pages');
      numbers = (row?.message ?? '').match(/\d+/g)?.map(Number) ?? [];
    });

    test('the sum of its parts is the total', () => {
      const { pageSize } = memory;
      const [left, present, ...parts] = numbers;
      const [others, explained] = parts.slice(-2);
      expect((present ?? 0) * pageSize).toBeGreaterThan(400 << 20);
      expect(parts.slice(0, -1).reduce((sum, part) => sum + part, 0)).toBe(present);
      expect((explained ?? 0) + (left ?? 0)).toBe(others);
      expect(row).toMatchObject({ objects: left, bytes: (left ?? 0) * pageSize });
    });

    test('allocated pages without a counter match drgn, struct page by struct page', () => {
      const core = join(LAB, 'dumps', dump, 'elf.vmcore');
      const script = new URL('pages.py', import.meta.url);
      // A symbol table with functions only lacks the counter.
      const part = kernel === '6.1-arm64' ? 'withVmalloc' : 'others';
      expect(row?.message.includes('counters not found')).toBe(part === 'withVmalloc');
      const found = drgnJson<Record<typeof part, number>>(core, kernel, script, part);
      expect(numbers.at(-2)).toBe(found[part]);
    });

    test('pages in queues and rows are those that drgn finds allocated and unowned', () => {
      const { drgn, frames } = memory;
      expect(numbers.at(-1)).toBe(total(drgn.filter(([frame]) => frames.has(frame))));
    });
  });
}
