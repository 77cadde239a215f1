import { explainFailure } from '../../src/app/kit/failure.js';
import { KdumpMemError } from '../../src/base/errors.js';

/** The outcome of a query. */
export type Outcome = Answered | Refused;

export interface Answered {
  readonly kind: 'answered';
  readonly text: string;
  readonly json: unknown;
  /** Parts of the answer, which may be missing if it reports that: each existing one must be true. */
  readonly claims?: readonly string[];
  /** Nothing reports that anything is missing. */
  readonly complete: boolean;
}

export interface Refused {
  readonly kind: 'refused';
  readonly code: string;
  readonly line: string;
  readonly status: number;
}

/** A broken rule: its description, and the words that identify the fault. */
export class Broken extends Error {
  readonly rule: string;

  constructor(rule: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'Broken';
    this.rule = rule;
  }
}

/** CPU milliseconds that an answer may take, since the machine may be busy. */
export const MAX_MS = 5_000;

/** A clock of this process's CPU time, in milliseconds. */
export function clock(): () => number {
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

/** @throws {Broken} if text for a terminal contains control characters */
export function checkText(text: string): void {
  const found = CONTROLS.exec(text);
  if (!found) return;
  const around = JSON.stringify(text.slice(Math.max(0, found.index - 40), found.index + 20));
  throw new Broken('control character', `U+${found[0].codePointAt(0)?.toString(16)} in ${around}`);
}

/** @throws {Broken} if it is no error for users; returns its message */
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
  if (took > MAX_MS) throw new Broken('too slow', `${Math.round(took)} ms`);
  return outcome;
}

/**
 * Opens damaged data and queries it, and appends the outcome to the description.
 *
 * @throws {Broken} with the whole description
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
  if (spent() > MAX_MS) throw new Broken('too slow', told.join('\n  '));
  return told;
}
