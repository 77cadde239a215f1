import { clockOf, REPORTS } from './prefix.js';

/** What a kernel's message may begin with: printk's clock, or the first line of a report. */
const CANDIDATE = new RegExp(
  String.raw`(?<clock>(?:<\d{1,3}>)?\[ *\d{1,9}\.\d{6}\](?=[ [])(?:\[ *[TC]\d{1,9}\])? ?(?<timed>${REPORTS})?)|(?<report>${REPORTS})`,
  'g',
);
/** Words of all of these: most lines have none, and are not searched. */
const WORDS = [
  '] ',
  'emory: ',
  'panic',
  'BUG',
  'WARNING: ',
  'INFO: ',
  'Oops: ',
  'nternal error',
  'nable to',
  'protection',
  'cut here',
];
/** Maximum number of candidates in a line, and of characters before one that show whether it is quoted. */
const MAX_CANDIDATES = 4;
const MAX_BEFORE = 200;
/**
 * What precedes a message that a program quotes: a mark of quotation or redirection, the file that grep names, the tag
 * of another log; or a part of the message itself.
 */
const NO_OUTPUT =
  /(?:['"`<>(|=\\/] ?|(?:^|\s)[^\s]*[./][^\s]*:|kernel: ?|^(?:NMI|CPU \d{1,4}|\[|(?:BUG|Oops|INFO|WARNING|Internal error|kasan|traps):) )$/;
/** The name of a header, whose value names a report: the subject of a mail. */
const HEADER = /^\s*[\w-]+: $/;
const PANIC = /^Kernel panic - not syncing: \S/;

/** Further lines of such reports. */
const FURTHER =
  /^(?:CPU: \d+ (?:UID: \d+ )?PID: \d+ |Pid: \d+, comm: |Hardware name: |Call [Tt]race:|Modules linked in: |E?RIP: |EIP: |pc : |PC is at |-+\[ (?:end|cut here)|Kernel Offset: |Rebooting in \d|#PF: |PGD |\*pde|IP: \[|Oops: |Internal error: |Mem-Info:|oom_reaper: |Stack:|R[A-D]X: |\[<[0-9a-f]{8,16}>\]| ?(?:\? )?\w[\w.]*\+0x[0-9a-f]+\/0x|"echo 0 > \/proc\/sys\/kernel\/| *(?:Not tainted|Tainted: ))/;

/** What a line of a console contains behind a program's output. */
export interface Behind {
  /** Position of the kernel's message; undefined: the lines around it do not confirm one. */
  readonly at: number | undefined;
}

/** A line around it, without its prefix. */
export interface NearLine {
  readonly timestamp: bigint | null;
  readonly text: string;
  /** Whether it has nothing of the kernel's own prefix. */
  readonly isPlain: boolean;
}

/** The lines around one line of a text, the nearest first. */
export interface Around {
  before(): Iterable<NearLine>;
  after(): Iterable<NearLine>;
}

/**
 * Finds a kernel's message behind a program's output. A console shared by both prints the message where the cursor is:
 * behind a prompt, or behind output without a line end. Programs also quote such messages, so the console's own lines
 * must confirm it. The message's clock lies between those of the lines before and after it: a quotation is older.
 * Without a clock, further lines of the report follow, at the start of a line and without a clock too; or it is a
 * panic, and nothing follows.
 *
 * @param start end of the prefix that all lines have
 * @returns undefined if the line contains nothing like a message, or quotes it
 */
export function behindOutput(line: string, start: number, around: Around): Behind | undefined {
  if (!WORDS.some((word) => line.includes(word))) return undefined;
  let isLike = false;
  let left = MAX_CANDIDATES;
  for (const { index, groups, 0: text } of line.matchAll(CANDIDATE)) {
    const before = line.slice(Math.max(start, index - MAX_BEFORE), index);
    if (before.trim() === '' || NO_OUTPUT.test(before)) continue;
    const { clock, timed, report } = groups ?? {};
    isLike ||= (timed ?? report) !== undefined;
    if (HEADER.test(before)) continue;
    if (clock === undefined ? isFollowed(line.slice(index), around) : isBetween(clockIn(text), around))
      return { at: index };
    if (--left === 0) break;
  }
  return isLike ? { at: undefined } : undefined;
}

function clockIn(text: string): bigint {
  const [, seconds = '0', microseconds = '0'] = /(\d+)\.(\d{6})/.exec(text) ?? [];
  return clockOf(seconds, microseconds);
}

function isBetween(clock: bigint, around: Around): boolean {
  const [before, after] = [firstClock(around.before()), firstClock(around.after())];
  return (
    (before !== undefined || after !== undefined) &&
    (before === undefined || before <= clock) &&
    (after === undefined || clock <= after)
  );
}

function firstClock(lines: Iterable<NearLine>): bigint | undefined {
  for (const { timestamp } of lines) if (timestamp !== null) return timestamp;
  return undefined;
}

function isFollowed(message: string, around: Around): boolean {
  let isLast = true;
  for (const { isPlain, text } of around.after()) {
    isLast = false;
    if (isPlain && FURTHER.test(text)) return true;
  }
  if (!isLast || !PANIC.test(message)) return false;
  for (const { isPlain, text } of around.before()) if (!isPlain || FURTHER.test(text)) return isPlain;
  return false;
}
