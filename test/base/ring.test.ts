import {
  closeSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { MAX_COPIED, MAX_RECORD, RING_BYTES, Ring, readRing, ringRecords } from '../../src/base/ring.js';
import { scratchFolder } from '../support/scratch.js';

const folder = scratchFolder('ring-');
let made = 0;
const fresh = () => join(folder, `ring-${++made}`);

function written(file: string, ...texts: readonly string[]): void {
  const ring = Ring.open(file);
  for (const text of texts) ring.append(text);
  ring.close();
}
const texts = (file: string) => readRing(file).records.map(({ text }) => text);
/** Replaces the byte at this distance behind the first occurrence of a text. */
function damage(file: string, text: string, by = 0): void {
  const at = readFileSync(file).indexOf(text) + by;
  const fd = openSync(file, 'r+');
  writeSync(fd, Buffer.from([0]), 0, 1, at);
  closeSync(fd);
}

describe('a ring', () => {
  test('small records are also copied, and found in the newest bytes that pstore kept', () => {
    const pmsg = join(folder, 'pmsg-ramoops-0');
    writeFileSync(pmsg, '');
    const ring = Ring.open(fresh(), pmsg);
    for (const text of ['one', 'two', 'x'.repeat(MAX_COPIED + 1), 'three']) ring.append(text);
    ring.append('y'.repeat(MAX_COPIED + 1), 'short');
    ring.close();
    expect(texts(pmsg)).toEqual(['one', 'two', 'three', 'short']);
    writeFileSync(pmsg, readFileSync(pmsg).subarray(5));
    expect([texts(pmsg), readRing(pmsg).damaged]).toEqual([['two', 'three', 'short'], 0]);
    // Other programs may write there.
    writeFileSync(pmsg, 'a text');
    expect(texts(pmsg)).toEqual([]);
    // Neither a missing device nor one that fails matters.
    for (const device of [join(folder, 'none'), '/dev/full']) {
      const file = fresh();
      const other = Ring.open(file, device);
      other.append('one');
      other.close();
      expect(texts(file)).toEqual(['one']);
    }
  });

  test('keeps records in order, is continued, and has its size from the beginning', () => {
    const file = fresh();
    written(file, 'one', 'two');
    expect(statSync(file)).toMatchObject({ size: RING_BYTES, mode: 0o100600 });
    // All blocks are allocated.
    expect(statSync(file).blocks * 512).toBeGreaterThanOrEqual(RING_BYTES);
    written(file, 'three \ufffd “quoted”', '');
    expect(readRing(file)).toMatchObject({ damaged: 0 });
    expect(texts(file)).toEqual(['one', 'two', 'three \ufffd “quoted”', '']);
  });

  test('a torn or damaged record costs that record', () => {
    const file = fresh();
    written(file, 'first', 'second', 'third');
    damage(file, 'second', 3);
    expect(texts(file)).toEqual(['first', 'third']);
    expect(readRing(file)).toMatchObject({ damaged: 1, records: [{ lostBefore: 0 }, { lostBefore: 1 }] });
    damage(file, 'third', 4);
    expect(texts(file)).toEqual(['first']);
    // The next record takes the place of what was torn.
    written(file, 'fourth');
    expect(texts(file)).toEqual(['first', 'fourth']);
  });

  test.each([
    ['length', 8],
    ['checksum', 12],
    ['number', 16],
  ])('a damaged %s costs that record', (_, by) => {
    const file = fresh();
    written(file, 'first', 'x'.repeat(300), 'third');
    damage(file, 'x'.repeat(300), by - 24);
    const { records } = ringRecords(readFileSync(file));
    // The high byte of a small figure is zero already.
    expect(records.map(({ text }) => text)).toEqual(['first', 'third']);
  });

  test('a record with an impossible number is damaged: no others are missing before it', () => {
    const file = fresh();
    written(file, 'first', 'second', 'third');
    const bytes = readFileSync(file);
    const { start, end } = ringRecords(bytes).records[2]!;
    bytes.writeBigUInt64LE(2n ** 64n - 1n, start + 16);
    bytes.writeUInt32LE(crc32(bytes.subarray(start + 16, end)), start + 12);
    expect(ringRecords(bytes)).toMatchObject({ damaged: 1, records: [{ text: 'first' }, { text: 'second' }] });
    writeFileSync(file, bytes);
    written(file, 'fourth');
    expect(readRing(file)).toMatchObject({ records: [{ lostBefore: 0 }, { lostBefore: 0 }, { lostBefore: 0 }] });
  });

  test('overwrites the oldest records, and keeps at least ten minutes of the largest', () => {
    const file = fresh();
    const ring = Ring.open(file);
    const count = 600;
    for (let number = 0; number < count; number++) ring.append(`${number} `.padEnd(MAX_RECORD, '.'));
    ring.close();
    const { records, damaged } = readRing(file);
    const numbers = records.map(({ text }) => Number.parseInt(text, 10));
    expect(damaged).toBe(0);
    // A list of holders and a sample each five seconds.
    expect(numbers.length).toBeGreaterThanOrEqual((2 * 600) / 5);
    expect(numbers).toEqual(numbers.map((_, index) => count - numbers.length + index));
    written(file, 'last');
    expect(texts(file).at(-1)).toBe('last');
    expect(readRing(file).damaged).toBe(0);
  });

  test('records that are missing are counted by their numbers, and overwritten ones are not missing', () => {
    const file = fresh();
    const ring = Ring.open(file);
    const lost = () => readRing(file).records.reduce((sum, { lostBefore }) => sum + lostBefore, 0);
    // Three rounds: of some, short records of the round before are left at the end of the file.
    for (let number = 0; number < 900; number++) {
      ring.append('.'.repeat((number * 7919) % MAX_RECORD));
      if (number % 10 === 0) expect(lost()).toBe(0);
    }
    for (const text of ['first', ...Array.from({ length: 40 }, (_, index) => `${index} `.padEnd(400, '.')), 'last'])
      ring.append(text);
    ring.close();
    const { damaged, records } = readRing(file);
    const start = readFileSync(file).indexOf('3 ....');
    const fd = openSync(file, 'r+');
    // As a block that was not written: without the beginning of a record there is none that is damaged.
    writeSync(fd, Buffer.alloc(4096), 0, 4096, start - 24);
    closeSync(fd);
    const after = readRing(file);
    expect(after.damaged).toBe(damaged);
    expect(lost()).toBe(records.length - after.records.length);
    expect(lost()).toBeGreaterThan(8);
  });

  test('a reader beside the writer sees whole records', () => {
    const file = fresh();
    const ring = Ring.open(file);
    for (let number = 0; number < 40; number++) {
      ring.append(`${number} `.padEnd(MAX_RECORD - number, '.'));
      expect(readRing(file).records.map(({ text }) => Number.parseInt(text, 10))).toEqual(
        Array.from({ length: number + 1 }, (_, index) => index),
      );
    }
    ring.close();
    // As the reader sees a record that is being written: every prefix of the last one.
    const bytes = readFileSync(file);
    const [before, last] = readRing(file).records.slice(-2);
    for (const length of [1, 8, 12, 24, 25, 20_000]) {
      const torn = Buffer.from(bytes);
      torn.fill(0, (before?.end ?? 0) + length, last?.end);
      expect(ringRecords(torn).records).toHaveLength(39);
    }
  });

  test('names in a record cannot begin another one', () => {
    const file = fresh();
    const magic = '\u00ffkdr\u00feme\u00ff';
    written(file, magic, 'next');
    expect(texts(file)).toEqual([magic, 'next']);
  });

  test('another file is neither written nor read', () => {
    const file = fresh();
    writeFileSync(file, 'a text of a user');
    expect(() => Ring.open(file)).toThrow(/not a ring/);
    expect(() => readRing(file)).toThrow(/not a ring/);
    expect(readFileSync(file, 'utf8')).toBe('a text of a user');
    const link = fresh();
    symlinkSync(file, link);
    expect(() => Ring.open(link)).toThrow(/cannot be opened \(ELOOP\)/);
    expect(() => readRing(fresh())).toThrow(/cannot be read \(ENOENT\)/);
    const large = fresh();
    written(large, 'one');
    truncateSync(large, 2 ** 40);
    expect(() => readRing(large)).toThrow(/not a ring/);
    expect(() => Ring.open(fresh()).append('x'.repeat(MAX_RECORD + 1))).toThrow(RangeError);
  });

  test('a creation that was interrupted is done again', () => {
    const file = fresh();
    writeFileSync(file, Buffer.alloc(5000));
    written(file, 'one');
    expect(texts(file)).toEqual(['one']);
  });
});

test('of a ring full of records that are none, only a part is read', () => {
  const magic = Buffer.from([0xff, 0x6b, 0x64, 0x72, 0xfe, 0x6d, 0x65, 0xff]);
  const bytes = Buffer.alloc(2 ** 20, magic);
  expect(ringRecords(bytes, 0)).toEqual({ records: [], damaged: 2 ** 15 });
});
