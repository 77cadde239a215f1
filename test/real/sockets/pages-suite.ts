import { describe, expect, test } from 'vitest';
import type { LabKernel } from '../../support/lab.js';
import { ledgerOf } from '../../support/ledger.js';
import { pageMemory, total } from './page-memory.js';

/** Compares a census of a lab dump with drgn's view of every allocated skb. */
export function networkPagesSuite(dump: string, kernel: LabKernel): void {
  describe(`page memory of the network: ${dump}`, () => {
    test('skbs hold no pages outside queues and rows, and all others belong to a row', () => {
      const { frames, answer, drgn, pageSize } = pageMemory(dump, kernel, 'skbs');
      expect(total(drgn)).toBeGreaterThan(pageSize > 4096 ? 200 : 500);
      expect(drgn.filter(([frame]) => !frames.has(frame))).toEqual([]);

      const held = new Map(drgn);
      const others = [...frames].filter(([frame]) => !held.has(frame));
      const rows = [...ledgerOf(answer).values()]
        .filter(({ what }) => /^(page-fragments|page-pools|receive-rings )/.test(what))
        .reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
      expect(total(others) * pageSize).toBe(rows);
    });
  });
}
