import {
  KernelError,
  type KernelErrorCode,
  ReadError,
  type ReadErrorCode,
} from '../../base/errors/kernel.js';
import { WalkError } from '../../base/errors/walk.js';

/** What the error was that kept something from being told. */
export type UnknownCode = KernelErrorCode | ReadErrorCode | WalkError['code'];

/** Something that could not be told, and why. */
export interface Unknown {
  readonly what: string;
  readonly code: UnknownCode;
  readonly why: string;
}

/** More than this are not told. */
const MOST = 100;

/** Collects what could not be told while everything else goes on. */
export class Unknowns {
  readonly #list: Unknown[] = [];

  /** The answer, or undefined after noting why there is none. Programming errors go through. */
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
