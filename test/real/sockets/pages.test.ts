import { describe, expect, test } from 'vitest';
import { LAB_KERNELS } from '../../support/lab.js';
import { pageMemory, total } from './page-memory.js';

describe.each(LAB_KERNELS)('where the network’s page memory went: %s', (version) => {
  test('skbs hold no pages but those in queues and rows, and all others are of a row', () => {
    const { frames, answer, drgn, pageSize } = pageMemory(version, version, 'skbs');
    expect(total(drgn)).toBeGreaterThan(500);
    expect(drgn.filter(([frame]) => !frames.has(frame))).toEqual([]);

    const held = new Map(drgn);
    const others = [...frames].filter(([frame]) => !held.has(frame));
    const rows = answer.unexplained
      .filter(({ what }) => /^(page-fragments|page-pools|receive-rings )/.test(what))
      .reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
    expect(total(others) * pageSize).toBe(rows);
  });
});
