import { KernelError, type KernelErrorCode, ReadError, type ReadErrorCode, WalkError } from '../base/errors.js';
import type { KernelDoubt } from '../kernel/kernel.js';
import type { WarningCode } from '../records/warnings.js';
import { TornList } from './list.js';

export type { WarningCode } from '../records/warnings.js';

/** Reason why an answer is incomplete or doubtful. `code` is for programs, `message` for people. */
export interface Warning {
  readonly code: WarningCode;
  readonly message: string;
}

/** Whether a warning only notes a normal change. */
export function isNote({ code }: { readonly code?: string | undefined }): boolean {
  return code === 'freed-while-read';
}

/**
 * Whether an answer with this warning may be complete: the warning is a note, or it concerns the source of
 * all figures, not whether everything was counted.
 */
export function leavesComplete(warning: { readonly code?: string | undefined }): boolean {
  return isNote(warning) || warning.code === 'types-not-verified';
}

/** Number of messages of one kind that are kept; the others are counted. */
const KEPT_PER_KIND = 3;

/** Maximum number of distinct messages per code: a damaged dump can cause any number. */
const MAX_KINDS = 12;

/** Messages that report the same problem for different objects. */
interface Kind {
  readonly code: WarningCode;
  readonly messages: string[];
  dropped: number;
}

/** Collects warnings; their number is limited however damaged the memory is. */
export class Warnings {
  readonly #kinds = new Map<string, Kind>();
  readonly #kindsOfCode = new Map<WarningCode, number>();

  /** @param doubts about the kernel that an answer describes: they are part of it */
  constructor(doubts: readonly KernelDoubt[] = []) {
    for (const { code, message } of doubts) this.add(code, message);
  }

  /** No collected warning makes the answer incomplete. */
  get complete(): boolean {
    return this.list().every(leavesComplete);
  }

  add(code: WarningCode, message: string): void {
    const kind = this.#kind(code, message);
    if (kind.messages.includes(message)) return;
    if (kind.messages.length < KEPT_PER_KIND) kind.messages.push(message);
    else kind.dropped++;
  }

  /** Adds the warnings of another collector. */
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

  /** The kind of a message; one kind for all others of its code if there are too many. */
  #kind(code: WarningCode, message: string): Kind {
    const key = `${code}: ${wordsOf(message)}`;
    const known = this.#kinds.get(key);
    if (known) return known;
    const kinds = this.#kindsOfCode.get(code) ?? 0;
    const others = this.#kinds.get(code);
    if (kinds >= MAX_KINDS && others) return others;
    const kind: Kind = { code, messages: [], dropped: 0 };
    this.#kinds.set(kinds >= MAX_KINDS ? code : key, kind);
    this.#kindsOfCode.set(code, kinds + 1);
    return kind;
  }
}

/** The fixed words of a message: up to a number, and the last ones. */
function wordsOf(message: string): string {
  const number = message.search(/\d/);
  const part = /\bpart of [a-z ]*\w+(?= at 0x[0-9a-f]+\)$)/.exec(message)?.[0] ?? '';
  return `${number < 0 ? message : message.slice(0, number)}${part}`;
}

/**
 * Returns the warning code for an error that makes an answer incomplete.
 *
 * @throws the error itself, if it is of any other kind
 */
export function incompleteness(error: unknown): WarningCode {
  if (error instanceof TornList) return 'torn-list';
  if (error instanceof ReadError) return 'unreadable';
  if (error instanceof KernelError && error.code === 'damaged') return 'corrupt';
  throw error;
}

/**
 * Adds the warning for an error that makes an answer incomplete: `what`, a colon and the error's message.
 *
 * @throws as incompleteness
 */
export function addError(warnings: Pick<Warnings, 'add'>, what: string, error: unknown): void {
  warnings.add(incompleteness(error), `${what}: ${(error as Error).message}`);
}

/** The error that made a fact unknown. */
export type UnknownCode = KernelErrorCode | ReadErrorCode | WalkError['code'];

/** An unknown fact, with the reason. */
export interface Unknown {
  readonly what: string;
  readonly code: UnknownCode;
  readonly why: string;
}

/** Maximum number of listed unknowns. */
const MOST = 100;

/** Collects unknown facts while others are read. */
export class Unknowns {
  readonly #list: Unknown[] = [];

  /** The answer, or undefined with a noted reason. Programming errors are rethrown. */
  try<T>(what: string, answer: () => T): T | undefined {
    try {
      return answer();
    } catch (error) {
      if (!(error instanceof KernelError) && !(error instanceof ReadError) && !(error instanceof WalkError))
        throw error;
      this.add(what, error.code, error.message);
      return undefined;
    }
  }

  add(what: string, code: UnknownCode, why: string): void {
    const known = this.#list.some((warning) => warning.what === what && warning.why === why);
    if (!known && this.#list.length < MOST) this.#list.push({ what, code, why });
  }

  list(): Unknown[] {
    return [...this.#list];
  }
}
