import { anyCategoryWords } from '../../account/memory/category-names.js';
import { NOT_KEPT, READ_ERROR_WORDS } from '../../base/errors.js';
import { formatCount, inflect } from '../../base/size.js';

/** What several failed reads have in common, by the words of one: NOT_KEPT is a kind of `filtered`. */
const FAILED_READS: readonly (readonly [one: string, several: string])[] = [
  [NOT_KEPT, 'are not in this extract (a reduced copy of a dump: use the original)'],
  [READ_ERROR_WORDS.filtered, 'were filtered out of the dump (makedumpfile may be too old for this kernel)'],
  [READ_ERROR_WORDS.absent, 'are not in the dump'],
  [READ_ERROR_WORDS.damaged, 'are in corrupt pages of the dump'],
  [READ_ERROR_WORDS.truncated, 'are beyond the end of the file'],
];

/** Failed reads for one reason that are listed one by one. */
const MAX_LISTED = 3;

/** Maximum number of places that a summary names. */
const MAX_PLACES = 5;

/** A warning of any answer. */
interface Said {
  readonly code?: string | undefined;
  readonly message: string;
}

/** Failed reads for one reason. */
interface FailedReads {
  readonly code: string | undefined;
  readonly several: string;
  /** Where this stands in the list. */
  readonly at: number;
  readonly messages: string[];
  dropped: number;
}

/**
 * Warnings for people: more than three failed reads for one reason are one line, at the place of the first. JSON has up
 * to three of each kind, as they were collected.
 */
export function summarized(warnings: readonly Said[]): Said[] {
  const shown: Said[] = [];
  const groups = new Map<string, FailedReads>();
  let last: FailedReads | undefined;
  // Of an extract nobody knows what the dump had filtered out.
  const isExtract = warnings.some(({ message }) => message.includes(NOT_KEPT));
  for (const warning of warnings) {
    const { code, message } = warning;
    const more = /^(\d+) more of the same kind$/.exec(message)?.[1];
    if (more !== undefined && last) {
      last.dropped += Number(more);
      continue;
    }
    const reason = isExtract && message.includes(READ_ERROR_WORDS.filtered) ? NOT_KEPT : message;
    const several = FAILED_READS.find(([words]) => reason.includes(words))?.[1];
    if (several === undefined) {
      last = undefined;
      shown.push({ code, message: named(message) });
      continue;
    }
    last = groups.get(several) ?? { code, several, at: shown.length, messages: [], dropped: 0 };
    groups.set(several, last);
    last.messages.push(message);
  }
  for (const group of [...groups.values()].toReversed()) shown.splice(group.at, 0, ...summaryOf(group));
  return shown;
}

function summaryOf({ code, several, messages, dropped }: FailedReads): Said[] {
  const all = messages.length + dropped;
  if (all <= MAX_LISTED) return messages.map((message) => ({ code, message: named(message) }));
  const categories = new Set<string>();
  const places = new Map<string, string>();
  for (const message of messages) {
    const listed = CATEGORIES.exec(message)?.[1];
    for (const category of listed?.split(', ') ?? []) categories.add(category);
    const place = /^(.+?)(?: at 0x[0-9a-f]+)?: 0x/.exec(message)?.[1] ?? / part of ([\w ]+) at 0x/.exec(message)?.[1];
    const kind = place?.replace(/\d.*/, '');
    if (!listed && place && kind !== undefined && !places.has(kind)) places.set(kind, place);
  }
  const some = [...places.values()].slice(0, MAX_PLACES).join(', ');
  const what = categoriesWords([...categories]);
  return [
    {
      code,
      message: `incomplete: ${what}${formatCount(all)} parts of kernel memory that this answer needs ${several}${some && `: ${some}${all > MAX_PLACES ? ' and others' : ''}`}. --json has examples of each`,
    },
  ];
}

/** Codes of categories at the start of a warning. */
const CATEGORIES = /^incomplete: ([a-z, -]+): /;

/** The warning with the printed names of the categories that it names by their codes. */
function named(message: string): string {
  const listed = CATEGORIES.exec(message)?.[1];
  if (listed === undefined) return message;
  return message.replace(CATEGORIES, () => `incomplete: ${categoriesWords(listed.split(', '))}`);
}

function categoriesWords(codes: readonly string[]): string {
  if (codes.length === 0) return '';
  const noun = inflect(codes.length, 'category', 'categories');
  return `${noun} “${codes.map(anyCategoryWords).join('”, “')}”: `;
}
