import { hex } from './util.js';

/**
 * Base class of every error that is reported to a user. `message` names the problem and the object, in
 * one line; advice and the exit status are in `app/kit/failure.ts`, keyed by `code`.
 *
 * Each subclass narrows `Code` to its own union. Programming errors are not instances.
 */
export abstract class KdumpMemError<Code extends string = string> extends Error {
  readonly code: Code;
  /** Advice, if only the throwing code knows it; safe to print on a terminal. */
  readonly next: string | undefined;

  constructor(code: Code, message: string, options?: { cause?: unknown; next?: string }) {
    super(message, options);
    this.code = code;
    this.next = options?.next;
    this.name = new.target.name;
  }
}

/**
 * Why an extract could not be written, besides `OutputError`. `cannot-write`: no list has room for the
 * data to keep; `no-compressor`: this Node lacks the compression method.
 */
export type ExtractErrorCode = 'cannot-write' | 'no-compressor';

export class ExtractError extends KdumpMemError<ExtractErrorCode> {}

/**
 * Why lines cannot be stored. `cannot-write`: the disk is full, or permission is denied; `locked`:
 * another process stores into the file; `other-writer`: another process wrote to it meanwhile.
 */
export const STORE_ERROR_CODES = ['cannot-write', 'locked', 'other-writer'] as const;
export type StoreErrorCode = (typeof STORE_ERROR_CODES)[number];

export class StoreError extends KdumpMemError<StoreErrorCode> {}

/** Why nothing could be recorded. perf's own message is included. */
export const TRACE_ERROR_CODES = [
  'perf-missing',
  'perf-refused',
  'perf-failed',
  'process-ended',
  'no-room',
  'bpftrace-missing',
  'bpftrace-failed',
  'bpftrace-ended',
  'trace-no-root',
  'trace-not-mounted',
  'trace-locked-down',
  'trace-unsupported',
  'trace-over-budget',
  'trace-failed',
] as const;
export type TraceErrorCode = (typeof TRACE_ERROR_CODES)[number];

export class TraceError extends KdumpMemError<TraceErrorCode> {}

/** Why a source of memory could not be opened. */
export type UnavailableCode = KernelErrorCode | ReadErrorCode | HostErrorCode;

/** Why a requested object was not found. */
export const WALK_ERROR_CODES = [
  'no-such-pid',
  'kernel-thread',
  'no-such-netns',
  'no-such-fd',
  'not-a-socket',
  'no-such-symbol',
  'ambiguous-symbol',
  'no-such-cpu',
  'no-such-type',
  'ambiguous-type',
  'no-such-member',
  'no-such-cache',
  'overlapping-targets',
  'too-many-targets',
] as const;
export type WalkErrorCode = (typeof WALK_ERROR_CODES)[number];

export class WalkError extends KdumpMemError<WalkErrorCode> {}

/**
 * Why the host could not be read. `gone`: the file, process or link does not exist (any more);
 * `denied`: permission denied; `unreadable`: malformed content or another error. `blocked`: a read made
 * no progress, as while the mmap_lock of the process is held. `netns-closed`: that network namespace
 * cannot be entered. The `ss-` codes are about the `ss` command itself.
 */
export const HOST_ERROR_CODES = [
  'gone',
  'denied',
  'unreadable',
  'blocked',
  /** A capture does not contain the mappings of a large process, which blocks while they are read. */
  'large',
  'no-such-process',
  'no-such-netns',
  'netns-closed',
  'not-a-capture',
  'capture-failed',
  'ss-missing',
  'ss-failed',
  'ss-hung',
  'ss-too-much',
] as const;
export type HostErrorCode = (typeof HOST_ERROR_CODES)[number];

export class HostError extends KdumpMemError<HostErrorCode> {}

/** Whether an error is a HostError (with one of these codes); other errors must not be caught. */
export function isHostError(error: unknown, ...codes: HostErrorCode[]): error is HostError {
  return error instanceof HostError && (codes.length === 0 || codes.includes(error.code));
}

/** Result of a read of the host; null if it failed with a HostError. Other errors are rethrown. */
export function hostOrNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (isHostError(error)) return null;
    throw error;
  }
}

/**
 * kdump-mem itself ran out of descriptors, processes or memory. This is not a property of the host, so
 * it is not a `HostError`: code that treats those as "does not exist" must not catch it.
 */
export class ExhaustedError extends KdumpMemError<'exhausted'> {
  constructor(message: string, options?: { cause?: unknown }) {
    super('exhausted', message, options);
  }
}

/** Runs a read of a path. @throws {HostError} `gone`, `denied`, `unreadable`; {@link ExhaustedError} */
export function attempt<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    // An error of the function that receives the bytes.
    if (cause instanceof HostError) throw cause;
    const lacking = exhaustionOf(cause);
    if (lacking !== undefined) throw new ExhaustedError(`${path}: ${lacking}`, { cause });
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    switch (code) {
      case 'ENOENT':
      case 'ESRCH':
      case 'ENOTDIR':
        throw new HostError('gone', `${path}: not found`, { cause });
      case 'EACCES':
      case 'EPERM':
        throw new HostError('denied', `${path}: permission denied`, { cause });
      default:
        if (typeof code !== 'string') throw cause;
        throw new HostError('unreadable', `${path}: read failed (${code})`, { cause });
    }
  }
}

