import { deflateSync } from 'node:zlib';
import { FLAGS } from '../../test/support/dump/compress.js';
import type { BlockSpec } from '../../test/support/dump/diskdump.js';
import type { Random } from './random.js';

const MIB = 2 ** 20;
let zlibBomb: Uint8Array | undefined;

/** A compressed page that is too large, too small, endless or nonsense. */
export function bomb(random: Random, sound: Uint8Array, told: string[]): BlockSpec {
  const [name, stored, flags] = random.pick([
    () => ['zlib of 64 MiB', zlibHuge(), FLAGS.zlib] as const,
    () => ['zstd frame of 2 TiB', zstdHuge(), FLAGS.zstd] as const,
    () => ['zstd runs of 128 KiB', zstdRuns(), FLAGS.zstd] as const,
    () => ['snappy of 4 GiB', Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0, 1, 2), FLAGS.snappy] as const,
    () => ['snappy copies', snappyCopies(), FLAGS.snappy] as const,
    () => ['lzo run', lzoRun(), FLAGS.lzo] as const,
    () => ['random', random.bytes(random.below(8192)), random.pick(Object.values(FLAGS))] as const,
    () => ['cut', sound.subarray(0, random.below(sound.length)), random.pick(Object.values(FLAGS))] as const,
    () => ['other codec', sound, random.pick([...Object.values(FLAGS), 3, 0x27, 0x40])] as const,
  ])();
  told.push(`a page is ${name}, flags ${flags}`);
  return { stored, flags };
}

function zlibHuge(): Uint8Array {
  zlibBomb ??= deflateSync(Buffer.alloc(64 * MIB));
  return zlibBomb;
}

/** A frame header with an 8-byte content size, and one run. */
function zstdHuge(): Uint8Array {
  const frame = Buffer.alloc(17);
  frame.writeUInt32LE(0xfd2fb528, 0);
  frame.writeUInt8(0b1110_0000, 4);
  frame.writeBigUInt64LE(2n ** 41n, 5);
  frame.writeUIntLE((0x1ffff << 3) | 0b011, 13, 3);
  return frame;
}

/** A thousand blocks of 128 KiB each, of 4 bytes each. */
function zstdRuns(): Uint8Array {
  const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58]);
  const run = Buffer.alloc(4);
  run.writeUIntLE((0x20000 << 3) | 0b010, 0, 3);
  return Buffer.concat([head, ...Array.from({ length: 1000 }, () => run)]);
}

/** Claims a page, and copies from before its start. */
function snappyCopies(): Uint8Array {
  return Buffer.concat([Buffer.from([0x80, 0x20]), Buffer.alloc(300, Buffer.from([0xfe, 0xff, 0xff]))]);
}

/** A match whose length goes on for kilobytes of zeros. */
function lzoRun(): Uint8Array {
  return Buffer.concat([Buffer.from([0x15, 1, 2, 3, 4, 0x20]), Buffer.alloc(60_000), Buffer.from([1, 0, 0])]);
}
