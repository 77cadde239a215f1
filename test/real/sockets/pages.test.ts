import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { accountAll } from '../../../src/account/sockets.js';
import { Tally } from '../../../src/account/tally.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { drgnJson } from '../../support/drgn.js';
import { LAB, LAB_KERNELS, type LabKernel } from '../../support/lab.js';

/** Allocations: the first page frame, and how many frames. */
type Allocations = readonly (readonly [frame: number, frames: number])[];

/** What drgn finds without walking a socket; see pages.py. */
interface Drgn {
  /** What skbs hold that the slabs have given out. */
  readonly skbs: Allocations;
  /** Allocated, and nobody accounts for it who is not the network. */
  readonly rest: Allocations;
}

const UNEXPLAINED = 0.01;

afterEach(() => {
  vi.restoreAllMocks();
});

/** The page frames that a census counts, in sockets' queues and in its rows besides. */
function explained(core: string) {
  const frames = new Map<number, number>();
  const page = vi.spyOn(Tally.prototype, 'page');
  const kernel = openNative({ files: [core] });
  try {
    const answer = accountAll(kernel);
    for (const [frame, order] of page.mock.calls) frames.set(frame, 2 ** (order ?? 0));
    return { frames, answer, pageSize: kernel.facts.pageSize };
  } finally {
    kernel.close();
  }
}

const total = (allocations: Allocations) => allocations.reduce((sum, [, count]) => sum + count, 0);

function look<Part extends keyof Drgn>(dump: string, kernel: LabKernel, part: Part) {
  const core = join(LAB, 'dumps', dump, 'elf.vmcore');
  const script = new URL('pages.py', import.meta.url);
  const drgn = drgnJson<Pick<Drgn, Part>>(core, kernel, script, part);
  return { ...explained(core), drgn: drgn[part] };
}

describe.each(LAB_KERNELS)('where the network’s page memory went: %s', (version) => {
  test('skbs hold no pages but those in queues and rows, and all others are of a row', () => {
    const { frames, answer, drgn, pageSize } = look(version, version, 'skbs');
    expect(total(drgn)).toBeGreaterThan(500);
    const missed = drgn.filter(([frame]) => !frames.has(frame));
    expect(total(missed) / total(drgn)).toBeLessThanOrEqual(UNEXPLAINED);

    const held = new Map(drgn);
    const others = [...frames].filter(([frame]) => !held.has(frame));
    const rows = answer.unexplained
      .filter(({ what }) => /^(page-fragments|page-pools|receive-rings )/.test(what))
      .reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
    expect(total(others) * pageSize).toBe(rows);
  });
});

test('99 % of the pages that 200,000 skbs add to those that nobody else accounts for are explained', () => {
  // Of one kernel; what it takes while it boots is the same, and none of the network's.
  const [small, large] = (['6.1', '6.1-large'] as const).map((dump) => {
    const { frames, drgn } = look(dump, '6.1', 'rest');
    return { all: total(drgn), explained: total(drgn.filter(([frame]) => frames.has(frame))) };
  });
  if (!small || !large) throw new Error('two dumps are looked at');
  const added = large.all - small.all;
  expect(added).toBeGreaterThan(50_000);
  const share = (large.explained - small.explained) / added;
  expect(share).toBeGreaterThanOrEqual(1 - UNEXPLAINED);
  expect(share).toBeLessThanOrEqual(1 + UNEXPLAINED);
});
