import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReadError } from '../../../../src/base/errors.js';
import { RegionSearch } from '../../../../src/kernel/native/arch/section-table.js';
import { X86PageTables } from '../../../../src/kernel/native/arch/x86_64-page-tables.js';
import { highHalf, lowHalf } from '../../../../src/kernel/pointer.js';
import { type PageBytes, PageTableWriter, SparseMemory } from '../../../support/page-tables.js';

const ROOT = 0x10_0000;
const MIB2 = 0x20_0000;
const GIB = 0x4000_0000;

function made(
  levels: 4 | 5,
  encryption = 0n,
): { memory: SparseMemory; writer: PageTableWriter; walk(address: bigint): number; tables: X86PageTables } {
  const memory = new SparseMemory();
  const writer = new PageTableWriter(memory, ROOT, levels, encryption);
  const tables = new X86PageTables(memory.image({}), ROOT, levels, encryption);
  const walk = (address: bigint): number => tables.translate(highHalf(address), lowHalf(address));
  return { memory, writer, walk, tables };
}

describe.each([4, 5] as const)('x86_64 page tables of %i levels', (levels) => {
  const kernelSpace = levels === 4 ? 0xffff800000000000n : 0xff00000000000000n;

  it('map pages of all three sizes, also beyond 4 GiB', () => {
    const { writer, walk } = made(levels);
    const base = kernelSpace + 0x1234_4000_0000n;
    writer.map(base, 0x7_c000_0000, GIB);
    writer.map(base + BigInt(GIB), 0x8_0020_0000, MIB2);
    writer.map(base + BigInt(GIB + MIB2), 0xf_ffff_f000);
    expect(walk(base + 0x3456_789an)).toBe(0x7_c000_0000 + 0x3456_789a);
    expect(walk(base + BigInt(GIB) + 0x1f_fff8n)).toBe(0x8_0020_0000 + 0x1f_fff8);
    expect(walk(base + BigInt(GIB + MIB2) + 0xabcn)).toBe(0xf_ffff_fabc);
    expect(walk(base + BigInt(GIB + MIB2) + 0x1000n)).toBe(-1);
    expect(walk(base + BigInt(2 * GIB))).toBe(-1);
    expect(walk(base - 1n)).toBe(-1);
  });

  it("do not map addresses outside of the kernel's range", () => {
    const { memory, walk } = made(levels);
    memory.page(ROOT).fill(0xff);
    for (const address of [0n, 0x7fff_ffff_ffffn, 0x8000_0000_0000_0000n, 0xfeff_ffff_ffff_f000n])
      expect(walk(address)).toBe(-1);
  });

  it.each([1n << 47n, 1n << 51n, (1n << 47n) | (1n << 43n)])('mask the encryption bits 0x%x', (encryption) => {
    const { writer, walk } = made(levels, encryption);
    writer.map(kernelSpace, 0x3_0000_0000);
    writer.map(kernelSpace + BigInt(MIB2), 0x3_0020_0000, MIB2);
    writer.map(kernelSpace + BigInt(GIB), 0x4_0000_0000, GIB);
    expect(walk(kernelSpace + 8n)).toBe(0x3_0000_0008);
    expect(walk(kernelSpace + BigInt(MIB2) + 8n)).toBe(0x3_0020_0008);
    expect(walk(kernelSpace + BigInt(GIB) + 8n)).toBe(0x4_0000_0008);
  });

  it('do not confuse attributes of a large page with its address', () => {
    const { memory, writer, walk } = made(levels);
    writer.map(kernelSpace, 0x60_0000, MIB2);
    // Bit 12 of a large page's entry is PAT; bits 59 to 62 are protection keys or ignored.
    for (const [frame, page] of memory.pages) {
      const view = new DataView(page.buffer);
      const entry = view.getBigUint64(0, true);
      if (frame * 4096 > ROOT && entry & 0x80n) view.setBigUint64(0, entry | 0x1000n | (0xfn << 59n), true);
    }
    expect(walk(kernelSpace + 5n)).toBe(0x60_0005);
  });

  it('terminate if they point to themselves', () => {
    const { memory, walk, tables } = made(levels);
    for (let entry = 0; entry < 512; entry++) memory.writeWord(ROOT + entry * 8, BigInt(ROOT) | 3n);
    expect(walk(kernelSpace + 0x5678n)).toBe(ROOT + 0x678);
    let regions = 0;
    for (const _ of tables.largeRegions(new RegionSearch('a region'))) regions++;
    expect(regions).toBeGreaterThan(0);
    expect(regions).toBeLessThanOrEqual(65_536);
  });

  it('distinguish a missing table from unmapped memory', () => {
    const { memory, walk } = made(levels);
    memory.writeWord(ROOT + 511 * 8, 0x7000_0003n);
    let error: unknown;
    try {
      walk(0xffffffff81000000n);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(ReadError);
    expect(error).toMatchObject({ code: 'absent' });
  });

  it('are read once per 2 MiB', () => {
    const { memory, writer, walk } = made(levels);
    for (let page = 0; page < 256; page++) writer.map(kernelSpace + BigInt(page * 4096), 0x100_0000 + page * 8192);
    writer.map(kernelSpace + BigInt(MIB2), 0x60_0000, MIB2);
    walk(kernelSpace);
    walk(kernelSpace + BigInt(MIB2));
    const before = memory.reads;
    for (let page = 0; page < 256; page++) {
      expect(walk(kernelSpace + BigInt(page * 4096))).toBe(0x100_0000 + page * 8192);
      expect(walk(kernelSpace + BigInt(MIB2 + page))).toBe(0x60_0000 + page);
    }
    expect(memory.reads).toBe(before);
  });

  it('are read again for a live kernel', () => {
    const memory = new SparseMemory();
    const writer = new PageTableWriter(memory, ROOT, levels);
    const tables = new X86PageTables(memory.image({ format: 'kcore' }), ROOT, levels, 0n);
    writer.map(kernelSpace, 0x5000);
    const at = (): number => tables.translate(highHalf(kernelSpace), lowHalf(kernelSpace));
    expect(at()).toBe(0x5000);
    writer.map(kernelSpace, 0x9000);
    expect(at()).toBe(0x9000);
  });

  it('round-trip any mapping', () => {
    const span = levels === 4 ? 2n ** 47n : 2n ** 56n;
    const mapping = fc.record({
      place: fc.bigInt({ min: 0n, max: span / BigInt(GIB) - 1n }),
      frame: fc.nat(2 ** 20),
      bytes: fc.constantFrom<PageBytes>(4096, MIB2, GIB),
      into: fc.nat(4095),
    });
    fc.assert(
      fc.property(fc.uniqueArray(mapping, { selector: ({ place }) => place }), (mappings) => {
        const { writer, walk } = made(levels);
        for (const { place, frame, bytes } of mappings)
          writer.map(kernelSpace + place * BigInt(GIB), frame * bytes, bytes);
        for (const { place, frame, bytes, into } of mappings)
          expect(walk(kernelSpace + place * BigInt(GIB) + BigInt(into))).toBe(frame * bytes + into);
      }),
      { numRuns: 50 },
    );
  });

  it('report the protection of an address', () => {
    const { writer, tables } = made(levels);
    const protection = (address: bigint): unknown => tables.protection(highHalf(address), lowHalf(address));
    writer.map(kernelSpace, 0x20_0000, MIB2, { writable: false, executable: true });
    writer.map(kernelSpace + BigInt(MIB2), 0x5000, 4096, { writable: false });
    writer.map(kernelSpace + BigInt(2 * MIB2), 0x40_0000, MIB2);
    expect(protection(kernelSpace)).toEqual({ writable: false, executable: true });
    expect(protection(kernelSpace + BigInt(MIB2))).toEqual({ writable: false, executable: false });
    expect(protection(kernelSpace + BigInt(2 * MIB2))).toEqual({ writable: true, executable: false });
    expect(protection(kernelSpace + BigInt(3 * MIB2))).toBeUndefined();
  });
});
