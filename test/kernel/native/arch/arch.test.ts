import { describe, expect, test } from 'vitest';
import { MARK } from '../../../../src/kernel/kernel.js';
import { type EntryFormat, walkUserTables } from '../../../../src/kernel/native/arch/arch.js';
import { Arm64PageTables } from '../../../../src/kernel/native/arch/arm64-page-tables.js';
import { X86PageTables } from '../../../../src/kernel/native/arch/x86_64-page-tables.js';
import { Arm64TableWriter, blockBytes } from '../../../support/arm64-page-tables.js';
import { PageTableWriter, SparseMemory } from '../../../support/page-tables.js';

const ROOT = 0x10_0000;
const MIB2 = 0x20_0000;
const GIB = 0x4000_0000;
/** Its lowest table but one is another one than that of the lowest GiB. */
const LATER = BigInt(GIB) + 0x60_0000n;

/** Changes the table of the lowest 2 MiB. */
interface Move {
  to(address: bigint | undefined): void;
  copy(address: bigint): void;
}

/** Returns what a walk visits, in order. */
function visited(
  memory: SparseMemory,
  format: EntryFormat,
  root = ROOT,
  image = memory.image({}),
  table = (): undefined => {},
) {
  const words: string[] = [];
  walkUserTables(image, format, root, {
    table,
    page: (page, pages, frame) => words.push(`${page}+${pages} → ${frame}`),
    absent: (page, pages, type, offset) => words.push(`${page}+${pages} absent, ${type}:${offset}`),
    missing: (page, pages, error) => words.push(`${page}+${pages} lost, ${error.code}`),
  });
  return words;
}

