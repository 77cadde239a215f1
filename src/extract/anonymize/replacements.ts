import type { ExtractAnswer } from '../../contracts/extract.js';
import { untilNul } from '../../kernel/bytes.js';
import type { NativeKernel } from '../../kernel/native/parts.js';
import { decodeBytes } from '../../walk/struct-reader.js';
import type { KeptPages } from '../kept-pages.js';

/** Kinds of names in an extract that may identify its machine. */
export const NAME_KINDS = ['addresses', 'paths', 'commands', 'cgroups', 'interfaces', 'hosts'] as const;
export type NameKind = (typeof NAME_KINDS)[number];

/** A name and its replacement; equal if the name identifies no machine (127.0.0.1, lo). Untrusted. */
export interface Replacement {
  readonly made: string;
  readonly real: string;
}

/** All names in an extract, each once per kind. */
export class Replacements {
  readonly #kinds = new Map<NameKind, Map<string, string>>(NAME_KINDS.map((kind) => [kind, new Map()]));

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

  counts(anonymized: boolean): ExtractAnswer['names'] {
    const counts = NAME_KINDS.map((kind) => {
      const all = this.of(kind);
      const replaced = anonymized ? all.filter(({ made, real }) => made !== real).length : 0;
      return [kind, { replaced, kept: all.length - replaced }];
    });
    return Object.fromEntries(counts) as ExtractAnswer['names'];
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

/**
 * Replaces addresses: the same address always has the same replacement, different addresses have different
 * ones, and the kind (loopback, private, link-local, multicast, public), which an answer may depend on, is
 * kept. Replacements are numbered in order of first use, so that they reveal nothing of the address.
 */
export class Addresses {
  readonly #v4 = new Map<string, Uint8Array>();
  readonly #v6 = new Map<string, Uint8Array>();
  readonly #counts = new Map<string, number>();

  /** @param address 4 bytes in network order */
  v4(address: Uint8Array): Uint8Array {
    const key = address.join('.');
    let made = this.#v4.get(key);
    if (made === undefined) {
      made = this.#makeV4(address);
      this.#v4.set(key, made);
    }
    return made;
  }

  /** @param address 16 bytes in network order */
  v6(address: Uint8Array): Uint8Array {
    const key = Buffer.from(address).toString('hex');
    let made = this.#v6.get(key);
    if (made === undefined) {
      made = this.#makeV6(address);
      this.#v6.set(key, made);
    }
    return made;
  }

  #makeV4(address: Uint8Array): Uint8Array {
    const [a, b] = [address[0]!, address[1]!];
    // Unspecified, loopback and broadcast addresses identify no machine.
    if (a === 0 || a === 127 || address.every((byte) => byte === 255)) return address.slice();
    const under = (kind: string, prefix: readonly number[]): Uint8Array => withNumber(prefix, this.#next(kind), 4);
    if (a === 10) return under('10', [10]);
    if (a === 172 && (b & 0xf0) === 16) return under('172', [172, 16]);
    if (a === 192 && b === 168) return under('192', [192, 168]);
    if (a === 169 && b === 254) return under('169', [169, 254]);
    if (a >= 224 && a < 240) return under('multicast', [239]);
    // Class E: accepted by every program, and not assigned.
    return under('public', [240]);
  }

  #makeV6(address: Uint8Array): Uint8Array {
    const mapped = address.subarray(0, 10).every((byte) => byte === 0);
    if (mapped && address[10] === 0xff && address[11] === 0xff) {
      const made = address.slice();
      made.set(this.v4(address.subarray(12)), 12);
      return made;
    }
    // :: and ::1
    if (address.subarray(0, 15).every((byte) => byte === 0) && address[15]! <= 1) return address.slice();
    const under = (kind: string, prefix: readonly number[]): Uint8Array => withNumber(prefix, this.#next(kind), 16);
    if (address[0] === 0xff) return under('ff', [0xff, address[1]!]);
    if (address[0] === 0xfe && (address[1]! & 0xc0) === 0x80) return under('fe80', [0xfe, 0x80]);
    if ((address[0]! & 0xfe) === 0xfc) return under('fd', [0xfd]);
    // 2001:db8::/32, for documentation.
    return under('public', [0x20, 0x01, 0x0d, 0xb8]);
  }

  #next(kind: string): number {
    const number = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, number);
    return number;
  }
}

/** A prefix, zeros, and a number in the last bytes (at most four). */
function withNumber(prefix: readonly number[], number: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let rest = number;
  for (let at = length - 1; at >= Math.max(prefix.length, length - 4); at--) {
    bytes[at] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  bytes.set(prefix);
  return bytes;
}

/** Name of the loopback device of every machine. */
const LOOPBACK = 'lo';

/** Replaces names of network interfaces, including those inside other names. */
export class Interfaces {
  readonly #names: Names;
  /** Longest first, because `eth0` is a part of `eth0.100`. */
  readonly #known: readonly string[];

  constructor(found: readonly { readonly bytes: Uint8Array }[], names: Names) {
    this.#names = names;
    const known = new Set(found.map(({ bytes }) => latin1(untilNul(bytes))));
    this.#known = [...known].filter(isSomebodys).sort((a, b) => b.length - a.length);
  }

  of(name: Uint8Array): Uint8Array {
    return isSomebodys(latin1(name)) ? this.#names.of(name) : name;
  }

  /**
   * Replaces the interfaces in the command name of a kernel thread: `napi/eth0-8193`, `irq/28-eth0`,
   * `wg-crypt-wg0`, including a name that the kernel truncated at its end.
   *
   * @param most maximum length of such a name in characters
   */
  within(comm: Uint8Array, most: number): Uint8Array {
    const text = latin1(comm);
    for (const known of this.#known) {
      const made = latin1(this.#names.of(Buffer.from(known, 'latin1')));
      for (let at = text.indexOf(known); at >= 0; at = text.indexOf(known, at + 1)) {
        if (!isEdge(text[at - 1]) || !isEdge(text[at + known.length])) continue;
        return Buffer.from(text.slice(0, at) + made + text.slice(at + known.length), 'latin1');
      }
      const cut = text.length === most ? cutAt(text, known) : undefined;
      if (cut === undefined) continue;
      return Buffer.from(text.slice(0, cut) + made.slice(0, text.length - cut), 'latin1');
    }
    return comm;
  }
}

/** A shorter common prefix may be chance. */
const SHORTEST_CUT = 3;

/** Returns the position at which the text ends with the beginning of a name; undefined if it does not. */
function cutAt(text: string, name: string): number | undefined {
  for (let length = Math.min(name.length - 1, text.length); length >= SHORTEST_CUT; length--) {
    const at = text.length - length;
    if (text.endsWith(name.slice(0, length)) && isEdge(text[at - 1])) return at;
  }
  return undefined;
}

function isEdge(char: string | undefined): boolean {
  return char === undefined || !/[A-Za-z0-9_]/.test(char);
}

function isSomebodys(name: string): boolean {
  return name !== '' && name !== LOOPBACK;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
