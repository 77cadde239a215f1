import { CATEGORIES } from '../../account/memory/categories.js';
import {
  HOST_ERROR_CODES,
  KERNEL_ERROR_CODES,
  READ_ERROR_CODES,
  STORE_ERROR_CODES,
  TRACE_ERROR_CODES,
  WALK_ERROR_CODES,
} from '../../base/errors.js';
import { LEFT_OUT } from '../../capture/read/contents.js';
import { CAPTURE_FAULT_CODES } from '../../capture/read/manifest.js';
import { FAILURE_CODES, type FailureCode } from '../../capture/write/failures.js';
import { STATUSES } from '../../diff/lists.js';
import { NOTE_CODES } from '../../diff/notes.js';
import { CHECK_CODES } from '../../doctor/machine.js';
import { WATCH_DOUBT_CODES } from '../../growth/watch/answer.js';
import { TYPES_VERIFIED } from '../../kernel/type-description.js';
import { LEAK_NOTE_CODES } from '../../leaks/notes.js';
import { PLACES, UNPLACED } from '../../leaks/survivors/place.js';
import { LEAK_REASONS, LEAK_VERDICTS, type LeakVerdict } from '../../leaks/verdict.js';
import { VERDICT_CODES } from '../../skcheck/verdict.js';
import { SEARCH_ERROR_CODES, type SearchErrorCode } from '../../triage/batch/search.js';
import { WORKER_FAILURE_CODES } from '../../triage/batch/worker.js';
import { CAUSE_RELATIONS, CONFIDENCES } from '../../triage/causes.js';
import { CORRUPTIONS } from '../../triage/corruption.js';
import { FINDING_CODES } from '../../triage/finding.js';
import { HOST_CHECKS } from '../../triage/host-reader.js';
import { RULE_DOUBTS } from '../../triage/rules/match.js';
import { STACK_STOP_CODES } from '../../walk/stacks/frame.js';
import { WARNING_CODES } from '../../walk/warnings.js';
import { categoryOf } from '../memory/words.js';
import { SKCHECK_REASON_CODES } from '../skcheck/reasons.js';
import { SKCHECK_WARNING_CODES } from '../skcheck/schema.js';
import { CATEGORIES_EXPLAINED, FRAME_NOTES, UNNAMED } from './categories.js';
import { DIFF_MEASURES, DIFF_NOTES, DIFF_STATUSES } from './diff.js';
import { DOCTOR_CHECKS, DOCTOR_STATES } from './doctor-checks.js';
import {
  HOST_ERRORS,
  KERNEL_ERRORS,
  READ_ERRORS,
  STORE_ERRORS,
  TRACE_ERRORS,
  WALK_ERRORS,
} from './errors.js';
import type { Explanation, Explanations } from './explanation.js';
import {
  CAUSE_RELATIONS_EXPLAINED,
  CERTAINTIES,
  CONFIDENCES_EXPLAINED,
  CORRUPTIONS_EXPLAINED,
  FINDINGS,
  PANIC_STATES,
  RULE_DOUBTS_EXPLAINED,
  SEVERITIES_EXPLAINED,
  WORKER_FAILURES,
} from './findings.js';
import { HOST_CHECKS_EXPLAINED } from './host-checks.js';
import {
  LEAK_NOTES_EXPLAINED,
  LEAK_PLACES,
  LEAK_REASONS_EXPLAINED,
  LEAK_UNPLACED,
  METHOD_REFUSALS,
} from './leaks.js';
import { OUTSIDE_QUEUES, QUEUES_EXPLAINED } from './queues.js';
import { SKCHECK_REASONS, SKCHECK_WARNINGS, VERDICTS } from './skcheck.js';
import { CAPTURE_FAULTS, SNAPSHOT_CONDITIONS, SNAPSHOT_LEFT_OUT } from './snapshot.js';
import { ENDINGS, STACK_STOPS, STACK_WARNINGS } from './stacks.js';
import { SOURCES, TYPES_VERIFIED_EXPLAINED, WARNINGS } from './warnings.js';
import { COURSES, LOSS_EXPLANATIONS, WATCH_DOUBTS, WATCH_VERDICTS } from './watch.js';

/** Why a host file is not in a snapshot: codes in the file `errors` of the snapshot. */
const SNAPSHOT_ERRORS: Explanations<FailureCode> = {
  gone: {
    means: 'The process or file disappeared while the snapshot was taken.',
    known: 'ENOENT, ESRCH.',
    next: 'None: this is normal.',
  },
  denied: {
    means: 'Permission denied: the user that took the snapshot cannot read it.',
    known: 'EACCES, EPERM.',
    next: 'Take the snapshot as root; a container may need more capabilities.',
  },
  unreadable: {
    means: 'The read failed or timed out.',
    known: 'Another errno, a read that took two seconds, or --timeout.',
    next: 'The file "errors" in the snapshot has the errno. Take another snapshot with a longer --timeout.',
  },
  absent: {
    means: 'This host or kernel has no such file.',
    known: 'ENOENT.',
    next: 'None: no data is missing.',
  },
  cut: {
    means: 'The file is truncated: only its beginning is in the snapshot.',
    known: 'A limit on size, entries or time.',
    next: 'Read the rest on the host itself.',
  },
};

