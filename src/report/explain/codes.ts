import { DRAWERS } from '../../account/memory/drawers.js';
import { VERDICT_CODES } from '../../diagnosis/verdict.js';
import { NOTE_CODES } from '../../diff/notes.js';
import { WATCH_DOUBT_CODES } from '../../growth/watch/doubts.js';
import { HOST_ERROR_CODES } from '../../host/error.js';
import { KERNEL_ERROR_CODES, READ_ERROR_CODES } from '../../kernel/error.js';
import { LEAK_NOTE_CODES } from '../../leaks/notes.js';
import { LEAK_REASONS } from '../../leaks/verdict.js';
import { SEARCH_ERROR_CODES } from '../../many/search.js';
import { WORKER_FAILURE_CODES } from '../../many/worker-failure.js';
import { FAILURE_CODES } from '../../snapshot/failures.js';
import { STORE_ERROR_CODES } from '../../store/error.js';
import { TRACE_ERROR_CODES } from '../../trace/error.js';
import { FINDING_CODES } from '../../triage/finding.js';
import { WARNING_CODES } from '../../walk/warnings.js';
import { SKCHECK_WARNING_CODES } from '../skcheck/schema.js';
import { DIFF_NOTES } from './diff-notes.js';
import { DRAWERS_EXPLAINED } from './drawers.js';
import { KERNEL_ERRORS, READ_ERRORS, STORE_ERRORS, TRACE_ERRORS } from './errors.js';
import type { Explanation, Explanations } from './explanation.js';
import { FINDINGS } from './findings.js';
import { HOST_ERRORS } from './host-errors.js';
import { LEAK_NOTES_EXPLAINED } from './leak-notes.js';
import { LEAK_REASONS_EXPLAINED } from './leak-reasons.js';
import { LEDGER } from './ledger.js';
import { SEARCH_ERRORS } from './search-errors.js';
import { SKCHECK_WARNINGS } from './skcheck-warnings.js';
import { SNAPSHOT_ERRORS } from './snapshot-errors.js';
import { VERDICTS } from './verdicts.js';
import { WARNINGS } from './warnings.js';
import { WATCH_DOUBTS } from './watch-doubts.js';
import { WORKER_FAILURES } from './worker-failures.js';

/** What codes of one kind are of. */
export interface Kind {
  readonly kind: string;
  /** For people. */
  readonly name: string;
  readonly codes: readonly string[];
  readonly words: Readonly<Record<string, Explanation>>;
}

function kindOf<Code extends string>(
  kind: string,
  name: string,
  codes: readonly Code[],
  words: Explanations<Code>,
): Kind {
  return { kind, name, codes, words };
}

/** All codes that answers have, by kind: two kinds can have the same code. */
export const KINDS: readonly Kind[] = [
  kindOf('finding', 'Findings of kdump-mem triage', FINDING_CODES, FINDINGS),
  kindOf('warning', 'Warnings of kdump-mem', WARNING_CODES, WARNINGS),
  kindOf('drawer', 'Drawers of kdump-mem memory', DRAWERS, DRAWERS_EXPLAINED),
  // The compiler knows these codes alone.
  kindOf(
    'row',
    'Rows beside the sockets’ queues',
    Object.keys(LEDGER) as (keyof typeof LEDGER)[],
    LEDGER,
  ),
  kindOf('verdict', 'Verdicts of skcheck', [...VERDICT_CODES, 'fd-leak'], VERDICTS),
  kindOf('skcheck-warning', 'Warnings of skcheck', SKCHECK_WARNING_CODES, SKCHECK_WARNINGS),
  kindOf('diff-note', 'Notes of kdump-mem diff', NOTE_CODES, DIFF_NOTES),
  kindOf(
    'snapshot-error',
    'Why a file of the host is not in a snapshot',
    FAILURE_CODES,
    SNAPSHOT_ERRORS,
  ),
  kindOf('open-error', 'Why a dump or kernel cannot be opened', KERNEL_ERROR_CODES, KERNEL_ERRORS),
  kindOf('read-error', 'Why memory cannot be read', READ_ERROR_CODES, READ_ERRORS),
  kindOf(
    'worker-failure',
    'Why a process that looked at one of many dumps told nothing',
    WORKER_FAILURE_CODES,
    WORKER_FAILURES,
  ),
  kindOf('search-error', 'Why one of many files was not opened', SEARCH_ERROR_CODES, SEARCH_ERRORS),
  kindOf('host-error', 'Why a host cannot be asked', HOST_ERROR_CODES, HOST_ERRORS),
  kindOf('store-error', 'Why samples cannot be stored', STORE_ERROR_CODES, STORE_ERRORS),
  kindOf(
    'watch-doubt',
    'What makes an answer of kdump-mem watch doubtful',
    WATCH_DOUBT_CODES,
    WATCH_DOUBTS,
  ),
  kindOf(
    'leak-reason',
    'Why kdump-mem leaks says of a stack what it says',
    LEAK_REASONS,
    LEAK_REASONS_EXPLAINED,
  ),
  kindOf(
    'leak-note',
    'What makes an answer of kdump-mem leaks doubtful',
    LEAK_NOTE_CODES,
    LEAK_NOTES_EXPLAINED,
  ),
  kindOf('trace-error', 'Why perf recorded nothing', TRACE_ERROR_CODES, TRACE_ERRORS),
];

/** A code with its words. */
export interface Explained extends Explanation {
  readonly kind: string;
  readonly code: string;
}

/** One code in each kind that has it, or all; none: there is no such code. */
export function explained(code?: string): Explained[] {
  return KINDS.flatMap(({ kind, codes, words }) =>
    codes
      .filter((each) => code === undefined || each === code)
      .map((each) => ({ kind, code: each, ...words[each]! })),
  );
}

/** All codes, each once. */
export function allCodes(): string[] {
  return [...new Set(KINDS.flatMap(({ codes }) => codes))];
}
