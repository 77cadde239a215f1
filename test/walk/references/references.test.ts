import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { ReadError } from '../../../src/base/errors.js';
import type { PhysicalMemory } from '../../../src/kernel/kernel.js';
import { FORMS } from '../../../src/records/references.js';
import { passOver } from '../../../src/walk/references/memory-pass.js';
import { PIECE_BYTES, pieceScanner } from '../../../src/walk/references/piece-scan.js';
import { Targets } from '../../../src/walk/references/target-index.js';
import { MADE_BASE, MADE_PAGES, made, madeKernel, madePage } from '../../support/made-kernel.js';
import { scratchFolder } from '../../support/scratch.js';

const PAGE = 4096;
const kernel = madeKernel({ structs: { page: { size: 64, members: {} } }, words: {} });
const folder = scratchFolder('references-');

/** xorshift32: the same numbers in each run. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

interface Range {
  readonly address: bigint;
  readonly bytes: number;
  /** Complete pages, starting at this frame. */
  readonly frame?: number;
}

const IMAGE = 0xffff_ffff_8100_0000n;

function someRanges(random: (below: number) => number): Range[] {
  const ranges: Range[] = [];
  for (let at = random(3) * 64; at < 300 * PAGE; ) {
    const bytes = 8 * (1 + random(40));
    if (random(4) === 0) {
      const frame = Math.ceil(at / PAGE);
      const frames = 1 + random(4);
      ranges.push({ address: made(frame * PAGE), bytes: frames * PAGE, frame });
      at = (frame + frames) * PAGE;
    } else {
      ranges.push({ address: made(at), bytes });
      at += bytes;
    }
    at += 8 * random(200 + 4000 * random(2));
  }
  for (let at = 0, count = 0; count < 12; count++) {
    const bytes = 1 + random(300);
    ranges.push({ address: IMAGE + BigInt(at), bytes });
    at += bytes + random(20);
  }
  return ranges;
}

/** The target of a word, computed from the definition of each form. */
function expected(word: bigint, ranges: readonly Range[]): string | undefined {
  for (const { address, bytes, frame } of ranges) {
    const into = word - address;
    const isTag = into > 0n && into < 8n && address % 8n === 0n;
    if (into >= 0n && into < BigInt(bytes))
      return `${address} ${into === 0n ? 'pointer' : isTag ? 'tagged' : 'interior'}`;
    if (frame === undefined) continue;
    const pages = madePage(frame);
    if (word >= pages && word < pages + BigInt((64 * bytes) / PAGE)) return `${address} page`;
  }
  return undefined;
}

test.each([1, 2, 3, 4, 5, 6])('resolves words as their forms are defined (seed %i)', (seed) => {
  const random = randomNumbers(seed);
  const ranges = someRanges(random);
  const targets = new Targets();
  for (const { address, bytes, frame } of ranges.toSorted(() => random(3) - 1)) {
    if (address >= IMAGE) targets.addVirtual({ address, length: bytes });
    else {
      const start = Number(address - MADE_BASE);
      targets.add({ start, length: bytes, complete: frame !== undefined });
    }
  }
  const indexed = targets.index(kernel);
  expect(indexed.size).toBe(ranges.length);

  const words = Array.from({ length: 20_000 }, () => {
    const one = ranges[random(ranges.length)]!;
    const near = BigInt(random(one.bytes + 64) - 32);
    switch (random(6)) {
      case 0:
        return BigInt.asUintN(64, BigInt(random(2 ** 31)) * BigInt(random(2 ** 31)) * 4n);
      case 1:
        return MADE_PAGES + BigInt(random(310 * 64));
      case 2:
        return one.address;
      case 3:
        return 0xffff_ffff_ffff_ffffn - BigInt(random(3));
      default:
        return one.address + near;
    }
  });
  const bytes = new ArrayBuffer(8 * words.length);
  const view = new DataView(bytes);
  for (const [number, word] of words.entries()) view.setBigUint64(8 * number, word, true);
  const found = pieceScanner(() => 0, indexed.index, PIECE_BYTES)({ length: bytes.byteLength, bytes });
  const ours = new Map(
    Array.from(found.words, (word, hit) => [
      word,
      `${indexed.addressOf(kernel, found.targets[hit]!)} ${FORMS[found.forms[hit]!]}`,
    ]),
  );
  const theirs = new Map(
    words.flatMap((word, number) => {
      const one = expected(word, ranges);
      return one === undefined ? [] : [[number, one] as const];
    }),
  );
  expect(ours).toEqual(theirs);
  expect(theirs.size).toBeGreaterThan(2000);
  const forms = new Set([...theirs.values()].map((one) => one.split(' ')[1]));
  expect([...forms].toSorted()).toEqual([...FORMS].toSorted());
});

test('runs the scanner from its source text, also minified as in the executable', async () => {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('../../../src/walk/references/piece-scan.ts', import.meta.url))],
    bundle: true,
    format: 'cjs',
    target: 'node20.19',
    minify: true,
    keepNames: true,
    write: false,
  });
  const module: { exports: { pieceScanner?: typeof pieceScanner } } = { exports: {} };
  runInNewContext(outputFiles[0]!.text, { module });
  const targets = new Targets();
  targets.add({ start: 0, length: PAGE, complete: true });
  targets.addVirtual({ address: IMAGE, length: 8 });
  const bytes = new ArrayBuffer(32);
  const view = new DataView(bytes);
  [made(72), IMAGE, 5n, madePage(0)].forEach((word, at) => {
    view.setBigUint64(8 * at, word, true);
  });
  const { index } = targets.index(kernel);
  for (const text of [pieceScanner, module.exports.pieceScanner].map(String)) {
    const scanner: typeof pieceScanner = runInNewContext(`(${text})`);
    const found = scanner(() => 0, index, 4096)({ length: 32, bytes });
    expect([...found.words]).toEqual([0, 1, 3]);
    expect(Array.from(found.forms, (form) => FORMS[form])).toEqual(['interior', 'pointer', 'page']);
  }
});

