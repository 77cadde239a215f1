import { CATEGORIES } from '../../account/memory/categories.js';
import { HOST_ERROR_CODES } from '../../base/errors/host.js';
import { KERNEL_ERROR_CODES, READ_ERROR_CODES } from '../../base/errors/kernel.js';
import { STORE_ERROR_CODES } from '../../base/errors/store.js';
import { TRACE_ERROR_CODES } from '../../base/errors/trace.js';
import { WALK_ERROR_CODES } from '../../base/errors/walk.js';
import { LEFT_OUT } from '../../capture/read/contents.js';
import { CAPTURE_FAULT_CODES } from '../../capture/read/manifest.js';
import { FAILURE_CODES, type FailureCode } from '../../capture/write/failures.js';
import { STATUSES } from '../../diff/lists.js';
import { NOTE_CODES } from '../../diff/notes.js';
import { CHECK_CODES } from '../../doctor/check.js';
import { WATCH_DOUBT_CODES } from '../../growth/watch/doubts.js';
import { TYPES_VERIFIED } from '../../kernel/symbol-file.js';
import { LEAK_NOTE_CODES } from '../../leaks/notes.js';
import { PLACES, UNPLACED } from '../../leaks/survivors/place.js';
import { LEAK_REASONS, LEAK_VERDICTS, type LeakVerdict } from '../../leaks/verdict.js';
import { VERDICT_CODES } from '../../skcheck/verdict.js';
import { SEARCH_ERROR_CODES, type SearchErrorCode } from '../../triage/batch/search.js';
import { WORKER_FAILURE_CODES } from '../../triage/batch/worker-failure.js';
import { CORRUPTIONS, FINDING_CODES } from '../../triage/finding.js';
import { RULE_DOUBTS } from '../../triage/rules/match.js';
import { STACK_STOP_CODES } from '../../walk/stacks/stop.js';
import { WARNING_CODES } from '../../walk/warnings.js';
import { categoryOf } from '../memory/words.js';
import { SKCHECK_REASON_CODES } from '../skcheck/reasons.js';
import { SKCHECK_WARNING_CODES } from '../skcheck/schema.js';
import { CAPTURE_FAULTS } from './capture-faults.js';
import { CATEGORIES_EXPLAINED } from './categories.js';
import { DIFF_MEASURES, DIFF_STATUSES } from './diff-codes.js';
import { DIFF_NOTES } from './diff-notes.js';
import { DOCTOR_CHECKS, DOCTOR_STATES } from './doctor-checks.js';
import { KERNEL_ERRORS, READ_ERRORS, STORE_ERRORS, TRACE_ERRORS } from './errors.js';
import type { Explanation, Explanations } from './explanation.js';
import { CORRUPTIONS_EXPLAINED, FINDINGS } from './findings.js';
import { CERTAINTIES, PANIC_STATES, SEVERITIES_EXPLAINED } from './grades.js';
import { COURSES, LOSS_EXPLANATIONS, WATCH_VERDICTS } from './growth-codes.js';
import { HOST_ERRORS } from './host-errors.js';
import { METHOD_REFUSALS } from './leak-methods.js';
import { LEAK_NOTES_EXPLAINED } from './leak-notes.js';
import { LEAK_PLACES, LEAK_UNPLACED } from './leak-places.js';
import { LEAK_REASONS_EXPLAINED } from './leak-reasons.js';
import { LEDGER } from './ledger.js';
import { FRAME_NOTES, UNNAMED } from './memory-notes.js';
import { QUEUES_EXPLAINED } from './queues.js';
import { RULE_DOUBTS_EXPLAINED } from './rule-doubts.js';
import { SKCHECK_REASONS } from './skcheck-reasons.js';
import { SKCHECK_WARNINGS } from './skcheck-warnings.js';
import { SNAPSHOT_CONDITIONS, SNAPSHOT_LEFT_OUT } from './snapshot-codes.js';
import { SOURCES } from './sources.js';
import { STACK_STOPS } from './stack-stops.js';
import { ENDINGS, STACK_WARNINGS } from './stack-warnings.js';
import { TYPES_VERIFIED_EXPLAINED } from './types-verified.js';
import { VERDICTS } from './verdicts.js';
import { WALK_ERRORS } from './walk-errors.js';
import { WARNINGS } from './warnings.js';
import { WATCH_DOUBTS } from './watch-doubts.js';
import { WORKER_FAILURES } from './worker-failures.js';