describe.each([4, 5] as const)('page tables of a process of x86_64, %i levels', (levels) => {
  const made = () => {
    const memory = new SparseMemory();
    const writer = new PageTableWriter(memory, ROOT, levels);
    const format = new X86PageTables(memory.image({}), ROOT, levels, 0n).userEntries;
    /** Writes the entry of an address, whose tables must exist. */
    const entry = (address: bigint, value: bigint) => {
      writer.map(address, 0);
      const table = Math.max(...memory.pages.keys()) * 4096;
      memory.writeWord(writer.entryAt(table, address, 1), value);
    };
    return { memory, writer, format, entry };
  };

  test('visit pages of all sizes in address order', () => {
    const { memory, writer, format } = made();
    const high = (1n << (levels === 4 ? 47n : 56n)) - 0x1000n;
    writer.map(high, 0x9000);
    writer.map(0x40_0000n, 0x7_c000_0000, MIB2);
    writer.map(0x1000n, 0x8000);
    writer.map(BigInt(GIB), 0xf_c000_0000, GIB);
    expect(visited(memory, format)).toEqual([
      '1+1 → 8',
      `1024+512 → ${0x7_c000_0000 / 4096}`,
      `${GIB / 4096}+${GIB / 4096} → ${0xf_c000_0000 / 4096}`,
      `${Number(high / 4096n)}+1 → 9`,
    ]);
  });

  test("omit the kernel's half", () => {
    const { memory, writer, format } = made();
    writer.map(levels === 4 ? 0xffff_8000_0000_0000n : 0xff00_0000_0000_0000n, 0x5000);
    expect(visited(memory, format)).toEqual([]);
  });

  test('count an inaccessible page by its inverted address', () => {
    const { memory, format, entry } = made();
    const inverted = ~0x1_2345_6000n & 0x000f_ffff_ffff_f000n;
    entry(0x1000n, inverted | 0x100n);
    expect(visited(memory, format)).toEqual([`1+1 → ${0x12_3456}`]);
  });

  test('omit the zero page, and report swapped-out pages as absent', () => {
    const { memory, format, entry } = made();
    entry(0x1000n, 0x5000n | 0x225n);
    // pte_to_swp_entry decodes it as area 2, page 0x12345.
    entry(0x2000n, (2n << 59n) | ((~0x1_2345n & ((1n << 50n) - 1n)) << 9n));
    expect(visited(memory, format)).toEqual([`2+1 absent, 2:${0x1_2345}`]);
  });

  test('that form a loop end the walk and are reported', () => {
    const { memory, format } = made();
    for (let index = 0; index < 512; index++) memory.writeWord(ROOT + 8 * index, 0x10_0067n);
    expect(() => visited(memory, format)).toThrow('user page tables form a loop');
  });

  test('visit a table of huge pages at each of its places, but a table of tables at one only', () => {
    const { memory, writer, format } = made();
    writer.map(BigInt(GIB), 0x8_0000_0000, MIB2);
    const huge = Math.max(...memory.pages.keys()) * 4096;
    writer.map(BigInt(3 * GIB), 0x9_0000_0000, MIB2);
    memory.writeWord(writer.entryAt(huge - 4096, BigInt(3 * GIB), 3), BigInt(huge) | 0x67n);
    const page = (address: number) => `${address / 4096}+512 → ${0x8_0000_0000 / 4096}`;
    expect(visited(memory, format)).toEqual([page(GIB), page(3 * GIB)]);
    writer.map(BigInt(GIB + MIB2), 0x8000);
    expect(() => visited(memory, format)).toThrow('user page tables form a loop');
  });

  test.each([
    ['used again at a later address', (move: Move) => move.to(LATER), ['1+1 → 8', `${(LATER >> 12n) + 1n}+1 → 8`]],
    ['freed, and has data', (move: Move) => move.to(undefined), []],
    ['in two places', (move: Move) => move.copy(LATER), 'user page tables form a loop'],
  ] as const)('a table that is %s while a running kernel is read', (_, change, found) => {
    const { memory, writer, format } = made();
    writer.map(0x1000n, 0x8000);
    const table = Math.max(...memory.pages.keys()) * 4096;
    writer.map(BigInt(GIB), 0x9000);
    const image = memory.image({ format: 'kcore' });
    const entryOf = (address: bigint) => writer.entryAt(address === LATER ? table + 4096 : table - 4096, address, 2);
    const word = BigInt(table) | 0x67n;
    const move: Move = {
      to: (address) => {
        memory.writeWord(entryOf(0n), 0n);
        if (address !== undefined) memory.writeWord(entryOf(address), word);
        else for (let index = 0; index < 512; index++) memory.writeWord(table + 8 * index, 0x4141_4141_4141_4141n);
      },
      copy: (address) => memory.writeWord(entryOf(address), word),
    };
    const at = found.length > 0 ? 'visit' : 'read';
    let isDone = false;
    const once = () => {
      if (!isDone) change(move);
      isDone = true;
    };
    let tables = 0;
    const whenVisited = (): undefined => {
      if (++tables === levels && at === 'visit') once();
    };
    const changing = {
      ...image,
      readPhysical: (address: number, length: number) => {
        if (address === table && at === 'read') once();
        return image.readPhysical(address, length);
      },
    };
    const walk = () => visited(memory, format, ROOT, changing, whenVisited);
    if (typeof found === 'string') expect(walk).toThrow(found);
    else expect(walk().filter((page) => !page.endsWith('→ 9'))).toEqual(found);
    expect(isDone).toBe(true);
  });

  test('report a missing table with all pages that it may map', () => {
    const { memory, writer, format } = made();
    writer.map(0x1000n, 0x8000);
    memory.pages.delete(Math.max(...memory.pages.keys()));
    writer.map(BigInt(GIB), 0x9000);
    expect(visited(memory, format)).toEqual(['0+512 lost, absent', `${GIB / 4096}+1 → 9`]);
  });
});