/** Verdicts of `kdump-mem leaks` on a stack trace. */
const LEAK_VERDICTS_EXPLAINED: Explanations<LeakVerdict> = {
  leaking: {
    means:
      'Memory allocated by this stack grows steadily and is not freed. The held blocks are unreferenced, or stay queued.',
    known: 'Growth in each third of the recording, and the current use of every held block.',
    next: 'Read the reason in the answer (kdump-mem explain unreferenced, kdump-mem explain queued), then the functions of the stack.',
  },
  growing: {
    means:
      'It grows, but is not a confirmed leak: the memory is reclaimable, has an owner, or its location is unknown.',
    known: 'The same evidence as for leaking; the reason names the difference.',
    next: 'Read the reason in the answer. For location-unknown, run it as root where /proc/kcore is readable.',
  },
  unknown: {
    means: 'Inconclusive: too little was recorded. A leak is still possible.',
    known: 'Too few windows or blocks, or too wide an interval for the growth.',
    next: 'Record longer or a larger sample: --interval 1h, --sample 1/1.',
  },
  transient: {
    means: 'Not a leak so far: early blocks were freed during the recording, or growth stopped.',
    known: 'The blocks of the first third of the recording, and the growth of the last.',
    next: 'None.',
  },
};

/** Why one of many files was not opened: `error.code` of the file's line. */
const SEARCH_ERRORS: Explanations<SearchErrorCode> = {
  'unsupported-name': {
    means: 'The file name is not valid UTF-8, so the file cannot be opened or named in output.',
    known: 'readdir(3)',
    next: 'Rename the file.',
  },
  'too-deep': {
    means: 'A folder is nested too deeply and was not searched.',
    known: 'The search limit is 256 levels.',
    next: 'Run the command on that folder.',
  },
  'unreadable-file': {
    means:
      'The file cannot be read: a failing disk, or a network file system that does not respond.',
    known: 'The errno in the message.',
    next: 'Copy the file to another disk, or check the log of this machine.',
  },
};

