import { untilNul } from '../../kernel/bytes.js';
import type { Names } from './names.js';

/** What the loopback device of every machine is called: it names nobody. */
const LOOPBACK = 'lo';

/** Made-up names of interfaces, also where they stand within others. */
export class Interfaces {
  readonly #names: Names;
  /** Longest first: `eth0.100` is not a part of `eth0`. */
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
   * The command name of a kernel thread with the interfaces in it replaced: `napi/eth0-8193`,
   * `irq/28-eth0`, `wg-crypt-wg0`. One that the kernel cut off at its end counts too.
   *
   * @param most characters that such a name has at most
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

/** So much of a name's beginning is more than chance. */
const SHORTEST_CUT = 3;

/** Where the beginning of a name ends a text; undefined where it doesn't. */
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
