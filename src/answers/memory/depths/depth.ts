import type { MemoryAnswer } from '../../../account/memory/answer.js';

export interface DepthOptions {
  /** Rows at most. */
  readonly limit: number;
  /** Columns of the terminal; null: there is none, and nothing is cut or broken. */
  readonly width: number | null;
}

/** One part of the answer to `memory` in more detail, as text. */
export type DepthText = (answer: MemoryAnswer, options: DepthOptions) => string;
