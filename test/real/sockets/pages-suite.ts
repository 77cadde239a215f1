import { describe, expect, test } from 'vitest';
import type { LabKernel } from '../../support/lab.js';
import { ledgerOf } from '../../support/ledger.js';
import { pageMemory, total } from './page-memory.js';

/** A census of a lab's dump, beside what drgn says of every skb that the slabs have given out. */
export function networkPagesSuite(dump: string, kernel: LabKernel): void {
  describe(`where the network’s page memory went: ${dump}`, () => {
    test('skbs hold no pages but those in queues and rows, and all others are of a row', () => {
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
