import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { drgnJson } from '../../support/drgn.js';
import { LAB, LAB_KERNELS } from '../../support/lab.js';
import { pageMemory, total } from './page-memory.js';

describe.each(LAB_KERNELS)('where every page of the machine is: %s', (version) => {
  const { frames, answer, drgn } = pageMemory(version, version, 'rest');
  const row = answer.unexplained.find(({ what }) => what === 'other-pages');
  const numbers = (row?.message ?? '').match(/\d+/g)?.map(Number) ?? [];

  test('the sum of its parts is all of it', () => {
    const [present, ...parts] = numbers;
    const [others, explained, left] = parts.slice(-3);
    expect(present).toBeGreaterThan(100_000);
    expect(parts.slice(0, -2).reduce((sum, part) => sum + part, 0)).toBe(present);
    expect((explained ?? 0) + (left ?? 0)).toBe(others);
    expect(row).toMatchObject({ objects: left, bytes: (left ?? 0) * 4096 });
  });

  test('what is given out to nobody that is counted is what drgn finds, struct page by struct page', () => {
    const core = join(LAB, 'dumps', version, 'elf.vmcore');
    const script = new URL('pages.py', import.meta.url);
    const found = drgnJson<{ others: number }>(core, version, script, 'others');
    expect(numbers.at(-3)).toBe(found.others);
  });

  test('of them those are in queues and rows that drgn finds allocated and nobody’s', () => {
    expect(numbers.at(-2)).toBe(total(drgn.filter(([frame]) => frames.has(frame))));
  });
});