/** Why a kernel could not be opened or queried. */
export const KERNEL_ERROR_CODES = [
  'no-such-file',
  'permission',
  'not-a-dump',
  'wrong-parts',
  'truncated',
  'damaged',
  'unsupported-format',
  'unsupported-arch',
  'unsupported-layout',
  'no-symbols',
  'no-types',
  'vmlinux-needed',
  'wrong-vmlinux',
  'wrong-map',
  'no-live-memory',
  'crash-missing',
  'crash-too-old',
  'crash-failed',
  'crash-hung',
  'crash-elsewhere',
  'no-room',
  'exhausted',
  'closed',
] as const;
export type KernelErrorCode = (typeof KERNEL_ERROR_CODES)[number];

export class KernelError extends KdumpMemError<KernelErrorCode> {}

/** Returns the error for a file that cannot be opened, with the code of other causes than permission and absence. */
export function openError(path: string, cause: unknown, other: KernelErrorCode): KernelError {
  const code = errorCode(cause);
  if (code === 'ENOENT' || code === 'ENOTDIR') return new KernelError('no-such-file', `${path}: not found`, { cause });
  if (code === 'EACCES' || code === 'EPERM')
    return new KernelError('permission', `${path}: permission denied`, { cause });
  return new KernelError(other, `${path}: open failed (${code})`, { cause });
}

/** Returns the `code` of a system error (`ENOENT`), or its text. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

/** Returns the error for kernel data that is inconsistent in itself, or with other data. */
export function damaged(message: string): KernelError {
  return new KernelError('damaged', message);
}

/** Returns the error for a kernel whose types lack a struct or a member, or have it in an unsupported form. */
export function unsupportedLayout(message: string): KernelError {
  return new KernelError('unsupported-layout', message);
}

/**
 * Why bytes could not be read. `filtered`: the page was excluded from the dump; `absent`: the dump has
 * no such memory; `unmapped`: no page table entry maps the address; `damaged`: the stored page cannot
 * be decompressed; `truncated`: the file ends before it; `refused`: the engine gave no reason.
 */
export const READ_ERROR_CODES = ['filtered', 'absent', 'unmapped', 'damaged', 'truncated', 'refused'] as const;
export type ReadErrorCode = (typeof READ_ERROR_CODES)[number];

/** A failed read. A walker turns it into an incomplete answer, never into zeros. */
export class ReadError extends KdumpMemError<ReadErrorCode> {
  /** Virtual (or, from an image, physical) address of the read. */
  readonly address: bigint;
  /** Further details, or ''. */
  readonly detail: string;

  constructor(code: ReadErrorCode, address: bigint, detail = '', options?: { cause?: unknown }) {
    // A search of a filtered dump creates hundreds of thousands of these, and stack traces are their
    // main cost.
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(code, `${hex(address)} ${READ_ERROR_WORDS[code]}${detail && ` (${detail})`}`, options);
    Error.stackTraceLimit = limit;
    this.address = address;
    this.detail = detail;
  }
}

/** Result of a read; undefined if the dump lacks the data. Other errors are rethrown. */
export function readOrNot<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ReadError) return undefined;
    throw error;
  }
}

/** Detail of a read of bytes that an extract did not keep. */
export const NOT_KEPT = 'not in the extract';

/**
 * A read that failed because a page table cannot be read: the code is that of the table's read, and the
 * memory itself may be available.
 */
export class PageTableError extends ReadError {}

/** What the message of a failed read says of its address. */
export const READ_ERROR_WORDS: Record<ReadErrorCode, string> = {
  filtered: 'was filtered out of the dump',
  absent: 'is not in the dump',
  unmapped: 'is not mapped',
  damaged: 'is in a corrupt page of the dump',
  truncated: 'is beyond the end of the file',
  refused: 'cannot be read',
};

/** Error codes of open(2), fork(2), mmap(2) and write(2) for exhausted resources. */
const EXHAUSTION: Readonly<Record<string, string>> = {
  EMFILE: 'too many open files in this process',
  ENFILE: 'too many open files on this system',
  ENOMEM: 'out of memory',
  ENOBUFS: 'out of memory',
  EAGAIN: 'process limit reached',
};

/** Error messages of V8 for the same: they have no code. */
const NO_MEMORY = /^(Array buffer allocation failed|WebAssembly\.Memory\(\): could not allocate)/;

/**
 * Describes the resource that kdump-mem ran out of (descriptors, processes, memory); undefined for
 * every other error. This is not a property of the dump or host under analysis.
 */
export function exhaustionOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if (NO_MEMORY.test(error.message)) return EXHAUSTION.ENOMEM;
  // A thread that does not start has the code in its message.
  const [, ofThread] = /^Worker initialization failure: (E\w+)/.exec(error.message) ?? [];
  const code = ofThread ?? ('code' in error ? error.code : undefined);
  if (typeof code !== 'string') return undefined;
  return EXHAUSTION[code] && `${EXHAUSTION[code]} (${code})`;
}
