import { categoryOf } from '../../account/memory/category-names.js';
import type { FailureCode } from '../../capture/write/failures.js';
import type { LeakVerdict } from '../../leaks/verdict.js';
import { SLAB_CACHES, slabCacheKey } from '../../records/slab-caches.js';
import type { SearchErrorCode } from '../../triage/batch/search.js';
import { FINDINGS } from '../../triage/findings/all.js';
import { wrap } from '../text/cut.js';
import { OWNER_STATES, WAIT_CAUSES, WAITS } from './blocked.js';
import { CACHED_LEFT_OUT, CATEGORIES_EXPLAINED, FRAME_NOTES, NAMED_EXPLAINED, UNNAMED } from './categories.js';
import { DOCTOR_CHECKS, DOCTOR_STATES, HOST_CHECKS_EXPLAINED } from './checks.js';
import { DIFF_MEASURES, DIFF_NOTES, DIFF_STATUSES } from './diff.js';
import { HOST_ERRORS, KERNEL_ERRORS, READ_ERRORS, STORE_ERRORS, TRACE_ERRORS, WALK_ERRORS } from './errors.js';
import {
  CAUSE_RELATIONS_EXPLAINED,
  CERTAINTIES,
  CONFIDENCES_EXPLAINED,
  CORRUPTIONS_EXPLAINED,
  PANIC_STATES,
  RULE_DOUBTS_EXPLAINED,
  SEVERITIES_EXPLAINED,
  WORKER_FAILURES,
} from './findings.js';
import { LEAK_NOTES_EXPLAINED, LEAK_PLACES, LEAK_REASONS_EXPLAINED, LEAK_UNPLACED, METHOD_REFUSALS } from './leaks.js';
import { OUTSIDE_QUEUES, QUEUES_EXPLAINED } from './queues.js';
import type { ExplainJson, Explanation, Explanations } from './schema.js';
import { SKCHECK_REASONS, SKCHECK_WARNINGS, VERDICTS } from './skcheck.js';
import { CAPTURE_FAULTS, SNAPSHOT_CONDITIONS, SNAPSHOT_LEFT_OUT } from './snapshot.js';
import { ENDINGS, STACK_STOPS, STACK_WARNINGS } from './stacks.js';
import { UNREACHABLE_REASONS_EXPLAINED } from './unreachable.js';
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
  absent: { means: 'This host or kernel has no such file.', known: 'ENOENT.', next: 'None: no data is missing.' },
  cut: {
    means: 'The file is truncated: only its beginning is in the snapshot.',
    known: 'A limit on size, entries or time.',
    next: 'Read the rest on the host itself.',
  },
  large: {
    means: 'The mappings of a large process were not read: it can map no memory meanwhile. Its RSS and swap are there.',
    known: 'VmRSS and VmSwap of its status: more than 512 MiB.',
    next: 'Take a snapshot with --pss all if the process may wait for 15 ms per GiB.',
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
  'unreadable-file': {
    means: 'The file cannot be read: a failing disk, or a network file system that does not respond.',
    known: 'The errno in the message.',
    next: 'Copy the file to another disk, or check the log of this machine.',
  },
  'too-deep': {
    means: 'A folder is nested too deeply and was not searched.',
    known: 'The search limit is 256 levels.',
    next: 'Run the command on that folder.',
  },
};

const MERGED =
  'SLUB may merge caches of equal size: then other objects are in it too (/sys/kernel/slab lists aliases; slab_nomerge prevents it).';

/** Slab caches by the names of /proc/slabinfo; `*` stands for a size. */
const SLAB_CACHES_EXPLAINED: Readonly<Record<string, Explanation>> = Object.fromEntries(
  Object.entries(SLAB_CACHES).map(([name, { subsystem, objects, cause, command, source }]) => [
    name,
    {
      means: `${subsystem}: ${objects}.`,
      known: `The name in /proc/slabinfo; created in ${source}. ${MERGED}`,
      next: `Usual cause when large: ${cause}. ${command} shows the owner.`,
      deeper: 'kdump-mem memory --live --caches',
    },
  ]),
);

/** Kind of codes. */
export interface Kind {
  readonly kind: string;
  /** Printed name. */
  readonly name: string;
  readonly codes: readonly string[];
  readonly words: Readonly<Record<string, Explanation>>;
}

function kindOf(kind: string, name: string, words: Kind['words']): Kind {
  return { kind, name, codes: Object.keys(words), words };
}