/** Why a file of the host is not in a snapshot: its file `errors` has these codes. */
const SNAPSHOT_ERRORS: Explanations<FailureCode> = {
  gone: {
    means: 'It was there, and ended while the snapshot was taken.',
    known: 'ENOENT, ESRCH.',
    next: 'Nothing: processes come and go.',
  },
  denied: {
    means: 'The user that took the snapshot may not read it.',
    known: 'EACCES, EPERM.',
    next: 'Take the snapshot as root; a container may need more capabilities.',
  },
  unreadable: {
    means: 'It could not be read, or the kernel gave no answer in time.',
    known: 'Another error, or no answer for two seconds, or --timeout.',
    next: 'Read what stands behind it in the file errors; take another snapshot with a longer --timeout.',
  },
  absent: {
    means: 'This host or kernel has no such file.',
    known: 'ENOENT.',
    next: 'Nothing: it is no loss.',
  },
  cut: {
    means: 'Only its beginning is in the snapshot.',
    known: 'A limit of size, of number or of time.',
    next: 'Take what is missing from the host itself.',
  },
};

/** The verdicts of `kdump-mem leaks` on a stack. */
const LEAK_VERDICTS_EXPLAINED: Explanations<LeakVerdict> = {
  leaking: {
    means:
      'Memory allocated by this stack grows steadily and is not freed. The held blocks are unreferenced, or stay queued.',
    known: 'Growth in each third of the recording, and the current use of every held block.',
    next: 'Read the reason beside it (explain unreferenced, explain queued), then the functions of the stack.',
  },
  growing: {
    means:
      'It grows, but is no confirmed leak: the memory is reclaimable, has an owner, or its location is unknown.',
    known: 'The same evidence as for leaking; the reason names the difference.',
    next: 'Read the reason beside it. For location-unknown, run it as root where /proc/kcore can be read.',
  },
  unknown: {
    means: 'Inconclusive: too little was recorded. A leak is still possible.',
    known: 'Too few windows or blocks, or too wide an interval for the growth.',
    next: 'Record longer or a larger sample: --interval 1h, --sample 1/1.',
  },
  transient: {
    means: 'The blocks turn over: the early ones were freed meanwhile, or the growth stopped.',
    known: 'The blocks of the first third of the recording, and the growth of the last.',
    next: 'Nothing.',
  },
};

/** Why one of many files was not opened: `error.code` of its line. */
const SEARCH_ERRORS: Explanations<SearchErrorCode> = {
  'unsupported-name': {
    means: 'The file name is not UTF-8. It cannot be printed, and the file cannot be opened by it.',
    known: 'readdir(3)',
    next: 'Rename it.',
  },
  'too-deep': {
    means: 'A folder lies so deep below the one that was named that it was not looked into.',
    known: 'The number of folders above it: 256 at most are gone through.',
    next: 'Name that folder itself.',
  },
  'unreadable-file': {
    means:
      'A file cannot be looked at for a reason of the machine: a failing disk, a lost network drive.',
    known: 'errno, which the message has.',
    next: 'Copy it, or look at the machine’s log.',
  },
};

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

/** Of codes that the compiler alone knows: their words are all there are. */
function kindOfWords<Code extends string>(
  kind: string,
  name: string,
  words: Explanations<Code>,
): Kind {
  return kindOf(kind, name, Object.keys(words) as Code[], words);
}

