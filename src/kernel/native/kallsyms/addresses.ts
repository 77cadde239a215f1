import type { LazyBytes } from '../lazy-bytes.js';

/**
 * Encoding of addresses in a table. Encodings differ by version and configuration, and backports mix
 * them: the one that decodes known symbols to their known addresses is used.
 *
 * - `absolute`: 64-bit addresses (`kallsyms_addresses`, before 4.6 and without BASE_RELATIVE).
 * - `relative`: `kallsyms_relative_base` plus an unsigned offset.
 * - `relative-percpu`: a negative offset is relative to the base, less one; others are absolute, for
 *   per-CPU variables (x86_64 before 6.15).
 * - `place`: a signed offset from the entry's own address (since 7.0).
 */
export type AddressEncoding = 'absolute' | 'relative' | 'relative-percpu' | 'place';

/** Addresses of all symbols, in order. */
export class KallsymsAddresses {
  readonly encoding: AddressEncoding;
  readonly #table: LazyBytes;
  readonly #base: bigint;

  /** @param base the value of `kallsyms_relative_base`; for `place`, the address of the table. */
  constructor(table: LazyBytes, encoding: AddressEncoding, base: bigint) {
    this.#table = table;
    this.encoding = encoding;
    this.#base = base;
  }

  at(index: number): bigint {
    const width = entryBytes(this.encoding);
    const at = index * width;
    this.#table.need(at, at + width);
    const { view } = this.#table;
    switch (this.encoding) {
      case 'absolute':
        return view.getBigUint64(at, true);
      case 'relative':
        return BigInt.asUintN(64, this.#base + BigInt(view.getUint32(at, true)));
      case 'relative-percpu': {
        const offset = view.getInt32(at, true);
        if (offset >= 0) return BigInt(offset);
        return BigInt.asUintN(64, this.#base - 1n - BigInt(offset));
      }
      case 'place':
        return BigInt.asUintN(64, this.#base + BigInt(at) + BigInt(view.getInt32(at, true)));
    }
  }
}

export function entryBytes(encoding: AddressEncoding): number {
  return encoding === 'absolute' ? 8 : 4;
}
