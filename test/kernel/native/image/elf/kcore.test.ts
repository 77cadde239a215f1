import { afterAll, describe, expect, it } from 'vitest';
import { openImage } from '../../../../../src/kernel/native/image/open.js';
import { type LoadSpec, vmcoreinfoNote, writeElf } from '../../../../support/dump/elf.js';
import { DumpDirectory, pageOf } from '../../../../support/dump/file.js';

const directory = new DumpDirectory();
afterAll(() => directory.dispose());

/** The notes that fs/proc/kcore.c writes. */
const notes = [
  { name: 'CORE', type: 1, data: new Uint8Array(336) },
  { name: 'CORE', type: 3, data: new Uint8Array(136) },
  { name: 'CORE', type: 4, data: new Uint8Array(9000) },
  vmcoreinfoNote('OSRELEASE=6.1.0\n'),
];
const direct = 0xffff888000000000n;
const vmalloc = 0xffffc90000000000n;
const vmemmap = 0xffffea0000000000n;
const text = 0xffffffff81000000n;
const nowhere = 2n ** 64n - 1n;

function loads(known: boolean): LoadSpec[] {
  const physical = (address: bigint) => (known ? address : 0n);
  return [
    { virtual: text, physical: physical(0x1000000n), data: pageOf(1) },
    // 32 TiB, the size of the vmalloc area; only its first page is in this file.
    { virtual: vmalloc, physical: known ? nowhere : 0n, data: pageOf(2), memorySize: 2 ** 45 },
    { virtual: direct + 0x1000n, physical: physical(0x1000n), data: pageOf(3) },
    { virtual: direct + 2n ** 33n, physical: physical(2n ** 33n), data: pageOf(4) },
    { virtual: vmemmap, physical: known ? nowhere : 0n, data: pageOf(5) },
  ];
}

function bytes(view: DataView | undefined): Buffer {
  return Buffer.from(view!.buffer, view!.byteOffset, view!.byteLength);
}

describe('a file like /proc/kcore', () => {
  const image = openImage([directory.write('kcore', writeElf({ loads: loads(true), notes }))]);
  afterAll(() => image.close());

  it('is live, with VMCOREINFO', () => {
    expect(image.facts).toMatchObject({ format: 'kcore', live: true, description: '/proc/kcore' });
    expect(image.vmcoreinfo).toBe('OSRELEASE=6.1.0\n');
  });

  it('maps text, vmalloc, direct map and vmemmap', () => {
    expect(bytes(image.readVirtual(text, 4096)).equals(pageOf(1))).toBe(true);
    expect(bytes(image.readVirtual(vmalloc + 16n, 8)).equals(pageOf(2).subarray(16, 24))).toBe(true);
    expect(bytes(image.readVirtual(vmemmap, 64)).equals(pageOf(5).subarray(0, 64))).toBe(true);
    expect(image.readVirtual(0xffff800000000000n, 8)).toBeUndefined();
    expect(image.readVirtual(0n, 8)).toBeUndefined();
  });

  it("finds physical memory at the kernel's addresses", () => {
    expect(bytes(image.readPhysical(0x1000, 4096)).equals(pageOf(3))).toBe(true);
    expect(bytes(image.readPhysical(2 ** 33, 4096)).equals(pageOf(4))).toBe(true);
    expect(() => image.readPhysical(0x9000, 8)).toThrow(expect.objectContaining({ code: 'absent' }));
    expect(Array.from(image.virtualRanges, ({ physical }) => physical)).toEqual([
      0x1000,
      2 ** 33,
      undefined,
      undefined,
      0x1000000,
    ]);
  });

  it('rereads only the recorded memory', () => {
    const path = directory.write('changing', writeElf({ loads: loads(true), notes }));
    const changing = openImage([path]);
    const before = changing.readVirtual(text, 8)!;
    const old = before.getUint32(0, true);
    const elsewhere = bytes(changing.readPhysical(2 ** 33, 4096));
    const loadsNow = loads(true).map((load) => ({ ...load, data: pageOf(77) }));
    directory.write('changing', writeElf({ loads: loadsNow, notes }));
    const forget = changing.noteReads();
    expect(changing.readVirtual(text, 8)!.getUint32(0, true)).toBe(old);
    forget();
    expect(changing.readVirtual(text, 8)!.getUint32(0, true)).toBe(77);
    expect(bytes(changing.readPhysical(2 ** 33, 4096))).toEqual(elsewhere);
    // A nested recording has ended; the outer one continues.
    const outer = changing.noteReads();
    changing.noteReads()();
    changing.readVirtual(text, 8);
    const later = loads(true).map((load) => ({ ...load, data: pageOf(78) }));
    directory.write('changing', writeElf({ loads: later, notes }));
    outer();
    expect(changing.readVirtual(text, 8)!.getUint32(0, true)).toBe(78);
    // A view that was returned before stays unchanged.
    expect(before.getUint32(0, true)).toBe(old);
    changing.close();
  });
});

it('reports no physical addresses of a kcore before 4.11, which writes 0 for all', () => {
  const image = openImage([directory.write('old', writeElf({ loads: loads(false), notes }))]);
  expect([...image.facts.physicalRanges]).toEqual([]);
  expect([...image.virtualRanges].every(({ physical }) => physical === undefined)).toBe(true);
  expect(bytes(image.readVirtual(direct + 0x1000n, 4096)).equals(pageOf(3))).toBe(true);
  image.close();
});

it('accepts thousands of program headers', () => {
  const many = Array.from({ length: 70_000 }, (_, i) => ({
    virtual: direct + BigInt(i) * 8192n,
    physical: BigInt(i) * 8192n,
    data: i === 69_999 ? pageOf(5) : new Uint8Array(8),
  }));
  const file = directory.write('many', writeElf({ loads: many, notes, pnXnum: true }));
  const image = openImage([file]);
  expect(bytes(image.readPhysical(69_999 * 8192, 4096)).equals(pageOf(5))).toBe(true);
  expect([...image.virtualRanges]).toHaveLength(70_000);
  image.close();
});

it('distinguishes five-level addresses with file offsets above 2^53', () => {
  const base = 0xff11000000000000n;
  const image = openImage([
    directory.write(
      'la57',
      writeElf({
        notes,
        loads: [
          { virtual: base, physical: 0n, data: pageOf(1) },
          // As in kcore, an offset of the address minus PAGE_OFFSET; no file is that long.
          { virtual: text, physical: 0x1000000n, data: pageOf(2), offset: text - base + 4096n },
        ],
      }),
    ),
  ]);
  expect(bytes(image.readVirtual(base, 4096)).equals(pageOf(1))).toBe(true);
  expect(() => image.readVirtual(text + 8n, 8)).toThrow(expect.objectContaining({ code: 'truncated' }));
  image.close();
});
