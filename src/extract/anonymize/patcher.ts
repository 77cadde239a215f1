import type { NativeKernel } from '../../kernel/native/parts.js';
import type { KeptPages } from '../kept-pages.js';

/** Bytes to put in place of others, by page number, at bytes from its start. */
export type Patches = ReadonlyMap<number, readonly Patch[]>;

export interface Patch {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Collects patches at virtual addresses of what is kept. */
export class Patcher {
  readonly patches = new Map<number, Patch[]>();
  readonly #kernel: NativeKernel;
  readonly #kept: KeptPages;

  constructor(kernel: NativeKernel, kept: KeptPages) {
    this.#kernel = kernel;
    this.#kept = kept;
  }

  /** @returns whether anything of those bytes is kept */
  put(address: bigint, bytes: Uint8Array): boolean {
    const { pageSize } = this.#kernel.facts;
    let kept = false;
    for (let done = 0; done < bytes.length; ) {
      const physical = this.#kernel.physicalOf(address + BigInt(done));
      if (physical === undefined) break;
      const at = physical % pageSize;
      const length = Math.min(bytes.length - done, pageSize - at);
      const page = Math.floor(physical / pageSize);
      if (this.#kept.keepsAny(page, at, length)) {
        kept = true;
        const list = this.patches.get(page) ?? [];
        list.push({ at, bytes: bytes.subarray(done, done + length) });
        this.patches.set(page, list);
      }
      done += length;
    }
    return kept;
  }
}
