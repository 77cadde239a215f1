import { afterAll, describe, expect, test } from 'vitest';
import { accountFd } from '../../src/account/skb.js';
import { accountAll } from '../../src/account/sockets.js';
import type { PhysicalRange } from '../../src/kernel/native/image/image.js';
import { openImage } from '../../src/kernel/native/image/open.js';
import type { NativeKernel } from '../../src/kernel/native/kernel.js';
import { architectureOf, openNativeImage } from '../../src/kernel/native/open.js';
import { highHalf, lowHalf, Pointer } from '../../src/kernel/pointer.js';
import { memoryPieces } from '../../src/walk/pages/memory-pieces.js';
import { damagedImage, recordedImage } from '../support/damaged-image.js';
import { type FixtureName, fixture } from '../support/fixtures.js';
import { ledgerOf } from '../support/ledger.js';

/** A real dump, and its answers after the pages at some addresses were removed. */
class CutFixture {
  readonly image;
  readonly whole: NativeKernel;
  /** The socket that pins most among those with a single owner. */
  readonly socket;
  readonly #page: number;

  constructor(name: FixtureName) {
    const { vmcore, truth } = fixture(name);
    this.image = openImage([vmcore]);
    this.whole = openNativeImage(this.image);
    this.#page = this.whole.facts.pageSize;
    const sockets = truth.sockets.filter(({ holders }) => holders.length === 1);
    this.socket = sockets.toSorted((a, b) => b.total.pinnedBytes - a.total.pinnedBytes)[0]!;
  }

  get holder() {
    return this.socket.holders[0]!;
  }

