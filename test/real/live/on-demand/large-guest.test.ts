import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { pageMemory, total } from '../../sockets/page-memory.js';

const LAB_SCRIPT = fileURLToPath(new URL('../../../../scripts/lab', import.meta.url));

beforeAll(() => {
  execFileSync(LAB_SCRIPT, ['dump', '6.1-large'], { stdio: 'inherit' });
});

test('attributes 99 % of the page growth caused by 200,000 skbs', () => {
  // Same kernel: its boot allocates the same, and nothing for the network.
  const [small, large] = (['6.1', '6.1-large'] as const).map((dump) => {
    const { frames, drgn } = pageMemory(dump, '6.1', 'rest');
    return { all: total(drgn), explained: total(drgn.filter(([frame]) => frames.has(frame))) };
  });
  if (!small || !large) throw new Error('two dumps are looked at');
  const added = large.all - small.all;
  expect(added).toBeGreaterThan(50_000);
  const share = (large.explained - small.explained) / added;
  expect(share).toBeGreaterThanOrEqual(0.99);
  expect(share).toBeLessThanOrEqual(1.01);
});
