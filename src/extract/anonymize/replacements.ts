import type { NativeKernel } from '../../kernel/native/parts.js';
import { decodeBytes } from '../../walk/struct-reader.js';
import type { KeptPages } from '../kept-pages.js';

/** Kinds of names in an extract that may identify its machine. */
export const NAME_KINDS = [
  'addresses',
  'paths',
  'commands',
  'cgroups',
  'interfaces',
  'hosts',
] as const;
export type NameKind = (typeof NAME_KINDS)[number];

/** A name and its replacement; equal if the name identifies no machine (127.0.0.1, lo). Untrusted. */
export interface Replacement {
  readonly made: string;
  readonly real: string;
}

/** All names in an extract, each once per kind. */
export class Replacements {
  readonly #kinds = new Map<NameKind, Map<string, string>>(
    NAME_KINDS.map((kind) => [kind, new Map()]),
  );

  add(kind: NameKind, real: string, made: string): void {
    if (real !== '') this.#kinds.get(kind)?.set(real, made);
  }

  /** The same for names without the NUL. */
  addBytes(kind: NameKind, real: Uint8Array, made: Uint8Array): void {
    this.add(kind, decodeBytes(real), decodeBytes(made));
  }

  of(kind: NameKind): Replacement[] {
    return [...(this.#kinds.get(kind) ?? [])].map(([real, made]) => ({ made, real }));
  }
}

/**
 * Replaces names with others of the same length: the same name always has the same replacement, and different
 * names have different ones if the length permits (36 names of one character). Replacements are numbered in
 * order of first use.
 */
export class Names {
  readonly #letter: string;
  readonly #made = new Map<string, Uint8Array>();
  readonly #counts = new Map<number, number>();

  /** @param letter first letter of names, if there is room */
  constructor(letter: string) {
    this.#letter = letter;
  }

  /** @param name bytes without NUL; slashes are kept, since they are separators */
  of(name: Uint8Array): Uint8Array {
    const key = Buffer.from(name).toString('latin1');
    let made = this.#made.get(key);
    if (made === undefined) {
      made = this.#make(key);
      this.#made.set(key, made);
    }
    return made;
  }

  #make(name: string): Uint8Array {
    const slash = name.startsWith('/') ? '/' : '';
    const room = name.length - slash.length;
    if (room <= 0) return Buffer.from(name, 'latin1');
    const count = this.#counts.get(room) ?? 0;
    this.#counts.set(room, count + 1);
    const number = (count % 36 ** Math.min(room, 8)).toString(36);
    const made = room > number.length ? this.#letter + number.padStart(room - 1, '0') : number;
    return Buffer.from(slash + made, 'latin1');
  }
}

/** Replacement bytes, by page number, with their offsets in the page. */
export type Patches = ReadonlyMap<number, readonly Patch[]>;

export interface Patch {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Collects patches at virtual addresses of kept data. */
export class Patcher {
  readonly patches = new Map<number, Patch[]>();
  readonly #kernel: NativeKernel;
  readonly #kept: KeptPages;

  constructor(kernel: NativeKernel, kept: KeptPages) {
    this.#kernel = kernel;
    this.#kept = kept;
  }

  /** @returns whether any of those bytes is kept */
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
