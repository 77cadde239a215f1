import type { KernelDoubt } from '../kernel/kernel.js';

/** What makes an answer incomplete or doubtful. `code` is for programs, `message` for people. */
export interface Warning {
  readonly code: WarningCode;
  readonly message: string;
}

export const WARNING_CODES = [
  /** Bytes that the answer needs were not in the dump, or could not be read. */
  'unreadable',
  /** A list whose links do not agree: damage in a dump, a race on a live kernel. */
  'torn-list',
  /** A count or a pointer that no sound kernel would hold. */
  'corrupt',
  /** An allocation whose order the kernel does not record. */
  'order-unknown',
  /** Frags in device memory (net_iov): they pin no page of this machine. */
  'device-memory',
  /** A linear head outside the direct map, whose pages were not followed. */
  'head-not-counted',
  /** The kernel has a feature whose layout this program does not know. */
  'unsupported-layout',
  /** Symbols or types were taken for the kernel's release: they may be of another build. */
  'by-release',
  /** Nothing shows that the types of a file are this kernel's. */
  'types-not-verified',
  /** The file of types lacks members that the kernel's structs have. */
  'types-incomplete',
  /** Objects of a live kernel, such as processes, were freed while they were read. Nothing that exists is missing. */
  'freed-while-read',
] as const;
export type WarningCode = (typeof WARNING_CODES)[number];

/** Whether a warning is a note on normal change. */
export function isNote({ code }: { readonly code?: string | undefined }): boolean {
  return code === 'freed-while-read';
}

/**
 * Whether an answer with this warning may be complete: it is a note, or it doubts the source of all figures and
 * not that everything was counted.
 */
export function leavesComplete(warning: { readonly code?: string | undefined }): boolean {
  return isNote(warning) || warning.code === 'types-not-verified';
}

/** How many messages of one kind are kept whole; the rest is counted. */
const KEPT_PER_KIND = 3;

/** Kinds that are told apart, of one code: messages quote what damage can make anything of. */
const MOST_KINDS = 12;

/** Messages that say the same of different objects. */
interface Kind {
  readonly code: WarningCode;
  readonly messages: string[];
  dropped: number;
}

/** Collects warnings, bounded however damaged the memory is. */
export class Warnings {
  readonly #kinds = new Map<string, Kind>();
  readonly #kindsOfCode = new Map<WarningCode, number>();

  /** @param doubts of the kernel that an answer is about: they are part of it */
  constructor(doubts: readonly KernelDoubt[] = []) {
    for (const { code, message } of doubts) this.add(code, message);
  }

  /** Nothing that is collected makes an answer incomplete. */
  get complete(): boolean {
    return this.list().every(leavesComplete);
  }

  add(code: WarningCode, message: string): void {
    const kind = this.#kind(code, message);
    if (kind.messages.includes(message)) return;
    if (kind.messages.length < KEPT_PER_KIND) kind.messages.push(message);
    else kind.dropped++;
  }

  /** Adds another collector's warnings to these. */
  merge(other: Warnings): void {
    for (const { code, messages, dropped } of other.#kinds.values()) {
      for (const message of messages) this.add(code, message);
      if (dropped > 0) this.#kind(code, messages[0]!).dropped += dropped;
    }
  }

  list(): Warning[] {
    return [...this.#kinds.values()].flatMap(({ code, messages, dropped }) => [
      ...messages.map((message) => ({ code, message })),
      ...(dropped > 0 ? [{ code, message: `${dropped} more of the same kind` }] : []),
    ]);
  }

  /** The kind of a message; one for all the others of its code, when there are too many. */
  #kind(code: WarningCode, message: string): Kind {
    const key = `${code}: ${wordsOf(message)}`;
    const known = this.#kinds.get(key);
    if (known) return known;
    const kinds = this.#kindsOfCode.get(code) ?? 0;
    const others = this.#kinds.get(code);
    if (kinds >= MOST_KINDS && others) return others;
    const kind: Kind = { code, messages: [], dropped: 0 };
    this.#kinds.set(kinds >= MOST_KINDS ? code : key, kind);
    this.#kindsOfCode.set(code, kinds + 1);
    return kind;
  }
}

/** What a message says whatever object it is about: its words up to a number, and its last. */
function wordsOf(message: string): string {
  const number = message.search(/\d/);
  const part = /\bpart of [a-z ]*\w+(?= at 0x[0-9a-f]+\)$)/.exec(message)?.[0] ?? '';
  return `${number < 0 ? message : message.slice(0, number)}${part}`;
}
