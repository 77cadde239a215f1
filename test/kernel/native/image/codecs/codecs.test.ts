import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import snappy from 'snappyjs';
import { describe, expect, it } from 'vitest';
import { type Codec, inflateZlib } from '../../../../../src/kernel/native/image/codecs/codec.js';
import { inflateLzo, inflateSnappy } from '../../../../../src/kernel/native/image/codecs/lz77.js';
import { decodeFrame } from '../../../../../src/kernel/native/image/codecs/zstd.js';
import { compress } from '../../../../support/dump/compress.js';
import { pageOfPattern, VECTORS } from './vectors.js';

const codecs: Readonly<Record<'zlib' | 'lzo' | 'snappy' | 'zstd', Codec>> = {
  zlib: inflateZlib,
  lzo: inflateLzo,
  snappy: inflateSnappy,
  zstd: decodeFrame,
};

function same(output: Uint8Array | undefined, page: Uint8Array): boolean {
  return output !== undefined && Buffer.compare(output, page) === 0;
}

describe.each(VECTORS)('$codec of $pattern', ({ codec, pattern, size, base64 }) => {
  const input = Buffer.from(base64, 'base64');
  const page = pageOfPattern(pattern, size);

  it('restores the page', () => {
    expect(same(codecs[codec](input, size), page)).toBe(true);
  });

  it('rejects another length, truncation, and trailing bytes', () => {
    expect(codecs[codec](input, size / 2)).toBeUndefined();
    expect(codecs[codec](input, size * 2)).toBeUndefined();
    for (const cut of [0, 1, 3, input.length >> 1, input.length - 1]) {
      expect(codecs[codec](input.subarray(0, cut), size)).toBeUndefined();
    }
    expect(codecs[codec](Buffer.concat([input, Buffer.from([1])]), size)).toBeUndefined();
  });

  it('does not throw if any byte is changed', () => {
    for (let at = 0; at < input.length; at++) {
      const damaged = Buffer.from(input);
      damaged[at] = damaged[at]! ^ (1 << (at % 8));
      const output = codecs[codec](damaged, size);
      expect(output === undefined || output.length === size).toBe(true);
    }
  });
});

const page = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 1, max: 300 })), { minLength: 1, maxLength: 60 })
  .map((runs) => {
    const out = new Uint8Array(4096);
    let at = 0;
    for (const [byte, length] of runs) {
      for (let i = 0; i < length && at < 4096; i++) out[at++] = (byte + (i % 7 === 0 ? i : 0)) & 255;
    }
    return out;
  });

it.each(['zlib', 'lzo', 'snappy', 'zstd'] as const)('%s round-trips', (name) => {
  fc.assert(fc.property(page, (bytes) => same(codecs[name](compress(bytes, name), 4096), bytes)));
});

it.each(['zlib', 'lzo', 'snappy', 'zstd'] as const)('%s accepts any bytes without throwing', (name) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const output = codecs[name](bytes, 4096);
      return output === undefined || output.length === 4096;
    }),
    { numRuns: 1000 },
  );
});

it('does not trust sizes in headers', () => {
  const bomb = new Uint8Array(1 << 20);
  expect(inflateZlib(deflateSync(bomb), 4096)).toBeUndefined();
  expect(inflateSnappy(snappy.compress(bomb), 4096)).toBeUndefined();
  expect(decodeFrame(compress(bomb, 'zstd'), 4096)).toBeUndefined();
  // A length of 2^32 - 1, and one whose varint does not terminate.
  expect(inflateSnappy(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0), 4096)).toBeUndefined();
  expect(inflateSnappy(new Uint8Array(9).fill(0xff), 4096)).toBeUndefined();
  // 60 KiB of zero bytes extend an LZO run by 255 each.
  const long = Buffer.concat([Buffer.alloc(60000), Buffer.from([1])]);
  expect(inflateLzo(long, 4096)).toBeUndefined();
});
