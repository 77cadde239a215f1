import { KernelError } from '../../../base/errors.js';
import type { LazyBytes } from '../memory.js';

/** Names are compressed with 256 tokens (scripts/kallsyms.c); each is a short string. */
export const TOKENS = 256;
/** Bytes of `kallsyms_token_index`: 16 bits per token. */
export const TOKEN_INDEX_BYTES = TOKENS * 2;
/** Larger than the token table of any kernel; a token is at most one name long. */
const MAX_TABLE_BYTES = 65_536;
const MAX_TOKEN_BYTES = 512;

/** The strings that the bytes of a compressed name stand for. */
export class Tokens {
  readonly strings: readonly string[];

  /**
   * @param index `kallsyms_token_index`
   * @param table `kallsyms_token_table`, at least up to its last token
   * @throws {KernelError} `damaged` when the two are inconsistent
   */
  constructor(index: DataView, table: Uint8Array) {
    const strings: string[] = [];
    for (let token = 0; token < TOKENS; token++) {
      const from = index.getUint16(token * 2, true);
      const end = table.indexOf(0, from);
      const next = token + 1 < TOKENS ? index.getUint16(token * 2 + 2, true) : end + 1;
      if (end < from || end + 1 !== next || (token === 0 && from !== 0) || end - from > MAX_TOKEN_BYTES)
        throw new KernelError('damaged', `kallsyms: token ${token} does not match its index`);
      strings.push(Buffer.from(table.subarray(from, end)).toString('latin1'));
    }
    this.strings = strings;
  }

  static read(
    memory: { read(address: bigint, length: number): DataView },
    tableAddress: bigint,
    indexAddress: bigint,
  ): Tokens {
    const index = memory.read(indexAddress, TOKEN_INDEX_BYTES);
    // The index follows the table; otherwise the end of the last token is unknown in advance.
    const gap = indexAddress - tableAddress;
    const last = index.getUint16(TOKEN_INDEX_BYTES - 2, true);
    const length = gap > last && gap <= MAX_TABLE_BYTES ? Number(gap) : last + MAX_TOKEN_BYTES;
    const table = memory.read(tableAddress, length);
    return new Tokens(index, new Uint8Array(table.buffer, table.byteOffset, length));
  }
}

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
