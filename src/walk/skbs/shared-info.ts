import type { Kernel } from '../../kernel/kernel.js';
import type { Pointer } from '../../kernel/pointer.js';
import { StructReader } from '../struct-reader.js';

/**
 * SKBFL_MANAGED_FRAG_REFS in `skb_shared_info.flags`: io_uring holds the pages of a buffer registered
 * with it for as long as it is sent, and frags take no references (6.0; nothing had the bit before).
 */
const MANAGED_FRAGS = 16;

// Not `frags`: of the array only the entries in use are read; behind them lies what was there before.
const FIELDS = ['nr_frags', 'frag_list', 'dataref.counter'] as const;

/** What clones of an skb share. */
export interface Shared {
  /** Entries of `frags` in use, as it says. */
  readonly count: number;
  /** The first skb of its frag_list, or 0. */
  readonly list: bigint;
  /** Its frags took no references to their pages. */
  readonly lent: boolean;
  /** Who shares it: the low half counts all references, the high half those to the payload alone. */
  readonly dataref: number;
}

/** Reads the `skb_shared_info` behind the linear head of an skb. */
export class SharedInfo {
  readonly #shared;
  /** `skb_shared_info.flags`, since 5.13. */
  readonly #hasFlags: boolean;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#hasFlags = kernel.struct('skb_shared_info')?.member('flags') !== undefined;
    const flags = this.#hasFlags ? (['flags'] as const) : [];
    this.#shared = new StructReader(kernel, 'skb_shared_info', [...FIELDS, ...flags]).cursor();
  }

  /** @throws {ReadError} */
  read(at: Pointer): Shared {
    const shared = this.#shared.follow(at);
    return {
      count: shared.number('nr_frags'),
      list: shared.pointer('frag_list'),
      lent: this.#hasFlags && (shared.number('flags') & MANAGED_FRAGS) !== 0,
      dataref: shared.number('dataref.counter'),
    };
  }
}