/** All codes by kind; two kinds can have the same code. */
export const KINDS: readonly Kind[] = [
  kindOf('finding', 'Findings of kdump-mem triage', FINDINGS),
  kindOf('corruption', 'Why a report of the kernel log cannot be trusted', CORRUPTIONS_EXPLAINED),
  kindOf('host-check', 'Checks of kdump-mem triage', HOST_CHECKS_EXPLAINED),
  kindOf('warning', 'Warnings of kdump-mem', WARNINGS),
  kindOf('category', 'Categories of kdump-mem memory', CATEGORIES_EXPLAINED),
  kindOf('named-memory', 'Memory that sources beside /proc/meminfo name', NAMED_EXPLAINED),
  kindOf('slab-cache', 'Slab caches', SLAB_CACHES_EXPLAINED),
  kindOf('row', 'Rows of memory outside socket queues', OUTSIDE_QUEUES),
  kindOf('queue', 'Queues of a socket', QUEUES_EXPLAINED),
  kindOf('verdict', 'Verdicts of skcheck', VERDICTS),
  kindOf('skcheck-reason', 'Evidence of a skcheck verdict', SKCHECK_REASONS),
  kindOf('skcheck-warning', 'Warnings of skcheck', SKCHECK_WARNINGS),
  kindOf('diff-note', 'Notes of kdump-mem diff', DIFF_NOTES),
  kindOf('snapshot-error', 'Why a file of the host is not in a snapshot', SNAPSHOT_ERRORS),
  kindOf('capture-fault', 'Faults of a snapshot', CAPTURE_FAULTS),
  kindOf('stack-stop', 'Why a stack trace is incomplete', STACK_STOPS),
  kindOf('wait', 'What tasks wait for', WAITS),
  kindOf('wait-cause', 'Why tasks in state D wait, by /proc', WAIT_CAUSES),
  kindOf('unreachable-reason', 'Why no reference leads to an allocation in use', UNREACHABLE_REASONS_EXPLAINED),
  kindOf('owner-state', 'Owner of a lock', OWNER_STATES),
  kindOf('rule-doubt', 'Why a custom rule could not be evaluated', RULE_DOUBTS_EXPLAINED),
  kindOf('open-error', 'Why a dump or kernel cannot be opened', KERNEL_ERRORS),
  kindOf('read-error', 'Why memory cannot be read', READ_ERRORS),
  kindOf('not-there', 'Why a requested object was not found', WALK_ERRORS),
  kindOf('types-verified', 'How types were matched to the dump', TYPES_VERIFIED_EXPLAINED),
  kindOf('worker-failure', 'Why a worker returned no result', WORKER_FAILURES),
  kindOf('search-error', 'Why a file was skipped', SEARCH_ERRORS),
  kindOf('host-error', 'Why a host cannot be read', HOST_ERRORS),
  kindOf('store-error', 'Why samples cannot be stored', STORE_ERRORS),
  kindOf('watch-doubt', 'Limits of an answer of kdump-mem watch', WATCH_DOUBTS),
  kindOf('leak-reason', 'Reasons for a verdict of kdump-mem leaks', LEAK_REASONS_EXPLAINED),
  kindOf('leak-note', 'Limits of an answer of kdump-mem leaks', LEAK_NOTES_EXPLAINED),
  kindOf('leak-verdict', 'Verdicts of kdump-mem leaks', LEAK_VERDICTS_EXPLAINED),
  kindOf('leak-place', 'Location of blocks that were not freed', LEAK_PLACES),
  kindOf('leak-unplaced', 'Why the location of a block is unknown', LEAK_UNPLACED),
  kindOf('leak-method-refusal', 'Why a method of kdump-mem leaks is not available', METHOD_REFUSALS),
  kindOf('watch-verdict', 'Verdicts of kdump-mem watch', WATCH_VERDICTS),
  kindOf('course', 'Trends', COURSES),
  kindOf('loss-explanation', 'What accounts for a loss of memory', LOSS_EXPLANATIONS),
  kindOf('diff-status', 'Status of an item in kdump-mem diff', DIFF_STATUSES),
  kindOf('diff-measure', 'Measures of kdump-mem diff', DIFF_MEASURES),
  kindOf('frame-note', 'Notes of page flags', FRAME_NOTES),
  kindOf('unnamed', 'Why the file or cgroup of pages is unknown', UNNAMED),
  kindOf('file-left-out', 'What the list of open and mapped files lacks', CACHED_LEFT_OUT),
  kindOf('source', 'Sources of an answer', SOURCES),
  kindOf('cause', 'Why a finding follows from another', CAUSE_RELATIONS_EXPLAINED),
  kindOf('confidence', 'Confidence of a conclusion', CONFIDENCES_EXPLAINED),
  kindOf('severity', 'Severity of a finding', SEVERITIES_EXPLAINED),
  kindOf('certainty', 'Certainty of a skcheck verdict', CERTAINTIES),
  kindOf('panic-state', 'Panic state of a dump', PANIC_STATES),
  kindOf('stacks-warning', 'Warnings of kdump-mem procs --stacks', STACK_WARNINGS),
  kindOf('ending', 'Why recording or watching ended', ENDINGS),
  kindOf('snapshot-condition', 'Conditions that trigger a snapshot', SNAPSHOT_CONDITIONS),
  kindOf('snapshot-left-out', 'Exclusions of a snapshot', SNAPSHOT_LEFT_OUT),
  kindOf('doctor-check', 'Checks of kdump-mem doctor', DOCTOR_CHECKS),
  kindOf('doctor-state', 'Results of a kdump-mem doctor check', DOCTOR_STATES),
  kindOf('trace-error', 'Why a recording failed', TRACE_ERRORS),
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
  const found = explainedCode(categoryOf(printed) ?? printed.replaceAll(' ', '-'));
  return found.length > 0 ? found : explainedCode(slabCacheKey(code) ?? code);
}

