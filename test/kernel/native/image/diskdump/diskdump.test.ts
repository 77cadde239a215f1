import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { MemoryImage } from '../../../../../src/kernel/native/image/image.js';
import { openImage } from '../../../../../src/kernel/native/image/open.js';
import type { Compression } from '../../../../support/dump/compress.js';
import { type BlockSpec, type DiskdumpSpec, diskdumpExtents } from '../../../../support/dump/diskdump.js';
import { vmcoreinfoNote, writeNotes } from '../../../../support/dump/elf.js';
import { flatten, joinExtents, writeExtents } from '../../../../support/dump/extents.js';
import { DumpDirectory, pageOf } from '../../../../support/dump/file.js';

const directory = new DumpDirectory();
afterAll(() => directory.dispose());
let files = 0;

function dump(spec: DiskdumpSpec): string {
  return writeExtents(join(directory.path, `dump${files++}`), diskdumpExtents(spec));
}

function page(image: MemoryImage, block: number, size = 4096): Buffer {
  const view = image.readPhysical(block * size, size);
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

function code(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof Error && 'code' in error) return String(error.code);
    throw error;
  }
  return 'none';
}

const memory = new Map<number, BlockSpec>([
  [0, { data: pageOf(1) }],
  [1, { data: pageOf(2), as: 'zlib' }],
  [2, 'zero'],
  [3, 'filtered'],
  [5, { data: pageOf(5), as: 'lzo' }],
  [6, { data: pageOf(6), as: 'snappy' }],
  [7, { data: pageOf(7), as: 'zstd' }],
  [40000, 'zero'],
  [40001, { data: pageOf(8), as: 'zlib' }],
]);

describe.each([1, 2, 3, 4, 5, 6])('kdump compressed, version %i', (version) => {
  const image = openImage([
    dump({
      version,
      blocks: 40100,
      memory,
      dumpLevel: 17,
      status: 1,
      release: '6.1.0-test',
      vmcoreinfo: 'OSRELEASE=6.1.0-test\n',
    }),
  ]);
  afterAll(() => image.close());

  it('reads pages of every kind', () => {
    for (const [block, seed] of [
      [0, 1],
      [1, 2],
      [5, 5],
      [6, 6],
      [7, 7],
      [40001, 8],
    ] as const) {
      expect(page(image, block).equals(pageOf(seed))).toBe(true);
    }
    expect(page(image, 2).equals(Buffer.alloc(4096))).toBe(true);
    expect(page(image, 40000).equals(Buffer.alloc(4096))).toBe(true);
  });

  it('reads across a page boundary', () => {
    const view = image.readPhysical(4096 - 8, 4096 + 16);
    const expected = Buffer.concat([pageOf(1), pageOf(2), Buffer.alloc(4096)]);
    expect(Buffer.from(view.buffer).equals(expected.subarray(4088, 4088 + 4112))).toBe(true);
  });

  it('distinguishes filtered from absent, and names the first bad address', () => {
    expect(code(() => image.readPhysical(3 * 4096, 8))).toBe('filtered');
    expect(() => image.readPhysical(3 * 4096 - 8, 16)).toThrow(
      expect.objectContaining({ code: 'filtered', address: 0x3000n }),
    );
    expect(code(() => image.readPhysical(4 * 4096, 8))).toBe('absent');
    expect(code(() => image.readPhysical(2 ** 40, 8))).toBe('absent');
    expect(code(() => image.readPhysical(-8, 8))).toBe('absent');
  });

  it('reports its facts', () => {
    expect(image.facts).toMatchObject({
      format: 'diskdump',
      description: `kdump compressed, version ${version}`,
      machine: 'x86_64',
      release: '6.1.0-test',
      dumpLevel: 17,
      anomalies: [],
    });
    expect([...image.facts.compression].sort()).toEqual(['lzo', 'none', 'snappy', 'zlib', 'zstd']);
    expect(image.vmcoreinfo).toBe(version >= 3 ? 'OSRELEASE=6.1.0-test\n' : undefined);
    expect([...image.facts.physicalRanges]).toEqual([
      { start: 0, end: 0x3000 },
      { start: 0x5000, end: 0x8000 },
      { start: 40000 * 4096, end: 40002 * 4096 },
    ]);
  });
});