  /** The page frame at a virtual address. */
  frame(address: bigint | undefined): number {
    const physical = this.whole.physicalOf(address!)!;
    return Math.floor(physical / this.#page);
  }

  /** Frames of page tables that map some addresses, but not the kernel image. */
  tables(addresses: readonly bigint[]): number[] {
    const toImage = this.#walked(() => {});
    const all = this.#walked((translate) => {
      for (const address of addresses) translate(address);
    });
    return [...all].filter((frame) => !toImage.has(frame));
  }

  #walked(walk: (translate: (address: bigint) => void) => void): Set<number> {
    const ranges: PhysicalRange[] = [];
    const arch = architectureOf(recordedImage(this.image, ranges), this.whole.vmcoreinfo);
    walk((address) => arch.translate(highHalf(address), lowHalf(address)));
    return new Set(ranges.map(({ start }) => Math.floor(start / this.#page)));
  }

  without(frames: readonly number[]): NativeKernel {
    const gone = frames.map((frame) => ({ at: frame * this.#page, bytes: undefined, length: this.#page }));
    return openNativeImage(damagedImage(this.image, gone));
  }

  /** Addresses of the struct pages of memory in the dump. */
  structPages(): bigint[] {
    const frames = new Set<number>();
    for (const { start, end } of this.image.facts.physicalRanges)
      for (let at = start; at < end; at += this.#page) frames.add(at / this.#page);
    return Array.from(frames, (frame) => this.whole.pages.pageOfFrame(frame));
  }
}

/** Figures that need no struct page: all that the skbs themselves contain. */
function expectQueuesWhole(kernel: NativeKernel, { holder, socket }: CutFixture) {
  const answer = accountFd(kernel, holder.pid, holder.fd);
  const { skbs, payloadBytes, truesizeBytes, frags } = socket.total;
  expect(answer.total).toMatchObject({ skbs, payloadBytes, truesizeBytes, frags, complete: false });
  expect(answer.freedIfKilled?.high ?? null).toBeNull();
  return answer;
}

/** All failed reads in an answer, and nothing else. */
function warned({ warnings }: { warnings: readonly { code: string; message: string }[] }) {
  expect(new Set(warnings.map(({ code }) => code))).toEqual(new Set(['unreadable']));
  return warnings.map(({ message }) => message);
}

describe.each(['5.10', '6.1', '6.12', 'newest'] as const)('a dump of %s', (name) => {
  const cut = new CutFixture(name);
  afterAll(() => cut.image.close());
  const { whole } = cut;
  const variable = cut.frame(whole.symbol('vmemmap_base'));
  const roots = whole.vmcoreinfo.symbol('mem_section')!;
  const sections = whole.read(roots, 8).getBigUint64(0, true);

  test.each([
    ['mem_section', roots],
    ['struct mem_section', sections],
  ])('without vmemmap_base and %s, names both once', (missing, address) => {
    const kernel = cut.without([variable, cut.frame(address)]);
    const at = `0x${whole.symbol('vmemmap_base')!.toString(16)}`;
    const message = `${at} was filtered out of the dump (vmemmap_base and ${missing}, needed to find the struct pages)`;
    expect(kernel.provenance.pages).toEqual({ found: false, code: 'filtered', why: message });
    expect(warned(expectQueuesWhole(kernel, cut))).toEqual([message]);
    expect(() => kernel.pages.frameOfPage(new Pointer())).toThrow(message);
    const all = accountAll(kernel);
    expect(all.totals.complete).toBe(false);
    expect(warned(all)).toEqual([`sockets found by slabs: ${message}`, message]);
    const rows = Array.from(ledgerOf(all).values(), (row) => row.message).join('\n');
    expect(rows).toContain(`Page fragment caches: not counted: ${message}`);
    expect(rows).not.toMatch(/has an invalid pointer|direct map/);
  });

  test('finds struct pages by either of the two', () => {
    for (const frame of [variable, cut.frame(sections)]) {
      const kernel = cut.without([frame]);
      expect(kernel.provenance.pages.found).toBe(true);
      expect(kernel.pages.pageOfFrame(1)).toBe(whole.pages.pageOfFrame(1));
    }
  });

  test('without page tables of struct pages, names one of them once', () => {
    const tables = cut.tables(cut.structPages());
    expect(tables.length).toBeGreaterThan(0);
    const kernel = cut.without(tables);
    const [message = '', ...others] = warned(expectQueuesWhole(kernel, cut));
    expect(others).toEqual([]);
    const [, table = ''] =
      /^0x[0-9a-f]+ was filtered out of the dump \(page table at physical 0x([0-9a-f]+), needed to find the struct pages\)$/.exec(
        message,
      ) ?? [];
    expect(tables).toContain(Math.floor(Number.parseInt(table, 16) / 4096));
  });

  test('without some struct pages, names each', () => {
    const frames = new Set(cut.structPages().map((address) => cut.frame(address)));
    const messages = warned(expectQueuesWhole(cut.without([...frames]), cut));
    expect(messages.at(-1)).toMatch(/^\d+ more of the same kind$/);
    for (const message of messages.slice(0, -1))
      expect(message).toMatch(
        /^(0x[0-9a-f]+) was filtered out of the dump \(physical 0x[0-9a-f]+, part of struct page at \1\)$/,
      );
    expect(new Set(messages).size).toBe(messages.length);
  });

  test('without the direct map, names the page table in the error', () => {
    const pages = cut.structPages().map((page) => whole.pages.addressOfPage(page)!);
    const kernel = cut.without([cut.frame(whole.symbol('page_offset_base')), ...cut.tables(pages)]);
    expect(kernel.provenance.directMap).toMatchObject({
      found: false,
      why: expect.stringMatching(
        /was filtered out of the dump \(page_offset_base and page table at physical 0x[0-9a-f]+, needed to find the direct map\)$/,
      ),
    });
    const { pid, fd } = cut.holder;
    const [address] = pages as [bigint];
    const read = (at: bigint, length: number) => kernel.read(at, length);
    expect([...memoryPieces(read, address, 16, 4096)]).toEqual([
      { kind: 'hole', address, length: 16, code: 'filtered', behindTable: true },
    ]);
    expect(() => accountFd(kernel, pid, fd)).toThrow(/page table at physical 0x[0-9a-f]+, part of the list at 0x/);
  });
});

describe.each(['6.1-arm64', '6.12-arm64-16k'] as const)('a dump of %s', (name) => {
  const cut = new CutFixture(name);
  afterAll(() => cut.image.close());

  test('without page tables of struct pages, names one of them once', () => {
    const kernel = cut.without(cut.tables(cut.structPages()));
    const messages = warned(expectQueuesWhole(kernel, cut));
    expect(messages).toEqual([
      expect.stringMatching(/page table at physical 0x[0-9a-f]+, needed to find the struct pages\)$/),
    ]);
  });
});