/** All codes that answers have, by kind: two kinds can have the same code. */
export const KINDS: readonly Kind[] = [
  kindOf('finding', 'Findings of kdump-mem triage', FINDING_CODES, FINDINGS),
  kindOf(
    'corruption',
    'Why a report of the kernel log cannot be trusted',
    CORRUPTIONS,
    CORRUPTIONS_EXPLAINED,
  ),
  kindOf('warning', 'Warnings of kdump-mem', WARNING_CODES, WARNINGS),
  kindOf('category', 'Categories of kdump-mem memory', CATEGORIES, CATEGORIES_EXPLAINED),
  kindOfWords('row', 'Rows beside the sockets’ queues', LEDGER),
  kindOfWords('queue', 'Queues of a socket', QUEUES_EXPLAINED),
  kindOf('verdict', 'Verdicts of skcheck', [...VERDICT_CODES, 'fd-leak'], VERDICTS),
  kindOf(
    'skcheck-reason',
    'What a verdict of skcheck rests on',
    SKCHECK_REASON_CODES,
    SKCHECK_REASONS,
  ),
  kindOf('skcheck-warning', 'Warnings of skcheck', SKCHECK_WARNING_CODES, SKCHECK_WARNINGS),
  kindOf('diff-note', 'Notes of kdump-mem diff', NOTE_CODES, DIFF_NOTES),
  kindOf(
    'snapshot-error',
    'Why a file of the host is not in a snapshot',
    FAILURE_CODES,
    SNAPSHOT_ERRORS,
  ),
  kindOf('capture-fault', 'What is wrong with a snapshot', CAPTURE_FAULT_CODES, CAPTURE_FAULTS),
  kindOf('stack-stop', 'Why a stack trace is incomplete', STACK_STOP_CODES, STACK_STOPS),
  kindOf(
    'rule-doubt',
    'Why it is not known what a rule of a team’s own asks for',
    RULE_DOUBTS,
    RULE_DOUBTS_EXPLAINED,
  ),
  kindOf('open-error', 'Why a dump or kernel cannot be opened', KERNEL_ERROR_CODES, KERNEL_ERRORS),
  kindOf('read-error', 'Why memory cannot be read', READ_ERROR_CODES, READ_ERRORS),
  kindOf('not-there', 'Why what was asked for is not there', WALK_ERROR_CODES, WALK_ERRORS),
  kindOf(
    'types-verified',
    'What shows that types of a file are the dump’s',
    TYPES_VERIFIED,
    TYPES_VERIFIED_EXPLAINED,
  ),
  kindOf(
    'worker-failure',
    'Why a dump among many has no answer',
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
  kindOf(
    'leak-verdict',
    'What kdump-mem leaks says of a stack',
    LEAK_VERDICTS,
    LEAK_VERDICTS_EXPLAINED,
  ),
  kindOf('leak-place', 'Where blocks are that were not freed', PLACES, LEAK_PLACES),
  kindOf('leak-unplaced', 'Why it is not known where a block is', UNPLACED, LEAK_UNPLACED),
  kindOfWords(
    'leak-method-refusal',
    'Why a method of kdump-mem leaks cannot be had',
    METHOD_REFUSALS,
  ),
  kindOfWords('watch-verdict', 'What kdump-mem watch says of the machine', WATCH_VERDICTS),
  kindOfWords('course', 'How something that is followed changed', COURSES),
  kindOfWords('loss-explanation', 'What has the memory that became less', LOSS_EXPLANATIONS),
  kindOf('diff-status', 'Whether both times of kdump-mem diff have it', STATUSES, DIFF_STATUSES),
  kindOfWords('diff-measure', 'What kdump-mem diff compared of each', DIFF_MEASURES),
  kindOfWords('frame-note', 'Further properties of page frames, by their flags', FRAME_NOTES),
  kindOfWords('unnamed', 'Why pages have no file or cgroup by name', UNNAMED),
  kindOfWords('source', 'What an answer was read from', SOURCES),
  kindOfWords('severity', 'How much a finding matters', SEVERITIES_EXPLAINED),
  kindOfWords('certainty', 'How sure a verdict of skcheck is', CERTAINTIES),
  kindOfWords('panic-state', 'Whether the kernel had panicked', PANIC_STATES),
  kindOfWords('stacks-warning', 'Warnings of kdump-mem procs --stacks', STACK_WARNINGS),
  kindOfWords('ending', 'Why recording or watching ended', ENDINGS),
  kindOfWords('snapshot-condition', 'Why a snapshot was due', SNAPSHOT_CONDITIONS),
  kindOf('snapshot-left-out', 'What a snapshot leaves out on purpose', LEFT_OUT, SNAPSHOT_LEFT_OUT),
  kindOf('doctor-check', 'What kdump-mem doctor looks at', CHECK_CODES, DOCTOR_CHECKS),
  kindOfWords('doctor-state', 'What a check of kdump-mem doctor found', DOCTOR_STATES),
  kindOf('trace-error', 'Why perf recorded nothing', TRACE_ERROR_CODES, TRACE_ERRORS),
];

/** A code with its words. */
export interface Explained extends Explanation {
  readonly kind: string;
  readonly code: string;
}

/**
 * One code in each kind that has it, or all; none: there is no such code.
 *
 * @param code as JSON has it, or as it is printed: "page cache", "Stalled reader"
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

/** All codes, each once. */
export function allCodes(): string[] {
  return [...new Set(KINDS.flatMap(({ codes }) => codes))];
}