it('reads VMCOREINFO and the machine from the notes if the header has neither', () => {
  const prstatus = { name: 'CORE', type: 1, data: new Uint8Array(392) };
  const notes = writeNotes([prstatus, vmcoreinfoNote('PAGESIZE=4096\n')]);
  const spec = { blocks: 8, blockSize: 65536, machine: 'Unknown', notes };
  const data = Buffer.concat([pageOf(1, 32768), pageOf(2, 32768)]);
  const image = openImage([dump({ ...spec, memory: new Map([[3, { data, as: 'lzo' }]]) })]);
  expect(image.facts.machine).toBe('aarch64');
  expect(image.vmcoreinfo).toBe('PAGESIZE=4096\n');
  expect(page(image, 3, 65536).equals(data)).toBe(true);
  image.close();
});

it('reads at file offsets and physical addresses beyond 4 GiB', () => {
  const far = 3 * 2 ** 32;
  const blocks = 2 ** 29;
  const memory = new Map<number, BlockSpec>([
    [2 ** 20 + 5, { data: pageOf(1), as: 'zlib' }],
    [blocks - 1, { data: pageOf(2) }],
  ]);
  const image = openImage([dump({ blocks, memory, dataOffset: far })]);
  expect(page(image, 2 ** 20 + 5).equals(pageOf(1))).toBe(true);
  expect(page(image, blocks - 1).equals(pageOf(2))).toBe(true);
  expect(code(() => image.readPhysical((blocks - 2) * 4096, 8))).toBe('absent');
  image.close();
});

it('counts more than 2^32 blocks', () => {
  const blocks = 2 ** 33;
  const memory = new Map<number, BlockSpec>([
    [7, { data: pageOf(1) }],
    [blocks - 1, { data: pageOf(2) }],
  ]);
  const image = openImage([dump({ blocks, memory })]);
  expect(page(image, 7).equals(pageOf(1))).toBe(true);
  expect(code(() => image.readPhysical(2 ** 32 * 4096, 8))).toBe('absent');
  image.close();
});

it('does not hold the bitmap of 4 TiB in memory', () => {
  const blocks = 2 ** 30;
  const ends = [0, 2 ** 20, 2 ** 29, blocks - 1];
  const memory = new Map<number, BlockSpec>(ends.map((block, i) => [block, { data: pageOf(i) }]));
  const file = dump({ blocks, memory });
  const before = process.memoryUsage().arrayBuffers;
  const image = openImage([file]);
  ends.forEach((block, i) => {
    expect(page(image, block).equals(pageOf(i))).toBe(true);
  });
  // Each of the two bitmaps is 128 MiB.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(24 * 2 ** 20);
  image.close();
});

it('reports the loss when the writer ran out of space', () => {
  const memory = new Map<number, BlockSpec>([
    [0, { data: pageOf(1) }],
    [1, 'lost'],
  ]);
  const image = openImage([dump({ blocks: 2, memory, status: 0x8 | 0x10, eraseinfo: true })]);
  expect(page(image, 0).equals(pageOf(1))).toBe(true);
  expect(() => image.readPhysical(4096, 8)).toThrow(/the dump is incomplete/);
  expect(image.facts.anomalies).toEqual([
    'dump incomplete (out of disk space during the dump)',
    'some struct pages excluded (makedumpfile -e)',
    'data erased by makedumpfile (eraseinfo)',
  ]);
  image.close();
});

it('reports a page that does not decompress as damaged, and reads the others', () => {
  const good = pageOf(1);
  const memory = new Map<number, BlockSpec>([
    [0, { stored: Buffer.from('not a stream'), flags: 1 }],
    [1, { stored: Buffer.from('too short'), flags: 0 }],
    [2, { stored: Buffer.alloc(9000), flags: 0 }],
    [3, { data: good }],
  ]);
  const image = openImage([dump({ blocks: 4, memory })]);
  for (const block of [0, 1, 2]) expect(code(() => page(image, block))).toBe('damaged');
  expect(page(image, 3).equals(good)).toBe(true);
  image.close();
});