describe.each([
  { page: 4096, bits: 39 },
  { page: 4096, bits: 48 },
  { page: 16_384, bits: 47 },
  { page: 65_536, bits: 48 },
] as const)('page tables of a process of arm64, pages of $page, $bits bits', (shape) => {
  test('visit pages and blocks, but not the zero page and swapped-out pages', () => {
    const memory = new SparseMemory();
    const writer = new Arm64TableWriter(memory, 0x4010_0000, shape);
    const tables = new Arm64PageTables(memory.image({}), 0x4010_0000, {
      pageShift: Math.log2(shape.page),
      tableBits: shape.bits,
      addressBits: shape.bits,
    });
    const page = BigInt(shape.page);
    const block = blockBytes(shape, 1);
    const last = (1n << BigInt(shape.bits)) - page;
    writer.map(last, 7n * page, 0, { special: false });
    writer.map(BigInt(4 * block), BigInt(2 * block), 1, { special: false });
    writer.map(page, 9n * page, 0, { special: false });
    writer.map(2n * page, 9n * page, 0);
    const perTable = shape.page / 8;
    expect(visited(memory, tables.userEntries, 0x4010_0000)).toEqual([
      '1+1 → 9',
      `${4 * perTable}+${perTable} → ${2 * perTable}`,
      `${Number(last / page)}+1 → 7`,
    ]);
  });

  // PAGE_NONE: valid is cleared, PXN and UXN are set. Bit 58 (PTE_PROT_NONE) marks it up to 6.9; since then nG does.
  test.each([
    ['up to 6.9', 1n << 58n],
    ['since 6.10', 0n],
  ])('count inaccessible pages and blocks, %s', (_when, own) => {
    const memory = new SparseMemory();
    const writer = new Arm64TableWriter(memory, 0x4010_0000, shape);
    const format = new Arm64PageTables(memory.image({}), 0x4010_0000, {
      pageShift: Math.log2(shape.page),
      tableBits: shape.bits,
      addressBits: shape.bits,
    }).userEntries;
    const page = BigInt(shape.page);
    const block = blockBytes(shape, 1);
    const perTable = shape.page / 8;
    const hide = (at: number) => {
      const entry = memory.read(at, 8).getBigUint64(0, true);
      // Bits for software use, which the writer fills.
      const plain = entry & ~((0xfn << 55n) | 1n);
      memory.writeWord(at, plain | (3n << 53n) | own);
    };
    hide(writer.map(page, 9n * page, 0, { special: false }));
    hide(writer.map(BigInt(4 * block), BigInt(2 * block), 1, { special: false }));
    // A swap entry: bits 1 and 0 are clear; page frame 0xfffff in a migration entry.
    memory.writeWord(writer.map(3n * page, page), (1n << 12n) | (7n << 6n));
    memory.writeWord(writer.map(BigInt(6 * block), BigInt(block), 1), (0xf_ffffn << 8n) | (30n << 2n));
    expect(visited(memory, format, 0x4010_0000)).toEqual([
      '1+1 → 9',
      '3+1 absent, -1:0',
      `${4 * perTable}+${perTable} → ${2 * perTable}`,
      `${6 * perTable}+${perTable} absent, -1:0`,
    ]);
  });
});

test('does not visit the entries of a table that the visitor skips', () => {
  const memory = new SparseMemory();
  const writer = new PageTableWriter(memory, ROOT, 4);
  writer.map(0x1000n, 0x8000);
  const format = new X86PageTables(memory.image({}), ROOT, 4, 0n).userEntries;
  const levelsOf = (least: number) => {
    const levels: number[] = [];
    let pages = 0;
    walkUserTables(memory.image({}), format, ROOT, {
      table: (_frame, levelsBelow) => levels.push(levelsBelow) > 0 && levelsBelow >= least,
      page: () => pages++,
      absent: () => {},
      missing: () => {},
    });
    return [levels, pages];
  };
  expect(levelsOf(0)).toEqual([[3, 2, 1, 0], 1]);
  expect(levelsOf(2)).toEqual([[3, 2, 1], 0]);
});

test('reports dirty and accessed bits', () => {
  const memory = new SparseMemory();
  const writer = new PageTableWriter(memory, ROOT, 4);
  const marks: number[] = [];
  for (const [index, bits] of [0n, 0x20n, 0x40n, 0x60n].entries()) {
    const address = BigInt(index + 1) << 12n;
    writer.map(address, 0x8000);
    const at = writer.entryAt(Math.max(...memory.pages.keys()) * 4096, address, 1);
    memory.writeWord(at, 0x8007n | bits);
  }
  walkUserTables(memory.image({}), new X86PageTables(memory.image({}), ROOT, 4, 0n).userEntries, ROOT, {
    table: () => true,
    page: (_page, _pages, _frame, own) => marks.push(own),
    absent: () => {},
    missing: () => {},
  });
  expect(marks).toEqual([0, MARK.young, MARK.dirty, MARK.dirty | MARK.young]);
});
