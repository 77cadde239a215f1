import {
  KernelError,
  type KernelErrorCode,
  ReadError,
  type ReadErrorCode,
  WalkError,
} from '../../base/errors.js';

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
      if (
        !(error instanceof KernelError) &&
        !(error instanceof ReadError) &&
        !(error instanceof WalkError)
      )
        throw error;
      this.add(what, error.code, error.message);
      return undefined;
    }
  }

  add(what: string, code: UnknownCode, why: string): void {
    const known = this.#list.some((one) => one.what === what && one.why === why);
    if (!known && this.#list.length < MOST) this.#list.push({ what, code, why });
  }

  list(): Unknown[] {
    return [...this.#list];
  }
}
