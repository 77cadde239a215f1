import { KernelError } from '../../../base/errors/kernel.js';

/** Names are compressed with 256 tokens (scripts/kallsyms.c); each is a short string. */
export const TOKENS = 256;
/** Bytes of `kallsyms_token_index`: 16 bits a token. */
export const TOKEN_INDEX_BYTES = TOKENS * 2;
/** More than a token table takes in any kernel; a token is at most one name long. */
const MOST_TABLE_BYTES = 65_536;
const MOST_TOKEN_BYTES = 512;

/** The strings that a compressed name's bytes stand for. */
export class Tokens {
  readonly strings: readonly string[];

  /**
   * @param index `kallsyms_token_index`
   * @param table `kallsyms_token_table`, at least as far as its last token
   * @throws {KernelError} `damaged` when the two do not describe one another
   */
  constructor(index: DataView, table: Uint8Array) {
    const strings: string[] = [];
    for (let token = 0; token < TOKENS; token++) {
      const from = index.getUint16(token * 2, true);
      const end = table.indexOf(0, from);
      const next = token + 1 < TOKENS ? index.getUint16(token * 2 + 2, true) : end + 1;
      if (
        end < from ||
        end + 1 !== next ||
        (token === 0 && from !== 0) ||
        end - from > MOST_TOKEN_BYTES
      )
        throw new KernelError('damaged', `kallsyms: token ${token} does not match its index`);
      strings.push(Buffer.from(table.subarray(from, end)).toString('latin1'));
    }
    this.strings = strings;
  }

  /** Reads both tables from memory. */
  static read(
    memory: { read(address: bigint, length: number): DataView },
    tableAddress: bigint,
    indexAddress: bigint,
  ): Tokens {
    const index = memory.read(indexAddress, TOKEN_INDEX_BYTES);
    // The index follows the table; where it doesn't, the last token's end is not known ahead.
    const gap = indexAddress - tableAddress;
    const last = index.getUint16(TOKEN_INDEX_BYTES - 2, true);
    const length = gap > last && gap <= MOST_TABLE_BYTES ? Number(gap) : last + MOST_TOKEN_BYTES;
    const table = memory.read(tableAddress, length);
    return new Tokens(index, new Uint8Array(table.buffer, table.byteOffset, length));
  }
}
