import { ReadError, type ReadErrorCode } from '../../src/base/errors.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import { kernelReading } from './kernel-reading.js';

/** Replacement bytes in memory. */
export interface Patch {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/** Unreadable memory. */
export interface Denial {
  readonly address: bigint;
  readonly length: number;
  readonly code: ReadErrorCode;
}

export interface Damage {
  readonly patches: readonly Patch[];
  readonly denials: readonly Denial[];
}

export const UNDAMAGED: Damage = { patches: [], denials: [] };

/**
 * A kernel with damaged memory: the damage is in decompressed pages, where every reader above sees it.
 * Reports the reads of it.
 */
export function damagedKernel<K extends Kernel>(
  kernel: K,
  { patches, denials }: Damage,
  onRead: (address: bigint, length: number) => void = () => {},
): K {
  const read = (address: bigint, length: number): DataView => {
    const end = address + BigInt(length);
    for (const denial of denials) {
      if (denial.address < end && address < denial.address + BigInt(denial.length))
        throw new ReadError(denial.code, denial.address > address ? denial.address : address);
    }
    const view = kernel.read(address, length);
    onRead(address, length);
    let bytes: Uint8Array | undefined;
    for (const patch of patches) {
      if (patch.address >= end || patch.address + BigInt(patch.bytes.length) <= address) continue;
      bytes ??= new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
      const at = Number(patch.address - address);
      for (let index = Math.max(0, -at); index < patch.bytes.length; index++)
        if (at + index < bytes.length) bytes[at + index] = patch.bytes[index]!;
    }
    return bytes === undefined ? view : new DataView(bytes.buffer);
  };
  return kernelReading(kernel, read);
}