describe('a truncated file', () => {
  const whole = joinExtents(
    diskdumpExtents({
      blocks: 64,
      memory: new Map(Array.from({ length: 32 }, (_, i) => [i * 2, { data: pageOf(i), as: 'zlib' as const }])),
      vmcoreinfo: 'OSRELEASE=x\n',
    }),
  );

  it('reports missing parts on opening, and reads the existing ones', () => {
    const cut = whole.length - 1000;
    const image = openImage([directory.write('cut', whole.subarray(0, cut))]);
    expect(image.facts.anomalies).toEqual([`truncated (needs at least ${whole.length} bytes, has ${cut})`]);
    expect(page(image, 0).equals(pageOf(0))).toBe(true);
    expect(code(() => page(image, 62))).toBe('truncated');
    image.close();
  });

  it('yields a typed error or correct bytes, wherever it is truncated', () => {
    for (let cut = 0; cut < whole.length; cut += 97) {
      const path = directory.write('cuts', whole.subarray(0, cut));
      const opening = code(() => openImage([path]).close());
      if (opening !== 'none') {
        expect(['truncated', 'not-a-dump']).toContain(opening);
        continue;
      }
      const image = openImage([path]);
      expect(image.facts.anomalies.length).toBeGreaterThan(0);
      for (let i = 0; i < 32; i++) {
        const got = code(() => expect(page(image, i * 2).equals(pageOf(i))).toBe(true));
        expect(['none', 'truncated']).toContain(got);
      }
      image.close();
    }
  });
});

const compressions: Compression[] = ['none', 'zlib', 'lzo', 'snappy', 'zstd'];
/** Numbers and words only, which keeps counterexamples readable; `memoryOf` creates the pages. */
const anyMemory = fc.array(
  fc.tuple(fc.integer({ min: 0, max: 80000 }), fc.constantFrom(...compressions, 'zero' as const, 'filtered' as const)),
  { minLength: 1, maxLength: 60 },
);

function memoryOf(blocks: [number, Compression | 'zero' | 'filtered'][]): Map<number, BlockSpec> {
  return new Map(
    blocks.map(([block, as]) => {
      return [block, as === 'zero' || as === 'filtered' ? as : { data: pageOf(block + 1), as }];
    }),
  );
}

function expectMemory(image: MemoryImage, memory: ReadonlyMap<number, BlockSpec>): void {
  for (const [block, what] of memory) {
    if (what === 'filtered') expect(code(() => page(image, block))).toBe('filtered');
    else if (what === 'zero') expect(page(image, block).equals(Buffer.alloc(4096))).toBe(true);
    else if (typeof what === 'object' && 'data' in what) {
      expect(page(image, block).equals(what.data)).toBe(true);
    }
    if (!memory.has(block + 1)) expect(code(() => page(image, block + 1))).toBe('absent');
  }
}

describe('reads back written data', () => {
  it('in one file', () => {
    fc.assert(
      fc.property(anyMemory, fc.integer({ min: 1, max: 6 }), (blocks, version) => {
        const memory = memoryOf(blocks);
        const image = openImage([dump({ blocks: 80001, memory, version })]);
        expectMemory(image, memory);
        image.close();
      }),
      { numRuns: 40 },
    );
  });

  it('in a flattened stream, whatever the order of its records', () => {
    fc.assert(
      fc.property(anyMemory, fc.integer({ min: 100, max: 9000 }), fc.nat(), (blocks, size, turn) => {
        const memory = memoryOf(blocks);
        const extents = diskdumpExtents({ blocks: 80001, memory });
        const turned = [...extents.slice(turn % extents.length), ...extents];
        const stream = flatten(turned, { recordBytes: size });
        const image = openImage([directory.write(`flat${files++}`, stream)]);
        expect(image.facts.anomalies).toEqual([]);
        expectMemory(image, memory);
        image.close();
      }),
      { numRuns: 40 },
    );
  });

  it('in parts of a split dump, whatever their order', () => {
    fc.assert(
      fc.property(anyMemory, fc.integer({ min: 0, max: 80001 }), fc.boolean(), (blocks, at, turn) => {
        const memory = memoryOf(blocks);
        const part = (start: number, end: number) => dump({ blocks: 80001, memory, split: { start, end } });
        const parts = [part(0, at), part(at, 80001)];
        const image = openImage(turn ? parts.reverse() : parts);
        expect(image.facts.anomalies).toEqual([]);
        expectMemory(image, memory);
        image.close();
      }),
      { numRuns: 40 },
    );
  });
});

