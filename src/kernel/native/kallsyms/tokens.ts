import { KernelError } from '../../../base/errors.js';

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
      if (
        end < from ||
        end + 1 !== next ||
        (token === 0 && from !== 0) ||
        end - from > MAX_TOKEN_BYTES
      )
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
