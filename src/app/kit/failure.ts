import {
  KERNEL_ERRORS,
  READ_ERRORS,
  STORE_ERRORS,
  TRACE_ERRORS,
} from '../../answers/explain/errors.js';
import { escapeText } from '../../answers/text/escape.js';
import { KdumpMemError } from '../../base/error.js';
import { ExtractError } from '../../base/errors/extract.js';
import { ExhaustedError, HostError } from '../../base/errors/host.js';
import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { StoreError } from '../../base/errors/store.js';
import { TraceError } from '../../base/errors/trace.js';
import { WalkError } from '../../base/errors/walk.js';
import { EXHAUSTION_ADVICE, exhaustionOf } from '../../base/exhaustion.js';
import { OutputError } from '../../base/output-file.js';

/** Exit statuses of kdump-mem. */
export const EXIT = {
  answered: 0,
  /** `--engine verify` found a figure that differs. */
  differs: 1,
  usage: 2,
  /** The dump or the kernel could not be opened or read. */
  unreadable: 3,
  /** The pid, fd, socket or network namespace asked for is not there. */
  notThere: 4,
  /** With --strict: the answer is incomplete. */
  incomplete: 5,
} as const;

/** What the command line asked for makes no sense. */
export class UsageError extends KdumpMemError<'usage'> {
  constructor(message: string, next?: string) {
    super('usage', message, next === undefined ? {} : { next });
  }
}

/** The next step where /proc has no answer. */
const HOST_ADVICE: Readonly<Partial<Record<HostError['code'], string>>> = {
  denied: 'Run it as root; a container may need more capabilities.',
  'not-a-capture': 'Name an archive written by kdump-mem snapshot or skcheck --capture.',
};
const OTHER_HOST_ADVICE = 'Choose another source with --source, or read a dump.';

/**
 * The one line and the exit status for an error that a user should see, or for what we ran out of.
 * Anything else is a bug of ours and is thrown on.
 */
export function explainFailure(error: unknown): { line: string; status: number } {
  if (error instanceof UsageError)
    return { line: say(error.message, error.next), status: EXIT.usage };
  if (error instanceof ExtractError || error instanceof OutputError) {
    const status = error.code === 'cannot-write' ? EXIT.unreadable : EXIT.usage;
    return { line: say(error.message), status };
  }
  if (error instanceof StoreError)
    return { line: say(error.message, STORE_ERRORS[error.code].next), status: EXIT.unreadable };
  if (error instanceof WalkError) return { line: say(error.message), status: EXIT.notThere };
  if (error instanceof KernelError) {
    const { cause, code, message } = error;
    const isMissing = code === 'damaged' && cause instanceof ReadError;
    const advice = (isMissing ? READ_ERRORS[cause.code] : KERNEL_ERRORS[code]).next;
    return { line: say(message, error.next ?? advice), status: EXIT.unreadable };
  }
  if (error instanceof ReadError) {
    return {
      line: say(
        `what the answer needs cannot be read: ${error.message}`,
        READ_ERRORS[error.code].next,
      ),
      status: EXIT.unreadable,
    };
  }
  if (error instanceof HostError) {
    const advice = HOST_ADVICE[error.code] ?? OTHER_HOST_ADVICE;
    return { line: say(error.message, error.next ?? advice), status: EXIT.unreadable };
  }
  if (error instanceof TraceError) {
    const status = error.code === 'process-ended' ? EXIT.notThere : EXIT.unreadable;
    return { line: say(error.message, error.next ?? TRACE_ERRORS[error.code].next), status };
  }
  if (error instanceof ExhaustedError)
    return { line: say(error.message, EXHAUSTION_ADVICE), status: EXIT.unreadable };
  const exhausted = exhaustionOf(error);
  if (exhausted === undefined) throw error;
  return { line: say(exhausted, EXHAUSTION_ADVICE), status: EXIT.unreadable };
}

/** Messages can quote paths and bytes of a dump. */
function say(message: string, advice?: string): string {
  return `kdump-mem: ${escapeText(message)}${advice ? `. ${advice}` : ''}`;
}
