import { expect, test } from 'vitest';
import { hugePages } from '../../../src/account/memory/huge-pages.js';
import { ReadError } from '../../../src/base/errors.js';
import { PageMap } from '../../../src/kernel/page-map.js';
import { type FrameScan, MAPPINGS } from '../../../src/walk/memory/frame-scan.js';
import { FrameMap } from '../../../src/walk/memory/page-array.js';
import { KIND } from '../../../src/walk/memory/page-kinds.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { MADE_BASE, MADE_PAGES, madeKernel, partialKernel } from '../../support/made-kernel.js';

const [FRAMES, HEAD, FIRST, PAGE, STRIDE] = [16, 6, 4, 4096, 64];
const [ORDER_AT, MAPCOUNT_AT] = [8, 12];
const OWNER = { name: 'grows', pid: 7 };

/** Frames 4 to 7 are a folio of order 2: two pages of zeros, one with a last byte, and one that the dump lacks. */
function found({ isHead = true, order = 2, isKnown = true, lacks = [7] as readonly number[] } = {}) {
  const array = new DataView(new ArrayBuffer(512 * STRIDE));
  if (isHead) array.setUint8(FIRST * STRIDE, 1 << HEAD);
  array.setUint8((FIRST + 1) * STRIDE + ORDER_AT, order);
  const members = { flags: 0, _mapcount: [48, 4], compound_order: [ORDER_AT, 1] } as const;
  const { struct, enumerators } = madeKernel({
    structs: {
      page: { size: STRIDE, members: isKnown ? { ...members, compound_mapcount: [MAPCOUNT_AT, 4] } : members },
    },
    words: {},
    enums: { pageflags: { PG_head: BigInt(HEAD) } },
  });
  const kernel = partialKernel({
    struct,
    enumerators,
    read: (address, length) => new DataView(array.buffer, Number(address - MADE_PAGES), length),
    pages: new PageMap({
      pageSize: PAGE,
      directMap: () => ({ address: MADE_BASE, length: 1 << 30, physical: 0 }),
      pageArray: () => ({ address: MADE_PAGES, stride: STRIDE }),
    }),
    physical: {
      isExtract: false,
      stored: [],
      inFile: undefined,
      read(address: number, length: number) {
        if (lacks.includes(address / PAGE)) throw new ReadError('filtered', BigInt(address));
        const page = new DataView(new ArrayBuffer(length));
        if (address / PAGE === 6) page.setUint8(length - 1, 1);
        return page;
      },
    },
  });
  const kinds = new Uint8Array(FRAMES);
  kinds.fill(KIND.anonymous, FIRST, FIRST + 4);
  const scan = { kinds, mappings: new Uint8Array(FRAMES).fill(MAPPINGS.unknown) } as unknown as FrameScan;
  const warnings = new Warnings();
  const frames = new FrameMap([{ start: 0, end: FRAMES }]);
  // Only the second page of the folio is mapped.
  const mappedBy = (index: number) => (index === FIRST + 1 ? OWNER : undefined);
  const answer = hugePages(kernel, { frames, scan }, mappedBy, () => undefined, warnings);
  return { answer, complete: warnings.complete, messages: warnings.list().map(({ message }) => message) };
}

test('counts base pages of zeros, apart from those that the dump lacks', () => {
  const { answer, complete, messages } = found();
  const figures = { folios: 1, bytes: 4 * PAGE, zeroBytes: 2 * PAGE, unreadBytes: PAGE };
  expect(answer).toEqual({ ...figures, owners: [{ pid: OWNER.pid, comm: OWNER.name, ...figures }] });
  expect([complete, messages]).toEqual([
    false,
    [expect.stringMatching(/^content of 1 of 4 base pages of huge pages: /)],
  ]);
  expect(found({ lacks: [] })).toMatchObject({ answer: { zeroBytes: 3 * PAGE, unreadBytes: 0 }, complete: true });
});

test.each([
  ['its first page does not say that it is one', { isHead: false }],
  ['its order is none', { order: 77 }],
  ['it would extend beyond the memory', { order: 8 }],
  ['the members of this kernel are unknown', { isKnown: false }],
])('a huge page is not readable if %s, and never absent', (_, damage) => {
  const { answer, complete, messages } = found({ ...damage, lacks: [] });
  expect(answer).toMatchObject({ folios: 0, bytes: 4 * PAGE, zeroBytes: 0, unreadBytes: 4 * PAGE });
  expect([complete, messages]).toEqual([
    false,
    ['content of 4 of 4 base pages of huge pages: their size is not readable'],
  ]);
});
