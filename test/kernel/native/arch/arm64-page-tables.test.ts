import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReadError } from '../../../../src/base/errors.js';
import { Arm64PageTables } from '../../../../src/kernel/native/arch/arm64-page-tables.js';
import { highHalf, lowHalf } from '../../../../src/kernel/pointer.js';
import { type Arm64Shape, Arm64TableWriter, blockBytes } from '../../../support/arm64-page-tables.js';
import { SparseMemory } from '../../../support/page-tables.js';

const ROOT = 0x4010_0000;

/** The configurations of kernels (arch/arm64/Kconfig), also on machines that support fewer bits. */
const SHAPES: readonly (Arm64Shape & { readonly levels: number; readonly leaves: number })[] = [
  { page: 4096, bits: 39, levels: 3, leaves: 2 },
  { page: 4096, bits: 48, levels: 4, leaves: 2 },
  { page: 4096, bits: 48, built: 52, levels: 4, leaves: 2 },
  { page: 4096, bits: 52, levels: 5, leaves: 3 },
  { page: 16_384, bits: 36, levels: 2, leaves: 1 },
  { page: 16_384, bits: 47, levels: 3, leaves: 1 },
  { page: 16_384, bits: 47, built: 52, levels: 3, leaves: 1 },
  { page: 16_384, bits: 48, levels: 4, leaves: 1 },
  { page: 16_384, bits: 52, levels: 4, leaves: 2 },
  { page: 65_536, bits: 42, levels: 2, leaves: 1 },
  { page: 65_536, bits: 48, levels: 3, leaves: 1 },
  { page: 65_536, bits: 48, built: 52, levels: 3, leaves: 1 },
  { page: 65_536, bits: 52, levels: 3, leaves: 2 },
];

function made(shape: Arm64Shape, root = ROOT) {
  const memory = new SparseMemory();
  const writer = new Arm64TableWriter(memory, root, shape);
  const tables = new Arm64PageTables(memory.image({}), root, {
    pageShift: Math.log2(shape.page),
    tableBits: shape.bits,
    addressBits: shape.built ?? shape.bits,
  });
  const walk = (address: bigint): number => tables.translate(highHalf(address), lowHalf(address));
  return { memory, writer, tables, walk };
}

/** The lowest address of the kernel's half. */
const lowest = ({ bits }: Arm64Shape): bigint => (1n << 64n) - (1n << BigInt(bits));
/** Number of bits of a physical address. */
const physicalBits = ({ page, bits }: Arm64Shape): bigint => (page === 65_536 || bits > 48 ? 52n : 48n);

