import { describe, expect, it } from 'vitest';
import { ReadError } from '../../../src/base/errors.js';
import type { NativeKernel } from '../../../src/kernel/native/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { askDrgn, dumpFile, REAL_DUMPS } from './real-kernels.js';

type DrgnRead = [kind: string, address: string, length: number, answer: string | null];

/** Result of the read, in hex; null if it fails. */
function answer(kernel: NativeKernel, address: bigint, length: number): string | null {
  try {
    const view = kernel.read(address, length);
    return Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('hex');
  } catch (error) {
    if (error instanceof ReadError) return null;
    throw error;
  }
}

describe.each(REAL_DUMPS)('memory of $name', (dump) => {
  it('reads as in drgn, for any address', () => {
    const reads = askDrgn<DrgnRead[]>(dump, './reads.py');
    expect(new Set(reads.map(([kind]) => kind)).size).toBe(7);
    for (const format of ['elf', 'kdump-zlib'] as const) {
      const kernel = openNative({ files: [dumpFile(dump.name, format)] });
      for (const [kind, hex, length, expected] of reads) {
        const address = BigInt(hex);
        if (kind === 'page') {
          expect(kernel.pages.pageOf(address), hex).toBe(BigInt(expected!));
          expect(kernel.pages.addressOfPage(BigInt(expected!)), hex).toBe(address & ~0xfffn);
        } else {
          expect(answer(kernel, address, length), `${kind} ${hex}, ${length} bytes`).toBe(expected);
        }
      }
      kernel.close();
    }
  });
});
