import { closeSync, copyFileSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openNative } from '../../src/kernel/native/open.js';
import type { Damage } from './damaged-kernel.js';

/**
 * A copy of a lab's ELF dump whose bytes can be overwritten at kernel virtual addresses of the
 * direct map.
 */
export class DamagedDump {
  readonly path: string;
  readonly #folder: string;
  readonly #file: number;
  readonly #directMap: bigint;
  readonly #segments: { physical: bigint; offset: bigint; size: bigint }[] = [];

  constructor(elf: string) {
    this.#folder = mkdtempSync(join(tmpdir(), 'damaged-'));
    this.path = join(this.#folder, 'vmcore');
    copyFileSync(elf, this.path);
    this.#file = openSync(this.path, 'r+');
    const kernel = openNative({ files: [elf] });
    const base = kernel.symbol('page_offset_base');
    if (base === undefined) throw new Error('the dump names no page_offset_base');
    this.#directMap = kernel.read(base, 8).getBigUint64(0, true);
    kernel.close();
    this.#readSegments();
  }

  /** Reads a pointer. */
  pointer(address: bigint): bigint {
    const bytes = Buffer.alloc(8);
    readSync(this.#file, bytes, 0, 8, this.#position(address));
    return bytes.readBigUInt64LE();
  }

  /** Writes damage to the file; missing memory is no part of it. */
  apply(...damages: readonly Damage[]): void {
    for (const { patches } of damages) for (const { address, bytes } of patches) this.setBytes(address, bytes);
  }

  setBytes(address: bigint, bytes: Uint8Array): void {
    writeSync(this.#file, bytes, 0, bytes.length, this.#position(address));
  }

  remove(): void {
    closeSync(this.#file);
    rmSync(this.#folder, { recursive: true });
  }

  #position(address: bigint): number {
    const physical = address - this.#directMap;
    const segment = this.#segments.find((one) => physical >= one.physical && physical < one.physical + one.size);
    if (!segment) throw new Error(`0x${address.toString(16)} is not in the dump's direct map`);
    return Number(physical - segment.physical + segment.offset);
  }

  /** PT_LOADs of the ELF64 program headers. */
  #readSegments(): void {
    const header = Buffer.alloc(64);
    readSync(this.#file, header, 0, 64, 0);
    const at = Number(header.readBigUInt64LE(32));
    for (let index = 0; index < header.readUInt16LE(56); index++) {
      const entry = Buffer.alloc(56);
      readSync(this.#file, entry, 0, 56, at + index * 56);
      if (entry.readUInt32LE(0) !== 1) continue;
      this.#segments.push({
        offset: entry.readBigUInt64LE(8),
        physical: entry.readBigUInt64LE(24),
        size: entry.readBigUInt64LE(32),
      });
    }
  }
}