describe.each(SHAPES)('arm64 page tables, pages of $page, $bits of $built bits', (shape) => {
  const page = BigInt(shape.page);

  it('have as many levels as the bits need', () => {
    const { writer, tables } = made(shape);
    expect(tables.levels).toBe(shape.levels);
    expect(writer.levels).toBe(shape.levels);
  });

  it('map pages at both ends of the address space, up to the highest physical address', () => {
    const { writer, walk } = made(shape);
    const last = (1n << physicalBits(shape)) - page;
    const addresses = [lowest(shape), lowest(shape) + 5n * page, (1n << 64n) - page];
    addresses.forEach((address, index) => {
      writer.map(address, last - BigInt(index) * page);
    });
    addresses.forEach((address, index) => {
      const expected = Number(last - BigInt(index) * page);
      expect(walk(address)).toBe(expected);
      expect(walk(address + page - 1n)).toBe(expected + shape.page - 1);
    });
    expect(walk(lowest(shape) + page)).toBe(-1);
    expect(walk(lowest(shape) - 1n)).toBe(-1);
  });

  it('map blocks of every size', () => {
    for (let level = 1; level <= Math.min(shape.leaves, shape.levels - 1); level++) {
      const { writer, walk } = made(shape);
      const bytes = BigInt(blockBytes(shape, level));
      const base = (1n << 64n) - 4n * bytes < lowest(shape) ? lowest(shape) : -4n * bytes;
      const address = BigInt.asUintN(64, base);
      writer.map(address, 3n * bytes, level);
      for (const into of [0n, page, bytes / 2n + 12_345n, bytes - 1n])
        expect(walk(address + into)).toBe(Number(3n * bytes + into));
      if (address + bytes < 1n << 64n) expect(walk(address + bytes)).toBe(-1);
    }
  });

  it('have no blocks on higher levels', () => {
    for (let level = shape.leaves + 1; level < shape.levels; level++) {
      const { writer, walk } = made(shape);
      writer.map(lowest(shape), 0n, level);
      // Blocks of 4 TiB need 52-bit physical addresses; tables with 64 KiB pages do not show whether these are enabled.
      const into = shape.page === 65_536 ? Number(5n * page) : -1;
      expect(walk(lowest(shape) + 5n * page)).toBe(into);
    }
  });

  it('can themselves be at the highest physical addresses', () => {
    const root = 2 ** Number(physicalBits(shape)) - 2 ** 24;
    const { writer, walk } = made(shape, root);
    writer.map(lowest(shape) + 3n * page, 9n * page);
    expect(walk(lowest(shape) + 3n * page + 1n)).toBe(9 * shape.page + 1);
  });

  it('find any page at its address', () => {
    const pages = (1n << BigInt(shape.bits)) / page;
    const frames = (1n << physicalBits(shape)) / page;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.bigInt(0n, pages - 1n), fc.bigInt(0n, frames - 1n)), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 0, max: shape.page - 1 }),
        (placed, into) => {
          const { writer, walk } = made(shape);
          const where = new Map(placed);
          for (const [index, frame] of where) writer.map(lowest(shape) + index * page, frame * page);
          for (const [index, frame] of where) {
            const address = lowest(shape) + index * page + BigInt(into);
            expect(walk(address)).toBe(Number(frame * page) + into);
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it('ignore invalid descriptors', () => {
    const { memory, writer, walk } = made(shape);
    const address = lowest(shape) + 7n * page;
    writer.map(address, 3n * page);
    expect(walk(address)).toBe(Number(3n * page));
    const lowestTable = [...lowestEntries(memory, 3n * page)];
    expect(lowestTable).toHaveLength(1);
    // On the last level 01 is reserved; the kernel writes 10 for "present, not valid".
    for (const kind of [0n, 1n, 2n]) {
      const other = made(shape);
      other.writer.map(address, 3n * page);
      const [at] = lowestEntries(other.memory, 3n * page);
      const entry = other.memory.read(at!, 8).getBigUint64(0, true);
      other.memory.writeWord(at!, (entry & ~3n) | kind);
      expect(other.walk(address)).toBe(-1);
    }
  });

  it('distinguish constants, variables and code', () => {
    const { writer, tables } = made(shape);
    const protection = (index: number) => {
      const address = lowest(shape) + BigInt(index) * page;
      return tables.protection(highHalf(address), lowHalf(address));
    };
    const kinds = [
      { writable: false, executable: false },
      { writable: true, executable: false },
      { writable: false, executable: true },
    ];
    kinds.forEach((kind, index) => {
      writer.map(lowest(shape) + BigInt(index) * page, page, 0, kind);
    });
    // Not written yet, but hardware may make it writable.
    writer.map(lowest(shape) + 3n * page, page, 0, { writable: false, dirty: true });
    expect([0, 1, 2].map(protection)).toEqual(kinds);
    expect(protection(3)).toEqual({ writable: true, executable: false });
    expect(protection(4)).toBeUndefined();
  });

  it('terminate at a table that refers to itself or to missing memory', () => {
    const { memory, tables, walk } = made(shape);
    memory.write(ROOT, new Uint8Array(shape.page).fill(0xff));
    const missing = lowest(shape);
    if (shape.levels > 1) expect(() => walk(missing)).toThrow(ReadError);
    const itself = BigInt(ROOT) | 3n;
    for (let at = 0; at < shape.page; at += 8) memory.writeWord(ROOT + at, itself);
    const before = memory.reads;
    expect(walk(missing + 0x10n)).toBe(ROOT + 0x10);
    expect(memory.reads - before).toBeLessThanOrEqual(tables.levels);
  });
});

it('caches results, but not for a live kernel', () => {
  const shape = { page: 4096, bits: 48 } as const;
  const { memory, writer } = made(shape);
  const address = lowest(shape);
  writer.map(address, 0x1000n);
  const open = (format: 'elf' | 'kcore') =>
    new Arm64PageTables(memory.image({ format }), ROOT, { pageShift: 12, tableBits: 48, addressBits: 48 });
  const dump = open('elf');
  const live = open('kcore');
  const walk = (tables: Arm64PageTables) => tables.translate(highHalf(address), lowHalf(address));
  expect([walk(dump), walk(live)]).toEqual([0x1000, 0x1000]);
  writer.map(address, 0x2000n);
  expect([walk(dump), walk(live)]).toEqual([0x1000, 0x2000]);
});

/** Address of the only descriptor that leads to a page. */
function* lowestEntries(memory: SparseMemory, physical: bigint): Generator<number> {
  for (const [frame, bytes] of memory.pages) {
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < bytes.length; at += 8) {
      const entry = view.getBigUint64(at, true);
      if (
        (entry & 3n) === 3n &&
        (entry & 0xffff_ffff_0000n) === (physical & 0xffff_ffff_0000n) &&
        (entry & 0xf000n) === (physical & 0xf000n) &&
        entry >> 55n === 0xfn
      )
        yield frame * 4096 + at;
    }
  }
}