function explainedCode(code: string | undefined): Explained[] {
  return KINDS.flatMap(({ kind, codes, words }) =>
    codes.filter((each) => code === undefined || each === code).map((each) => ({ kind, code: each, ...words[each]! })),
  );
}

/** Returns all codes without duplicates. */
export function allCodes(): string[] {
  return [...new Set(KINDS.flatMap(({ codes }) => codes))];
}

export function explainJson(codes: readonly Explained[]): ExplainJson {
  return {
    schema: 'kdump-mem.explain/1',
    codes: codes.map(({ kind, code, means, known, next, deeper }) => {
      return { kind, code, means, known, next, deeper: deeper ?? null };
    }),
  };
}

/** Formats codes with their explanations. @param width columns of the terminal; null: no terminal */
export function explainText(codes: readonly Explained[], width: number | null): string {
  return codes.map((each) => wholeText(each, width)).join('\n\n');
}

/** Commands that read a kernel, written without the options that name it. */
const OF_KERNELS =
  /^kdump-mem (?:triage|memory|procs|sockets|skb|stacks|log|info|struct|read|blocked|whatis|refs)\b(?!.*--(?:live|vmcore|from|ndjson)\b)/;
/** Of these, the ones that search all memory, which a running kernel changes. */
const OF_DUMPS = /^kdump-mem refs\b|--un(?:attributed|reachable)\b/;

function wholeText({ kind, code, means, known, next, deeper }: Explained, width: number | null) {
  const name = KINDS.find((each) => each.kind === kind)?.name ?? kind;
  const source = OF_DUMPS.test(deeper ?? '') ? ' --vmcore FILE' : ' --vmcore FILE # or --live';
  const parts = [
    ['Meaning', means],
    ['Source', known],
    ['Action', next],
    ...(deeper === undefined ? [] : [['Next', OF_KERNELS.test(deeper) ? `${deeper}${source}` : deeper]]),
  ] as const;
  const lines = parts.flatMap(([label = '', words = '']) => indented(label.padEnd(8), words, width));
  return [`${code} (${name})`, ...lines].join('\n');
}

/** Lists all codes, about one line each: the first sentence of their meaning. */
export function listText(codes: readonly Explained[], width: number | null): string {
  const parts = KINDS.map(({ kind, name }) => {
    const own = codes.filter((each) => each.kind === kind);
    const column = Math.max(...own.map(({ code }) => code.length));
    const lines = own.flatMap(({ code, means }) => indented(code.padEnd(column), firstSentence(means), width));
    return [name, ...lines].join('\n');
  });
  return [...parts, 'Next: kdump-mem explain CODE'].join('\n\n');
}

function indented(label: string, words: string, width: number | null): string[] {
  const indent = `  ${' '.repeat(label.length)}  `;
  const room = width === null ? null : Math.max(20, width - indent.length);
  const [first = '', ...rest] = wrap(words, room);
  return [`  ${label}  ${first}`, ...rest.map((line) => `${indent}${line}`)];
}

function firstSentence(words: string): string {
  return /^.*?[.](?= |$)/.exec(words)?.[0] ?? words;
}
