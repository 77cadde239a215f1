import { explainFailure } from '../../src/app/kit/failure.js';
import { KdumpMemError } from '../../src/base/errors.js';

/** How a question ended. */
export type Outcome = Answered | Refused;

export interface Answered {
  readonly kind: 'answered';
  readonly text: string;
  readonly json: unknown;
  /** Parts of it that may be missing, since it says so then: each that is there must be true. */
  readonly claims?: readonly string[];
  /** Nothing says that anything is missing. */
  readonly complete: boolean;
}

export interface Refused {
  readonly kind: 'refused';
  readonly code: string;
  readonly line: string;
  readonly status: number;
}

/** A rule that was broken: what, and the words that tell one fault from another. */
export class Broken extends Error {
  readonly rule: string;

  constructor(rule: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'Broken';
    this.rule = rule;
  }
}

/** Milliseconds of this process's time that an answer may take: the machine may be busy. */
export const MOST_MS = 5_000;

/** A clock of the time that this process was at work, in milliseconds. */
export function clock(): () => number {
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

/** @throws {Broken} where text for a terminal has characters that a terminal acts upon */
export function checkText(text: string): void {
  const found = CONTROLS.exec(text);
  if (!found) return;
  const around = JSON.stringify(text.slice(Math.max(0, found.index - 40), found.index + 20));
  throw new Broken('control character', `U+${found[0].codePointAt(0)?.toString(16)} in ${around}`);
}

/** @throws {Broken} if it is no error that a user is told; gives what the user is told */
export function refusal(error: unknown): Refused {
  if (error instanceof Broken) throw error;
  if (!(error instanceof KdumpMemError)) {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    throw new Broken('untyped error', stack, { cause: error });
  }
  const { line, status } = explainFailure(error);
  checkText(line);
  if (line.includes('\n')) throw new Broken('control character', `a line end in ${line}`);
  return { kind: 'refused', code: error.code, line, status };
}

/** @throws {Broken} if it broke a rule; a refusal is an outcome */
export function ask(question: () => Answered): Outcome {
  const spent = clock();
  let outcome: Outcome;
  try {
    outcome = question();
    checkText(outcome.text);
  } catch (error) {
    outcome = refusal(error);
  }
  const took = spent();
  if (took > MOST_MS) throw new Broken('too slow', `${Math.round(took)} ms`);
  return outcome;
}

/**
 * Opens what was damaged and looks at it, and adds to what was told how that ended.
 *
 * @throws {Broken} with all that was told
 */
export function openWithin(told: string[], open: () => void): readonly string[] {
  const spent = clock();
  try {
    open();
    told.push('opened');
  } catch (error) {
    if (error instanceof Broken)
      throw new Broken(error.rule, `${error.message}\n  ${told.join('\n  ')}`, { cause: error });
    told.push(refusal(error).line);
  }
  if (spent() > MOST_MS) throw new Broken('too slow', told.join('\n  '));
  return told;
}