/** Kind of codes. */
export interface Kind {
  readonly kind: string;
  /** Printed name. */
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

/** Returns a kind whose codes are the keys of their explanations. */
function kindOfWords<Code extends string>(
  kind: string,
  name: string,
  words: Explanations<Code>,
): Kind {
  return kindOf(kind, name, Object.keys(words) as Code[], words);
}

/** All codes by kind; two kinds can have the same code. */
export const KINDS: readonly Kind[] = [
  kindOf('finding', 'Findings of kdump-mem triage', FINDING_CODES, FINDINGS),
  kindOf(
    'corruption',
    'Why a report of the kernel log cannot be trusted',
    CORRUPTIONS,
    CORRUPTIONS_EXPLAINED,
  ),
  kindOf('host-check', 'Checks of kdump-mem triage', HOST_CHECKS, HOST_CHECKS_EXPLAINED),
  kindOf('warning', 'Warnings of kdump-mem', WARNING_CODES, WARNINGS),
  kindOf('category', 'Categories of kdump-mem memory', CATEGORIES, CATEGORIES_EXPLAINED),
  kindOfWords('row', 'Rows of memory outside socket queues', OUTSIDE_QUEUES),
  kindOfWords('queue', 'Queues of a socket', QUEUES_EXPLAINED),
  kindOf('verdict', 'Verdicts of skcheck', [...VERDICT_CODES, 'fd-leak'], VERDICTS),
  kindOf('skcheck-reason', 'Evidence of a skcheck verdict', SKCHECK_REASON_CODES, SKCHECK_REASONS),
  kindOf('skcheck-warning', 'Warnings of skcheck', SKCHECK_WARNING_CODES, SKCHECK_WARNINGS),
  kindOf('diff-note', 'Notes of kdump-mem diff', NOTE_CODES, DIFF_NOTES),
  kindOf(
    'snapshot-error',
    'Why a file of the host is not in a snapshot',
    FAILURE_CODES,
    SNAPSHOT_ERRORS,
  ),
  kindOf('capture-fault', 'Faults of a snapshot', CAPTURE_FAULT_CODES, CAPTURE_FAULTS),
  kindOf('stack-stop', 'Why a stack trace is incomplete', STACK_STOP_CODES, STACK_STOPS),
  kindOf(
    'rule-doubt',
    'Why a custom rule could not be evaluated',
    RULE_DOUBTS,
    RULE_DOUBTS_EXPLAINED,
  ),
  kindOf('open-error', 'Why a dump or kernel cannot be opened', KERNEL_ERROR_CODES, KERNEL_ERRORS),
  kindOf('read-error', 'Why memory cannot be read', READ_ERROR_CODES, READ_ERRORS),
  kindOf('not-there', 'Why a requested object was not found', WALK_ERROR_CODES, WALK_ERRORS),
  kindOf(
    'types-verified',
    'How types were matched to the dump',
    TYPES_VERIFIED,
    TYPES_VERIFIED_EXPLAINED,
  ),
  kindOf(
    'worker-failure',
    'Why a worker returned no result',
    WORKER_FAILURE_CODES,
    WORKER_FAILURES,
  ),
  kindOf('search-error', 'Why a file was skipped', SEARCH_ERROR_CODES, SEARCH_ERRORS),
  kindOf('host-error', 'Why a host cannot be read', HOST_ERROR_CODES, HOST_ERRORS),
  kindOf('store-error', 'Why samples cannot be stored', STORE_ERROR_CODES, STORE_ERRORS),
  kindOf('watch-doubt', 'Limits of an answer of kdump-mem watch', WATCH_DOUBT_CODES, WATCH_DOUBTS),
  kindOf(
    'leak-reason',
    'Reasons for a verdict of kdump-mem leaks',
    LEAK_REASONS,
    LEAK_REASONS_EXPLAINED,
  ),
  kindOf(
    'leak-note',
    'Limits of an answer of kdump-mem leaks',
    LEAK_NOTE_CODES,
    LEAK_NOTES_EXPLAINED,
  ),
  kindOf('leak-verdict', 'Verdicts of kdump-mem leaks', LEAK_VERDICTS, LEAK_VERDICTS_EXPLAINED),
  kindOf('leak-place', 'Location of blocks that were not freed', PLACES, LEAK_PLACES),
  kindOf('leak-unplaced', 'Why the location of a block is unknown', UNPLACED, LEAK_UNPLACED),
  kindOfWords(
    'leak-method-refusal',
    'Why a method of kdump-mem leaks is not available',
    METHOD_REFUSALS,
  ),
  kindOfWords('watch-verdict', 'Verdicts of kdump-mem watch', WATCH_VERDICTS),
  kindOfWords('course', 'Trends', COURSES),
  kindOfWords('loss-explanation', 'What accounts for a loss of memory', LOSS_EXPLANATIONS),
  kindOf('diff-status', 'Status of an item in kdump-mem diff', STATUSES, DIFF_STATUSES),
  kindOfWords('diff-measure', 'Measures of kdump-mem diff', DIFF_MEASURES),
  kindOfWords('frame-note', 'Notes of page flags', FRAME_NOTES),
  kindOfWords('unnamed', 'Why the file or cgroup of pages is unknown', UNNAMED),
  kindOfWords('source', 'Sources of an answer', SOURCES),
  kindOf('cause', 'Why a finding follows from another', CAUSE_RELATIONS, CAUSE_RELATIONS_EXPLAINED),
  kindOf('confidence', 'Confidence of a conclusion', CONFIDENCES, CONFIDENCES_EXPLAINED),
  kindOfWords('severity', 'Severity of a finding', SEVERITIES_EXPLAINED),
  kindOfWords('certainty', 'Certainty of a skcheck verdict', CERTAINTIES),
  kindOfWords('panic-state', 'Panic state of a dump', PANIC_STATES),
  kindOfWords('stacks-warning', 'Warnings of kdump-mem procs --stacks', STACK_WARNINGS),
  kindOfWords('ending', 'Why recording or watching ended', ENDINGS),
  kindOfWords('snapshot-condition', 'Conditions that trigger a snapshot', SNAPSHOT_CONDITIONS),
  kindOf('snapshot-left-out', 'Exclusions of a snapshot', LEFT_OUT, SNAPSHOT_LEFT_OUT),
  kindOf('doctor-check', 'Checks of kdump-mem doctor', CHECK_CODES, DOCTOR_CHECKS),
  kindOfWords('doctor-state', 'Results of a kdump-mem doctor check', DOCTOR_STATES),
  kindOf('trace-error', 'Why a recording failed', TRACE_ERROR_CODES, TRACE_ERRORS),
];

/** A code with its explanation. */
export interface Explained extends Explanation {
  readonly kind: string;
  readonly code: string;
}

/**
 * Returns a code in each kind that contains it, or all codes; empty: there is no such code.
 *
 * @param code as in JSON, or as printed: "page cache", "Stalled reader"
 */
export function explained(code?: string): Explained[] {
  if (code === undefined || allCodes().includes(code)) return explainedCode(code);
  const printed = code.trim().toLowerCase();
  return explainedCode(categoryOf(printed) ?? printed.replaceAll(' ', '-'));
}

function explainedCode(code: string | undefined): Explained[] {
  return KINDS.flatMap(({ kind, codes, words }) =>
    codes
      .filter((each) => code === undefined || each === code)
      .map((each) => ({ kind, code: each, ...words[each]! })),
  );
}

/** Returns all codes without duplicates. */
export function allCodes(): string[] {
  return [...new Set(KINDS.flatMap(({ codes }) => codes))];
}
