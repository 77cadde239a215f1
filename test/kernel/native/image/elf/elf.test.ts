import { statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { openImage } from '../../../../../src/kernel/native/image/open.js';
import { vmcoreinfoNote, writeElf } from '../../../../support/dump/elf.js';
import { writeExtents } from '../../../../support/dump/extents.js';
import { DumpDirectory, pageOf } from '../../../../support/dump/file.js';

const directory = new DumpDirectory();
afterAll(() => directory.dispose());

function bytes(view: DataView): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

const direct = 0xffff888000000000n;

describe('an ELF core of kdump', () => {
  const low = Buffer.concat([pageOf(1), pageOf(2), pageOf(3)]);
  const high = pageOf(4);
  const file = directory.write(
    'vmcore',
    writeElf({
      notes: [vmcoreinfoNote('OSRELEASE=6.1.0\nPAGESIZE=4096\n')],
      loads: [
        { virtual: 0xffffffff81001000n, physical: 0x2000n, data: low.subarray(4096, 8192) },
        { virtual: direct + 0x1000n, physical: 0x1000n, data: low },
        { virtual: direct + 0x1_8000_0000n, physical: 0x1_8000_0000n, data: high, memorySize: 8192 },
      ],
    }),
  );
  const image = openImage([file]);
  afterAll(() => image.close());

  it('reads physical memory across chunks, beyond 4 GiB and in overlapping segments', () => {
    expect(bytes(image.readPhysical(0x1000, 12288)).equals(low)).toBe(true);
    expect(bytes(image.readPhysical(0x2008, 16)).equals(low.subarray(4104, 4120))).toBe(true);
    expect(bytes(image.readPhysical(0x1_8000_0000, 4096)).equals(high)).toBe(true);
  });

  it('reads virtual memory through the segments', () => {
    expect(bytes(image.readVirtual(0xffffffff81001ff8n, 8)!).equals(low.subarray(8184, 8192))).toBe(true);
    expect(bytes(image.readVirtual(direct + 0x1_8000_0010n, 8)!).equals(high.subarray(16, 24))).toBe(true);
    expect(image.readVirtual(0xffffc90000000000n, 8)).toBeUndefined();
  });

  it('distinguishes filtered from absent memory', () => {
    expect(() => image.readPhysical(0x1_8000_1000, 8)).toThrow(expect.objectContaining({ code: 'filtered' }));
    expect(() => image.readPhysical(0x1_8000_0ff8, 16)).toThrow(
      expect.objectContaining({ code: 'filtered', address: 0x1_8000_1000n }),
    );
    expect(() => image.readPhysical(0x4000, 8)).toThrow(expect.objectContaining({ code: 'absent' }));
    expect(() => image.readPhysical(0, 8)).toThrow(expect.objectContaining({ code: 'absent' }));
    expect(() => image.readVirtual(direct + 0x1_8000_1000n, 8)).toThrow(expect.objectContaining({ code: 'filtered' }));
  });

  it('reports its facts', () => {
    expect(image.vmcoreinfo).toBe('OSRELEASE=6.1.0\nPAGESIZE=4096\n');
    expect(image.facts).toMatchObject({ format: 'elf', machine: 'x86_64', live: false, anomalies: [] });
    expect([...image.facts.physicalRanges]).toEqual([
      { start: 0x1000, end: 0x4000 },
      { start: 0x1_8000_0000, end: 0x1_8000_1000 },
    ]);
    expect(Array.from(image.virtualRanges, ({ address, physical }) => [address, physical])).toEqual([
      [direct + 0x1000n, 0x1000],
      [direct + 0x1_8000_0000n, 0x1_8000_0000],
      [0xffffffff81001000n, 0x2000],
    ]);
  });
});

it('reads overlapping memory from the segment that starts first', () => {
  const anyLoads = fc.array(fc.record({ at: fc.nat(60), bytes: fc.integer({ min: 1, max: 40 }) }), {
    minLength: 1,
    maxLength: 12,
  });
  fc.assert(
    fc.property(anyLoads, (places) => {
      const loads = places.map(({ at, bytes }, i) => ({
        virtual: direct + BigInt(1000 * i),
        physical: BigInt(at),
        data: new Uint8Array(bytes).fill(i + 1),
      }));
      const image = openImage([directory.write('overlap', writeElf({ loads }))]);
      const inOrder = places.map((place, i) => ({ ...place, i })).sort((a, b) => a.at - b.at);
      for (let address = 0; address < 110; address++) {
        const server = inOrder.find(({ at, bytes }) => address >= at && address < at + bytes);
        if (server) expect(image.readPhysical(address, 1).getUint8(0)).toBe(server.i + 1);
        else expect(() => image.readPhysical(address, 1)).toThrow(/absent|not in the dump/);
      }
      const found = Array.from(image.virtualRanges, ({ physical }) => physical);
      expect(found).toEqual(places.map(({ at }) => at));
      image.close();
    }),
    { numRuns: 50 },
  );
});

it.each<readonly [string, number, string[]]>([
  ['the same bytes twice', 1, []],
  ['different bytes', 2, ['two segments contain different bytes of physical memory at 0x2000']],
])('reports segments with %s', (_, byte, anomalies) => {
  const data = Buffer.concat([pageOf(1), pageOf(1), pageOf(3)]);
  const loads = [
    { physical: 0x1000n, data },
    { physical: 0x2000n, virtual: 0xffffffff81000000n, data: pageOf(byte) },
  ];
  const image = openImage([directory.write(`twice-${byte}`, writeElf({ loads }))]);
  expect(image.facts.anomalies).toEqual(anomalies);
  expect(image.facts.contradiction).toBe(anomalies[0]);
  image.close();
});

it('reports all segments beyond physical memory in one line', () => {
  const far = Array.from({ length: 5 }, (_, i) => ({ physical: 2n ** 60n + BigInt(i), data: new Uint8Array(8) }));
  const loads = [{ physical: 0n, data: pageOf(1) }, ...far];
  const image = openImage([directory.write('beyond', writeElf({ loads }))]);
  expect(image.facts.anomalies).toEqual(['5 segments (first at 0x1000000000000000) beyond physical memory ignored']);
  image.close();
});

it('rejects segments with impossible sizes', () => {
  const loads = Array.from({ length: 5 }, (_, i) => ({
    virtual: 2n ** 63n + BigInt(i) * 2n ** 57n,
    physical: 2n ** 60n,
    data: new Uint8Array(8),
    fileSize: 2 ** 62,
  }));
  const many = Array.from({ length: 64 }, () => loads).flat();
  expect(() => openImage([directory.write('claims', writeElf({ loads: many }))])).toThrow(
    expect.objectContaining({ code: 'damaged' }),
  );
});

it('reads a QEMU core, which has no virtual addresses, and PN_XNUM', () => {
  const loads = [{ physical: 0n, data: pageOf(7) }];
  const image = openImage([directory.write('qemu', writeElf({ loads, pnXnum: true }))]);
  expect([...image.virtualRanges]).toEqual([]);
  expect(bytes(image.readPhysical(0, 4096)).equals(pageOf(7))).toBe(true);
  image.close();
});

it('reads at file offsets beyond 4 GiB', () => {
  const far = 5 * 2 ** 30 + 0x1234;
  const loads = [{ physical: 2n ** 40n, data: pageOf(3), offset: BigInt(far) }];
  const file = writeExtents(join(directory.path, 'far'), [
    { offset: 0, bytes: writeElf({ loads }) },
    { offset: far, bytes: pageOf(8) },
  ]);
  const image = openImage([file]);
  expect(bytes(image.readPhysical(2 ** 40, 4096)).equals(pageOf(8))).toBe(true);
  expect(image.facts.anomalies).toEqual([]);
  image.close();
});

it('rejects an excessive length before it allocates', () => {
  const loads = [{ physical: 0n, data: pageOf(1), memorySize: 2 ** 40 }];
  const image = openImage([directory.write('long', writeElf({ loads }))]);
  expect(() => image.readPhysical(0, 2 ** 39)).toThrow(expect.objectContaining({ code: 'refused' }));
  image.close();
});

it('opens a truncated core, and reports the missing memory', () => {
  const data = Buffer.concat([pageOf(1), pageOf(2)]);
  const whole = writeElf({ loads: [{ physical: 0n, data }] });
  const file = directory.write('cut', whole);
  truncateSync(file, whole.length - 4096);
  const image = openImage([file]);
  expect(image.facts.anomalies).toEqual([`truncated (needs ${whole.length} bytes, has ${whole.length - 4096})`]);
  expect([...image.facts.physicalRanges]).toEqual([{ start: 0, end: 4096 }]);
  expect(bytes(image.readPhysical(0, 4096)).equals(pageOf(1))).toBe(true);
  expect(() => image.readPhysical(4090, 8)).toThrow(expect.objectContaining({ code: 'truncated' }));
  image.close();

  truncateSync(file, 100);
  expect(() => openImage([file])).toThrow(/needs 176 bytes, has 100/);
});

it('takes memory that a truncated core has only in a later segment from there', () => {
  // The direct map begins first, and its data is cut; the kernel's own mapping is at the start of the file.
  const loads = [
    { virtual: 0xffffffff81000000n, physical: 8192n, data: pageOf(3) },
    { virtual: direct, physical: 0n, data: Buffer.concat([pageOf(1), pageOf(2), pageOf(3), pageOf(4)]) },
  ];
  const file = directory.write('cut-overlap', writeElf({ loads }));
  truncateSync(file, statSync(file).size - 3 * 4096 + 100);
  const image = openImage([file]);
  expect([...image.facts.physicalRanges]).toEqual([
    { start: 0, end: 4196 },
    { start: 8192, end: 12288 },
  ]);
  expect(bytes(image.readPhysical(0, 4096)).equals(pageOf(1))).toBe(true);
  expect(bytes(image.readPhysical(8192, 4096)).equals(pageOf(3))).toBe(true);
  for (const [address, length] of [
    [4096, 4096],
    [8192, 4097],
    [12288, 1],
  ] as const)
    expect(() => image.readPhysical(address, length)).toThrow(expect.objectContaining({ code: 'truncated' }));
  expect(() => image.readPhysical(16384, 1)).toThrow(expect.objectContaining({ code: 'absent' }));
  image.close();
});

it.each([['vmlinux', { type: 2 }]])('refuses %s by name', (name, spec) => {
  const loads = [{ physical: 0n, data: pageOf(1) }];
  const file = directory.write('refused', writeElf({ loads, ...spec }));
  expect(() => openImage([file])).toThrow(name);
});
