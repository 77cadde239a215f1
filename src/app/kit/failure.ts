import { writeSync } from 'node:fs';
import { OPEN_ERROR, READ_ERROR, STORE_ERROR, TRACE_ERROR } from '../../answers/explain/generated.js';
import {
  ExhaustedError,
  ExtractError,
  exhaustionOf,
  HostError,
  KdumpMemError,
  KernelError,
  ReadError,
  StoreError,
  TraceError,
  WalkError,
} from '../../base/errors.js';
import { escapeText } from '../../base/escape.js';
import { OutputError } from '../../base/output-file.js';
import { asCalled } from './called-as.js';
import { isServed } from './served.js';

/** Advice for a resource of this machine that ran out. */
export const EXHAUSTION_ADVICE = OPEN_ERROR.exhausted.next;

/** Exit statuses of kdump-mem. */
export const EXIT = {
  answered: 0,
  /** `--engine verify` found a different value. */
  differs: 1,
  usage: 2,
  /** The dump or the kernel could not be opened or read. */
  unreadable: 3,
  /** The requested pid, fd, socket or network namespace does not exist. */
  notFound: 4,
  /** With --strict: the answer is incomplete. */
  incomplete: 5,
} as const;

/** An invalid command line. */
export class UsageError extends KdumpMemError<'usage'> {
  constructor(message: string, next?: string) {
    super('usage', message, next === undefined ? {} : { next });
  }
}

/** Advice for errors of /proc. */
const HOST_ADVICE: Readonly<Partial<Record<HostError['code'], string>>> = {
  denied: 'Run it as root; a container may need more capabilities.',
  'not-a-capture': 'Name a snapshot, a sosreport or supportconfig, or a folder with proc/meminfo.',
};
const OTHER_HOST_ADVICE = 'Choose another source with --source, or read a dump.';

/**
 * Returns the line and the exit status for an error to show to the user, or for an exhausted resource. Any
 * other error is a bug and is rethrown.
 */
export function explainFailure(error: unknown): { line: string; status: number } {
  if (error instanceof UsageError) return { line: errorLine(error.message, error.next), status: EXIT.usage };
  if (error instanceof ExtractError || error instanceof OutputError) {
    const status = error.code === 'cannot-write' ? EXIT.unreadable : EXIT.usage;
    return { line: errorLine(error.message), status };
  }
  if (error instanceof StoreError)
    return { line: errorLine(error.message, error.next ?? STORE_ERROR[error.code].next), status: EXIT.unreadable };
  if (error instanceof WalkError) return { line: errorLine(error.message), status: EXIT.notFound };
  if (error instanceof KernelError) {
    const { cause, code, message } = error;
    const isMissing = code === 'damaged' && cause instanceof ReadError;
    const advice = (isMissing ? READ_ERROR[cause.code] : OPEN_ERROR[code]).next;
    return { line: errorLine(message, error.next ?? advice), status: EXIT.unreadable };
  }
  if (error instanceof ReadError) {
    return {
      line: errorLine(`what the answer needs cannot be read: ${error.message}`, READ_ERROR[error.code].next),
      status: EXIT.unreadable,
    };
  }
  if (error instanceof HostError) {
    const advice = HOST_ADVICE[error.code] ?? OTHER_HOST_ADVICE;
    return { line: errorLine(error.message, error.next ?? advice), status: EXIT.unreadable };
  }
  if (error instanceof TraceError) {
    const status = error.code === 'process-ended' ? EXIT.notFound : EXIT.unreadable;
    return { line: errorLine(error.message, error.next ?? TRACE_ERROR[error.code].next), status };
  }
  if (error instanceof ExhaustedError)
    return { line: errorLine(error.message, EXHAUSTION_ADVICE), status: EXIT.unreadable };
  const exhausted = exhaustionOf(error);
  if (exhausted === undefined) throw error;
  return { line: errorLine(exhausted, EXHAUSTION_ADVICE), status: EXIT.unreadable };
}

/**
 * Formats an error line. Messages can quote paths and bytes of a dump, so they are escaped. An agent has no shell for an
 * advice that names commands.
 */
function errorLine(message: string, advice?: string): string {
  return `kdump-mem: ${escapeText(message)}${advice && !isServed ? `. ${asCalled(advice)}` : ''}`;
}

/** Exit status after an uncaught error: EX_SOFTWARE of sysexits.h. No answer has this status. */
const BUG_STATUS = 70;

/** Environment variable that makes {@link reportBugs} print the stack trace of the error. */
const STACK_VARIABLE = 'KDUMP_MEM_STACK';

const MAX_WORDS = 300;

/**
 * Makes the program exit with one line and status 70 after an uncaught error (also in a promise or emitter).
 * Node's default status, 1, has another meaning here.
 *
 * @param program its name, for the message
 */
export function reportBugs(program: string): void {
  process.on('uncaughtException', (error: unknown) => {
    // Pending work is abandoned.
    printLine(`${program}: ${wordsOf(error)}\n`);
    if (process.env[STACK_VARIABLE] && error instanceof Error) {
      const lines = (error.stack ?? '').split('\n').slice(1);
      printLine(lines.map((line) => `${escapeText(line)}\n`).join(''));
    }
    process.exit(BUG_STATUS);
  });
}

function wordsOf(error: unknown): string {
  const exhausted = exhaustionOf(error);
  if (exhausted !== undefined) return `${exhausted}. ${EXHAUSTION_ADVICE}`;
  const what = escapeText(String(error)).slice(0, MAX_WORDS);
  return `internal error (${what}). Please report it with the output of a run with ${STACK_VARIABLE}=1.`;
}

/** Prints synchronously, since the program exits next. stderr may be closed. */
function printLine(text: string): void {
  try {
    writeSync(2, text);
  } catch {}
}
