import { describe, expect, test } from 'vitest';
import type { Areas } from '../../../src/account/memory/areas.js';
import { FrameLedger } from '../../../src/account/memory/frame-ledger.js';
import { accountSites } from '../../../src/account/memory/sites.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { FrameMap } from '../../../src/walk/memory/page-array.js';
import { KIND } from '../../../src/walk/memory/page-kinds.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { DEPOTS, madeDepot } from '../../walk/allocations/depots.js';
import { FIRST, memoryOf, OWNERS } from '../../walk/allocations/owners.js';

const STACK = [0x1010n, 0x2020n, 0x3030n];
const depot = madeDepot(DEPOTS['6.12']!, STACK, 3);

/** Symbols of functions, of which the second belongs to a module. */
const symbolAt: NonNullable<Kernel['symbolAt']> = (address) => ({
  name: `f${address >> 12n}`,
  offset: Number(address % 0x1000n),
  ...(address >> 12n === 2n ? { module: 'mod' } : {}),
});

type Words = Parameters<typeof memoryOf>[1];

/** Frames 64 to 127: anonymous, except the last, which is free. */
function sitesOf(words: Words = {}, changes: Partial<Pick<Kernel, 'enumerators'>> = {}) {
  const { kernel: made, at } = memoryOf(OWNERS['6.12']!, { ...depot.words, ...words }, depot);
  const kernel: Kernel = { ...made, symbolAt, ...changes };
  const frames = new FrameMap([{ start: FIRST, end: FIRST + 64 }]);
  const kinds = new Uint8Array(64).fill(KIND.anonymous);
  kinds[63] = KIND.free;
  const ledger = new FrameLedger(frames, kinds);
  ledger.close();
  const warnings = new Warnings();
  const areas = { frames: function* () {} } as unknown as Areas;
  const sources = accountSites(kernel, { frames, ledger, areas }, warnings);
  const [pages] = sources;
  return { sources, pages, warnings: warnings.list(), at };
}

const { at } = sitesOf();
const entry = (frame: number) => at(frame) + 8;
/** Two pages of one allocation and one of another, with the stack of the depot; the last frame has no entry. */
const GOOD: Words = {
  [entry(68) + 8]: [depot.handle, 4],
  [entry(69) + 8]: [depot.handle, 4],
  [at(80)]: [3, 4],
  [entry(80) + 8]: [depot.handle, 4],
  [at(127)]: [0, 4],
};

describe('allocation sites of pages', () => {
  test("sum pages by stack, category and module, and equal the kernel's own count", () => {
    const { pages, warnings } = sitesOf(GOOD);
    const amounts = { bytes: 3 * 4096, allocations: 2, categories: [{ category: 'anonymous', bytes: 3 * 4096 }] };
    expect(pages).toMatchObject({
      state: 'on',
      why: null,
      bytes: 3 * 4096,
      countedBytes: 3 * 4096,
      sites: [{ ...amounts, kind: 'stack', cache: null }],
      modules: [{ ...amounts, module: 'mod', sites: 1 }],
      omitted: { sites: 0, bytes: 0 },
    });
    const frames = pages?.sites[0]?.frames.map(({ symbol, offset }) => `${symbol}+${offset}`);
    expect(frames).toEqual(['f1+16', 'f2+32', 'f3+48']);
    expect(warnings).toEqual([]);
  });

  test('count pages with a damaged handle at an unknown site', () => {
    const { pages, warnings } = sitesOf({ ...GOOD, [entry(80) + 8]: [depot.handle + 1, 4] });
    expect(pages?.bytes).toBe(3 * 4096);
    expect(pages?.sites.map(({ bytes, frames }) => [bytes, frames.length])).toEqual([
      [8192, 3],
      [4096, 0],
    ]);
    expect(warnings).toEqual([{ code: 'corrupt', message: expect.stringMatching(/^page_owner: stack handle 0x/) }]);
  });

  test('report a free page that is recorded as allocated as a contradiction, and do not count it', () => {
    const { pages, warnings } = sitesOf({ ...GOOD, [at(127)]: [3, 4] });
    expect(pages?.bytes).toBe(3 * 4096);
    expect(warnings).toEqual([{ code: 'corrupt', message: expect.stringMatching(/1 page frames? /) }]);
  });

  test('are limited in number for any number of handles', () => {
    const words = Object.fromEntries(
      Array.from({ length: 60 }, (_, index) => [
        [at(FIRST + index), [3, 4]],
        [entry(FIRST + index), [0, 2]],
        [entry(FIRST + index) + 8, [0x1000_0000 + index * 7919, 4]],
      ]).flat() as [number, readonly [number, 4]][],
    );
    const { pages, warnings } = sitesOf({ ...words, [at(127)]: [0, 4] });
    expect(pages?.sites).toMatchObject([{ frames: [], bytes: 60 * 4096, allocations: 60 }]);
    expect(warnings.length).toBeLessThan(16);
    expect(warnings.every(({ code }) => code === 'corrupt')).toBe(true);
  });

  test('name an unsupported layout, and still list other sources', () => {
    const { sources, warnings } = sitesOf(GOOD, { enumerators: () => new Map([['OTHER', 1n]]) });
    expect(sources.map(({ source, state }) => [source, state])).toEqual([
      ['page-owner', 'unreadable'],
      ['allocation-tags', 'absent'],
      ['slab-tracks', 'absent'],
      ['vmalloc-callers', 'on'],
    ]);
    expect(sources[0]).toMatchObject({ sites: [], why: expect.stringMatching(/it has OTHER/) });
    expect(warnings.map(({ code }) => code)).toEqual(['unsupported-layout']);
  });

  test('print how to enable a source that is off', () => {
    const { pages, warnings } = sitesOf({ ...GOOD, [0x600]: [0, 4] });
    expect(pages).toMatchObject({ state: 'off', why: expect.stringMatching(/page_owner=on/), sites: [] });
    expect(warnings).toEqual([]);
  });
});
