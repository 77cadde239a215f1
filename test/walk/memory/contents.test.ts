import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { contentOf } from '../../../src/walk/memory/contents.js';

const FACTS = { arch: 'x86_64', pageSize: 4096, memoryEnd: 131_072 } as const;

function page(fill: (bytes: Buffer) => void): DataView {
  const bytes = Buffer.alloc(4096);
  fill(bytes);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function words(count: number, word: (number: number) => bigint): DataView {
  return page((bytes) => {
    for (let number = 0; number < count; number++) bytes.writeBigUInt64LE(word(number), 8 * number);
  });
}

/** An Ethernet and an IPv4 header of a TCP packet with a valid checksum. */
function packet(bytes: Buffer, at: number, ports: readonly [number, number]): void {
  bytes.writeUInt16BE(0x0800, at + 12);
  bytes.set([0x45, 0, 0, 60, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2], at + 14);
  let sum = 0;
  for (let word = 0; word < 20; word += 2) sum += bytes.readUInt16BE(at + 14 + word);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  bytes.writeUInt16BE(~sum & 0xffff, at + 24);
  bytes.writeUInt16BE(ports[0], at + 34);
  bytes.writeUInt16BE(ports[1], at + 36);
}

/** Bytes without a pattern, the same in each run. */
function noise(bytes: Buffer): void {
  for (let at = 0; at < bytes.length; at += 32) bytes.set(createHash('sha256').update(`${at}`).digest(), at);
}

const cases: readonly [kind: string, view: DataView][] = [
  ['zero', page(() => {})],
  ['repeated-word', words(512, () => 0x1234_5678n)],
  ['text', page((bytes) => bytes.write('Nov 24 13:00:01 web-7 app: started\n'.repeat(5)))],
  ['page-table', words(200, (number) => BigInt(number + 1) * 4096n + 0x8000_0000_0000_0867n)],
  ['page-table', words(1, () => 0x0106_3067n)],
  ['data', words(1, () => 0x0106_3065n)],
  ['data', words(200, (number) => BigInt(number + 131_072) * 4096n + 0x67n)],
  ['pointers', words(100, (number) => 0xffff_8880_0000_0000n + BigInt(64 * number))],
  ['data', words(100, (number) => -1n - BigInt(number) + 2n ** 64n - 2n ** 63n)],
  ['poison', page((bytes) => bytes.fill(0x6b))],
  ['high-entropy', page(noise)],
  ['data', page((bytes) => bytes.fill('\x01\x02\x90\x80short', 0, 100))],
];

test.each(cases)('%s', (kind, view) => {
  expect(contentOf(view, FACTS)).toEqual({ kind, ports: [] });
});

test('recognizes packets by their header checksum, and reports their ports', () => {
  const two = page((bytes) => {
    packet(bytes, 66, [9001, 57_598]);
    packet(bytes, 2048, [9001, 40_000]);
  });
  expect(contentOf(two, FACTS)).toEqual({ kind: 'network-frames', ports: [9001, 57_598, 40_000] });
  const wrong = page((bytes) => {
    packet(bytes, 66, [9001, 57_598]);
    bytes[66 + 14 + 8] = 63;
  });
  expect(contentOf(wrong, FACTS).kind).toBe('data');
  const atEnd = page((bytes) => packet(bytes, 4096 - 54, [1, 2]));
  expect(contentOf(atEnd, FACTS).ports).toEqual([1, 2]);
  const many = page((bytes) => {
    for (let at = 0; at < 4000; at += 64) packet(bytes, at, [at, at + 1]);
  });
  expect(contentOf(many, FACTS).ports).toHaveLength(16);
});

test('recognizes page table entries of arm64', () => {
  const arm = { ...FACTS, arch: 'arm64', pageSize: 16_384 } as const;
  expect(
    contentOf(
      words(2, () => 0x40_0003n),
      arm,
    ).kind,
  ).toBe('page-table');
  expect(
    contentOf(
      words(2, () => 0x40_0001n),
      arm,
    ).kind,
  ).toBe('data');
});
