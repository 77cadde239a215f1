import { KdumpMemError } from '../error.js';
import { hex } from '../hex.js';

/** Why a kernel could not be opened or asked. */
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

/**
 * Why bytes could not be read. `filtered`: the dump left the page out; `absent`: the dump has no
 * such memory; `unmapped`: no page table entry leads there; `damaged`: the stored page does not
 * decode; `truncated`: the file ends before it; `refused`: the engine would not say why.
 */
export const READ_ERROR_CODES = [
  'filtered',
  'absent',
  'unmapped',
  'damaged',
  'truncated',
  'refused',
] as const;
export type ReadErrorCode = (typeof READ_ERROR_CODES)[number];

/** One read that failed. A walker turns it into an incomplete answer, never into zeros. */
export class ReadError extends KdumpMemError<ReadErrorCode> {
  /** The virtual (or, from an image, physical) address of the read. */
  readonly address: bigint;
  /** What else is known, or ''. */
  readonly detail: string;

  constructor(code: ReadErrorCode, address: bigint, detail = '', options?: { cause?: unknown }) {
    // A search through a filtered dump meets these by the hundred thousand, and a stack of calls is
    // what costs most of them.
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(code, `${hex(address)} ${WORDS[code]}${detail && ` (${detail})`}`, options);
    Error.stackTraceLimit = limit;
    this.address = address;
    this.detail = detail;
  }
}

/**
 * A read that failed since a page table on the way cannot be read: its code is the table's, and the
 * memory itself may well be there.
 */
export class PageTableError extends ReadError {}

const WORDS: Record<ReadErrorCode, string> = {
  filtered: 'was filtered out of the dump',
  absent: 'is not in the dump',
  unmapped: 'is not mapped',
  damaged: 'is in a corrupt page of the dump',
  truncated: 'is beyond the end of the file',
  refused: 'cannot be read',
};