test('merges equal targets, and refuses overlapping ones', () => {
  const targets = new Targets();
  targets.add({ start: 64, length: 64, complete: false });
  targets.add({ start: 64, length: 64, complete: false });
  targets.addVirtual({ address: IMAGE, length: 8 });
  targets.addVirtual({ address: IMAGE, length: 8 });
  expect(targets.index(kernel).size).toBe(2);
  targets.add({ start: 0, length: PAGE, complete: true });
  expect(() => targets.index(kernel)).toThrow(/overlap/);
  expect(new Targets().index(kernel).size).toBe(0);
});

/** Puts one pointer to the target into each page; returns the hits and the missing ranges. */
async function passed(memory: PhysicalMemory, ranges: { start: number; end: number }[]) {
  const targets = new Targets();
  targets.add({ start: 64, length: 64, complete: false });
  const hits: number[] = [];
  const missing: [number, number, string][] = [];
  await passOver(memory, ranges, targets.index(kernel).index, {
    hits: (start, { words }) => hits.push(...Array.from(words, (word) => start + 8 * word)),
    missing: (start, end, why) => missing.push([start, end, why]),
  });
  return { hits, missing };
}

function pagesOfPointers(pages: number): Buffer {
  const bytes = Buffer.alloc(pages * PAGE);
  for (let page = 0; page < pages; page++) bytes.writeBigUInt64LE(made(72), page * PAGE + 16);
  return bytes;
}

const place = (page: number) => page * PAGE + 16;

test('reports memory that is not stored or unreadable as missing, never as zero', async () => {
  const bytes = pagesOfPointers(10);
  const memory: PhysicalMemory = {
    isExtract: false,
    stored: [
      { start: 0, end: 3 * PAGE },
      { start: 5 * PAGE, end: 9 * PAGE },
    ],
    inFile: undefined,
    read(address, length) {
      if (address < 7 * PAGE && address + length > 6 * PAGE) throw new ReadError('damaged', BigInt(address));
      return new DataView(bytes.buffer, bytes.byteOffset + address, length);
    },
  };
  const found = await passed(memory, [
    { start: PAGE, end: 6 * PAGE },
    { start: 6 * PAGE, end: 10 * PAGE },
  ]);
  expect(found).toEqual({
    hits: [1, 2, 5, 7, 8].map(place),
    missing: [
      [3 * PAGE, 5 * PAGE, 'not-stored'],
      [6 * PAGE, 7 * PAGE, 'unreadable'],
      [9 * PAGE, 10 * PAGE, 'not-stored'],
    ],
  });
});

test('reads no page that is known to be zero', async () => {
  const bytes = pagesOfPointers(3000);
  const isZero = (address: number) => address % (2 * PAGE) >= PAGE || address < 1500 * PAGE;
  const memory: PhysicalMemory = {
    isExtract: false,
    stored: [{ start: 0, end: 3000 * PAGE }],
    inFile: undefined,
    isZero,
    read(address, length) {
      expect(isZero(address)).toBe(false);
      return new DataView(bytes.buffer, bytes.byteOffset + address, length);
    },
  };
  const { hits, missing } = await passed(memory, [{ start: 8, end: 3000 * PAGE }]);
  expect(hits).toEqual(Array.from({ length: 750 }, (_, page) => place(1500 + 2 * page)));
  expect(missing).toEqual([]);
});

test.each([4, 2000])('reports missing pages of a file of %i pages that is truncated during the read', async (pages) => {
  const path = join(folder, `memory-${pages}`);
  writeFileSync(path, pagesOfPointers(pages));
  const descriptor = openSync(path, 'r');
  const whole: PhysicalMemory = {
    isExtract: false,
    stored: [],
    inFile: [{ start: PAGE, end: (pages + 2) * PAGE, descriptor, offset: 0 }],
    read: () => new DataView(new ArrayBuffer(0)),
  };
  const { hits, missing } = await passed(whole, [{ start: 0, end: (pages + 2) * PAGE }]);
  expect(hits).toEqual(Array.from({ length: pages }, (_, page) => place(page + 1)));
  expect(missing).toEqual([
    [0, PAGE, 'not-stored'],
    [(pages + 1) * PAGE, (pages + 2) * PAGE, 'unreadable'],
  ]);
  closeSync(descriptor);
});

test('finds the same references with several threads as with one', async () => {
  const pages = (160 * 2 ** 20) / PAGE;
  const path = join(folder, 'large');
  writeFileSync(path, pagesOfPointers(pages));
  const descriptor = openSync(path, 'r');
  const memory: PhysicalMemory = {
    isExtract: false,
    stored: [],
    inFile: [{ start: 0, end: pages * PAGE, descriptor, offset: 0 }],
    read: () => new DataView(new ArrayBuffer(0)),
  };
  const { hits, missing } = await passed(memory, [{ start: 0, end: pages * PAGE }]);
  expect(hits).toEqual(Array.from({ length: pages }, (_, page) => place(page)));
  expect(missing).toEqual([]);
  closeSync(descriptor);
});

test.each([4, 40_000])('does not report an internal error in %i pages as missing memory', async (pages) => {
  const end = pages * PAGE;
  const memory: PhysicalMemory = {
    isExtract: false,
    stored: [],
    inFile: [{ start: 0, end, descriptor: 2 ** 30, offset: 0 }],
    read: () => new DataView(new ArrayBuffer(0)),
  };
  await expect(passed(memory, [{ start: 0, end }])).rejects.toThrow(/EBADF/);
});