describe('a split dump', () => {
  const spec: DiskdumpSpec = { blocks: 40100, memory, timestamp: 77 };
  const first = dump({ ...spec, split: { start: 0, end: 6 } });
  const second = dump({ ...spec, split: { start: 6, end: 30000 } });
  const third = dump({ ...spec, split: { start: 30000, end: 40100 } });

  it('opens without one part, names it, and does not report its pages as filtered', () => {
    const image = openImage([third, first]);
    expect(image.facts.anomalies).toEqual([
      'physical memory 0x6000 to 0x7530000 missing (a part of the split dump was not given)',
    ]);
    expect(image.facts.files).toEqual([first, third]);
    expect(page(image, 40001).equals(pageOf(8))).toBe(true);
    expect(() => page(image, 6)).toThrow(/a part of the split dump that was not given/);
    image.close();
  });

  it('does not confuse a zero page in one file with a page at the same offset of another', () => {
    const memory = new Map<number, BlockSpec>([
      [0, 'zero'],
      [1, { data: pageOf(1) }],
    ]);
    const part = (start: number, end: number) => dump({ blocks: 2, memory, split: { start, end } });
    const image = openImage([part(0, 1), part(1, 2)]);
    expect(page(image, 0).equals(Buffer.alloc(4096))).toBe(true);
    expect(page(image, 1).equals(pageOf(1))).toBe(true);
    image.close();
  });

  it('rejects parts that do not belong together', () => {
    const stranger = dump({ ...spec, timestamp: 78, split: { start: 6, end: 30000 } });
    expect(() => openImage([first, stranger, third])).toThrow(/not a part of the same dump as/);
    expect(() => openImage([first, second, second])).toThrow(/the same part of the split dump as/);
    const alone = dump(spec);
    expect(() => openImage([alone, first])).toThrow(/: not a part of a split dump/);
    const text = join(directory.path, 'text');
    writeFileSync(text, 'no dump\n');
    expect(() => openImage([first, text])).toThrow(/: not a part of the same dump as .*no KDUMP header/);
  });

  it('accepts a part whose writer ran out of space, if it is the only one', () => {
    const cut = dump({ ...spec, status: 8, split: { start: 6, end: 30000 } });
    const image = openImage([first, cut, third]);
    expect(image.facts.anomalies).toEqual([`dump incomplete (out of disk space during the dump) (${cut})`]);
    for (const [block, seed] of [
      [1, 2],
      [6, 6],
      [40001, 8],
    ] as const)
      expect(page(image, block).equals(pageOf(seed)), `block ${block}`).toBe(true);
    image.close();
  });
});

describe('an inconsistent header', () => {
  const good = joinExtents(
    diskdumpExtents({
      blocks: 300,
      memory: new Map<number, BlockSpec>([
        [0, { data: pageOf(1), as: 'zlib' }],
        [200, { data: pageOf(2) }],
      ]),
      vmcoreinfo: 'OSRELEASE=x\n',
      notes: writeNotes([vmcoreinfoNote('OSRELEASE=x\n')]),
    }),
  );
  const path = join(directory.path, 'mutated');

  it('yields a typed error, on opening or on reading', () => {
    const place = fc.oneof(
      fc.integer({ min: 0, max: 463 }),
      fc.integer({ min: 424, max: 463 }),
      fc.integer({ min: 4096, max: 4199 }),
      fc.integer({ min: 5 * 4096, max: good.length - 1 }),
    );
    const interesting = fc.constantFrom(0, 1, 0x7f, 0x80, 0xfe, 0xff);
    const change = fc.tuple(place, fc.oneof(interesting, fc.integer({ min: 0, max: 255 })));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        const bytes = Buffer.from(good);
        for (const [at, value] of changes) bytes[at] = value;
        writeFileSync(path, bytes);
        let image: MemoryImage;
        try {
          image = openImage([path]);
        } catch (error) {
          expect(error).toHaveProperty('code');
          expect(error).toHaveProperty('name', 'KernelError');
          return;
        }
        for (const block of [0, 1, 200, 299]) {
          try {
            image.readPhysical(block * 4096, 4096);
          } catch (error) {
            expect(error).toHaveProperty('name', 'ReadError');
          }
        }
        let ranges = 0;
        for (const _ of image.facts.physicalRanges) if (++ranges > 1000) break;
        image.close();
      }),
      { numRuns: 500 },
    );
  });
});
