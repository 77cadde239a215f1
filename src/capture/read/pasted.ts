import { type HeldText, utf16Of } from '../../host/text-input.js';
import { decoderOf } from '../../log/encoding.js';
import { LogFormat, SNIFFED } from '../../log/format.js';
import type { Pasted, PastedPart } from '../../records/pasted.js';
import { wantedName } from './manifest.js';
import { pageSizeOf } from './page-size.js';
import { type Command, KINDS, type Kind } from './pasted-kinds.js';

/** A text, with the name of its file. */
export interface PastedText {
  readonly name: string;
  readonly bytes: Buffer;
}

/** People paste less than `judged`. A longer text is a log, unless it begins with an output of a command. */
export const PASTED: HeldText = {
  judged: 1 << 20,
  isOther: (head) => readPasted([{ name: '', bytes: head.subarray(0, SNIFFED) }]) === undefined,
  most: 64 << 20,
};
const MAX_LINE = 4096;
const MAX_LINES = 500_000;

const [ESC, BEL] = ['\x1b', '\x07'];
const ESCAPES = new RegExp(`${ESC}(?:\\[[\\d;:?]*[A-Za-z]|\\][^${BEL}${ESC}]*(?:${BEL}|${ESC}\\\\))`, 'g');
/** Marks of a quoted mail, or of a table. */
const QUOTE = /^(?:\s*[>|]\s?)+/;
const FENCE = /^(?:`{3,}|~{3,})\w*$/;
/** `root@web-7:~# cat /proc/meminfo`, `[root@web-7 ~]# …`, `$ …`, `+ …` of set -x. */
const PROMPT =
  /^(?:(?:\[[^\]\n]{1,80}\]|[\w.-]{1,64}@[\w.-]{1,64}[^#$%\n]{0,120}|(?:ba|da|z)?sh-?[\d.]*)\s?)?(?:[#$%]|\+{1,3})\s*(?:sudo\s+)?([a-z/][^|;]{0,300})/;
/** `==> /proc/meminfo <==`, `--- /proc/meminfo ---`, `/proc/meminfo:`. */
const HEADING =
  /^(?:={2,3}>?|-{2,}|\*{2,}|#{1,4})?\s*(?:cat\s+)?((?:\/proc|\/sys\/fs\/cgroup)\/[\w./@-]{1,200})\s*(?:<?={2,3}|-{2,}|\*{2,}|:)?$/;

/** Lines of a log, which are no output of a command: most lines of a long text. */
const LOGGED =
  /^(?:<\d{1,3}>)?(?:\[ *\d{1,9}\.\d{6}\]|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d |\d{4}-\d\d-\d\d[T ]\d\d:\d\d:)/;
/** Lines of an OOM report that follow this one are one message, which dmesg prints in lines without a prefix. */
const LOGGED_STAT = /Memory cgroup stats for |\] anon \d+$/;
const STAT = /(?:^|\s)[a-z]\w{1,60} \d{1,19}$/;
/** The end of a line that was not cut. */
const WHOLE = /(?:kB|\))$/;

interface Part {
  readonly kind: Kind;
  readonly command: Command;
  readonly file: string;
  readonly line: number;
  readonly lines: string[];
}

/**
 * Finds outputs of commands in texts. A line belongs to the output before it if it can be one of its lines; others
 * are kept for the log.
 *
 * @returns undefined: there are none, or only outputs that are not used, beside a log
 */
export function readPasted(texts: readonly PastedText[]): Pasted | undefined {
  const read = texts.map((text) => ({ name: text.name, ...partsOf(text) }));
  const parts = read.flatMap(({ found }) => found);
  if (parts.length === 0) return undefined;
  const logs = new Map<string, string>();
  let unknownLines = 0;
  for (const { name, others } of read) {
    const log = others.join('\n');
    const { form, looksLikeKernel } = new LogFormat().sniff(log.slice(0, SNIFFED));
    if (form !== undefined || looksLikeKernel) logs.set(name, `${log}\n`);
    else unknownLines += others.length;
  }
  const isUsed = parts.some(({ kind }) => kind.files !== undefined);
  if (logs.size > 0 && !isUsed) return undefined;
  const files = new Map<string, string>();
  const machine: Machine = { total: undefined, place: '' };
  // Rounded figures yield to others, which show the page size.
  const isRounded = ({ kind }: Part) => kind.isRounded ?? false;
  const ordered = [...parts.filter((part) => !isRounded(part)), ...parts.filter(isRounded)];
  const outcomes = new Map(ordered.map((part) => [part, used(part, files, machine)]));
  addProcesses(files);
  addCgroups(files);
  const cut = read.flatMap(({ name, isCut }) => (isCut ? name : []));
  return {
    files,
    logs,
    hasLog: logs.size > 0,
    parts: parts.flatMap((part) => outcomes.get(part) ?? []),
    unknownLines,
    cut,
  };
}

/** Outputs of commands in one text, and its other lines. */
function partsOf({ name, bytes }: PastedText) {
  const parts: Part[] = [];
  const others: string[] = [];
  let command: Command = { words: '' };
  let verbatim: Part | undefined;
  let current: Part | undefined;
  /** The line before, if it is of no kind. */
  let before: { readonly text: string; readonly line: number } | undefined;
  let isInStat = false;
  const lines = decoded(bytes.subarray(0, PASTED.most)).split('\n', MAX_LINES + 1);
  const isCut = lines.length > MAX_LINES || bytes.length >= PASTED.most;
  for (const [index, raw] of lines.entries()) {
    isInStat = LOGGED_STAT.test(raw) || (isInStat && STAT.test(raw));
    if (isInStat || LOGGED.test(raw)) {
      others.push(raw);
      before = undefined;
      continue;
    }
    const unquoted = raw.replace(QUOTE, '');
    const plain = unquoted.trim();
    if (plain === '' || FENCE.test(plain)) continue;
    const heading = before;
    before = undefined;
    const isLast = index === lines.length - 1 && !WHOLE.test(plain);
    if (plain.length > MAX_LINE || isLast) others.push(unquoted);
    else if (current && continues(current, plain, heading?.text)) current.lines.push(plain);
    else {
      const place = { file: name, line: index + 1 };
      const kind = KINDS.find(
        ({ head, line, least, above }) =>
          (head ?? (least === undefined ? undefined : line))?.test(plain) && (above?.test(heading?.text ?? '') ?? true),
      );
      const words = kind?.head ? undefined : (PROMPT.exec(plain)?.[1] ?? HEADING.exec(plain)?.[1])?.trim();
      if (words !== undefined) {
        command = commandOf(words);
        current = undefined;
        verbatim = wholeFile(command, place);
        if (verbatim) parts.push(verbatim);
      } else if (kind) {
        current = { kind, command, ...place, lines: [plain] };
        if (kind.above && heading) {
          (verbatim?.lines ?? others).pop();
          current = { ...current, line: heading.line, lines: [heading.text, plain] };
        }
        parts.push(current);
      } else {
        (verbatim?.lines ?? others).push(verbatim ? plain : unquoted);
        before = { text: plain, line: index + 1 };
      }
    }
  }
  const isFound = ({ lines: of, kind }: Part) => of.length >= (kind.least ?? 1);
  const lost = parts.filter((part) => !isFound(part)).flatMap((part) => part.lines);
  return { found: parts.filter(isFound), others: [...others, ...lost], isCut };
}

/** Whether a line is one of an output, and not the first one of the next. */
function continues({ kind, lines }: Part, line: string, heading = ''): boolean {
  const { head, above, end, repeats } = kind;
  if (above) return kind.line.test(line) && !(head?.test(line) && above.test(heading));
  const isHead = head?.test(line) ?? !repeats;
  if (isHead && nameIn(line) === nameIn(lines[0] ?? '')) return false;
  return kind.line.test(line) && (isHead || !end?.test(lines.at(-1) ?? ''));
}

/** What a line is about: a zone, an area, or the words before its figures. */
function nameIn(line: string): string | undefined {
  return /^(?:Node \d+, zone +\w+|0x\S+|[A-Za-z]\S*(?= +\d)|[^\d:]{4,}|\S+)/.exec(line)?.[0];
}

interface Machine {
  total: number | undefined;
  place: string;
}

/** Adds the files of a part. Of two outputs of one command the last one is used, if they are of one machine. */
function used({ kind, command, file, line, lines }: Part, files: Map<string, string>, machine: Machine): PastedPart {
  const figures = kind.figures?.(lines) ?? null;
  const part = {
    kind: kind.nameOf?.(lines) ?? kind.name,
    file,
    line,
    lines: lines.length,
    state: 'used',
    why: null,
    figures,
  } as const;
  if (!kind.files) return { ...part, state: 'unsupported', why: kind.why ?? 'not used' };
  const captured = { get: (name: string) => files.get(name), names: () => [...files.keys()] };
  const pageSize = pageSizeOf(captured) ?? 4096;
  const made = kind.files(lines, command, pageSize);
  if (typeof made === 'string') return { ...part, state: 'unclear', why: made };
  const meminfo = made.get('proc/meminfo');
  const total = Number(/^MemTotal: +(\d+) kB$/m.exec(meminfo ?? '')?.[1] ?? Number.NaN);
  if (Number.isFinite(total)) {
    const { total: known, place } = machine;
    if (known !== undefined && Math.abs(known - total) > SAME_MACHINE * Math.max(known, total))
      return { ...part, state: 'foreign', why: `its MemTotal differs from that ${place}: another machine` };
    machine.total ??= total;
    machine.place ||= `at line ${line}`;
  }
  const slab = made.get('proc/slabinfo');
  if (slab !== undefined && isOtherSlab(slab, files.get('proc/meminfo') ?? '', pageSize))
    return {
      ...part,
      state: 'foreign',
      why: 'its caches have more memory than Slab of /proc/meminfo: another machine, or another time',
    };
  // Rounded figures do not replace those of the kernel.
  const kept = [...made].filter(([name]) => !(kind.isRounded && files.has(name)));
  for (const [name, text] of kept) files.set(name, text);
  const why = `the text contains ${[...made.keys()].join(' and ')} too`;
  return kept.length > 0 || figures !== null ? part : { ...part, state: 'covered', why };
}

/** Adds the files by which processes are listed to those with their memory. Only the name of a process is known. */
function addProcesses(files: Map<string, string>): void {
  for (const [, folder = ''] of [...files.keys()].join('\n').matchAll(/^(proc\/\d+)\/(?:smaps_rollup|status)$/gm)) {
    const name = /^Name:\t(.{1,64})$/m.exec(files.get(`${folder}/status`) ?? '')?.[1] ?? '?';
    const added = { comm: `${name}\n`, status: '', stat: `${folder.slice(5)} (${name}) S\n` };
    for (const [file, text] of Object.entries(added))
      if (!files.has(`${folder}/${file}`)) files.set(`${folder}/${file}`, text);
  }
}

const CGROUPS = '/sys/fs/cgroup/';

/** Joins the files of cgroups as in a snapshot: each line behind the path. */
function addCgroups(files: Map<string, string>): void {
  const cgroups = [...files].filter(([name]) => `/${name}`.startsWith(CGROUPS));
  if (cgroups.length === 0) return;
  const lines = cgroups.flatMap(([name, text]) =>
    text.split('\n').flatMap((line) => (line === '' ? [] : `/${name}:${line}\n`)),
  );
  for (const [name] of cgroups) files.delete(name);
  const isFirst = cgroups.some(([name]) => name.startsWith('sys/fs/cgroup/memory/'));
  files.set('cgroups', `${isFirst ? '' : `${CGROUPS}cgroup.procs:\n`}${lines.join('')}`);
}

/** Whether slab caches cannot be those of the counters. */
function isOtherSlab(slabinfo: string, meminfo: string, pageSize: number): boolean {
  const counted = /^Slab: (\d+) kB$/m.exec(meminfo)?.[1];
  const pages = [...slabinfo.matchAll(/^\S+(?: \d+){4} (\d{1,6}) : .* slabdata \d+ (\d{1,12}) /gm)].reduce(
    (sum, [, size, slabs]) => sum + Number(size) * Number(slabs),
    0,
  );
  return counted !== undefined && pages * pageSize > OTHER_TIME * Number(counted) * 1024;
}

/** Slab changes by less within the minutes of a terminal. */
const OTHER_TIME = 2;

/** `free` counts the same memory; hot-plugged and returned memory changes it slightly. */
const SAME_MACHINE = 0.01;

function commandOf(words: string): Command {
  const [, path] = /((?:\/proc|\/sys\/fs\/cgroup)\/[\w./@:-]{1,200})/.exec(words) ?? [];
  return path === undefined ? { words } : { words, path };
}

/** A file that a command or a heading names, and whose lines no kind knows. */
function wholeFile({ words, path }: Command, place: Pick<Part, 'file' | 'line'>): Part | undefined {
  const name = path?.startsWith(CGROUPS) ? path.slice(1) : path === undefined ? null : wantedName(path, {});
  if (name === null || path === undefined) return undefined;
  const kind: Kind = { name: path, line: /(?!)/, files: (lines) => new Map([[name, `${lines.join('\n')}\n`]]) };
  return { kind, command: { words, path }, ...place, lines: [] };
}

function decoded(bytes: Buffer): string {
  const raw = new TextDecoder(utf16Of(bytes) ?? 'utf-8').decode(bytes);
  const text = raw.replace(/\r\n?/g, '\n');
  return decoderOf(text.slice(0, SNIFFED))(text)
    .replace(ESCAPES, '')
    .replace(/[\u00a0\u2007\u202f]/g, ' ');
}

/** Commands whose output the text lacks: those with most to say. */
const WANTED: readonly (readonly [file: RegExp, command: string])[] = [
  [/^proc\/meminfo$/, 'cat /proc/meminfo'],
  [/^proc\/vmstat$/, 'cat /proc/vmstat'],
  [/^proc\/zoneinfo$/, 'cat /proc/zoneinfo'],
  [/^proc\/slabinfo$/, 'cat /proc/slabinfo'],
  [/ps_aux$/, 'ps aux'],
  [/ss_-\w+$/, 'ss -tuwxneimpO'],
];

/** Commands that print what the text lacks. */
export function lackedBy({ files, hasLog, parts }: Pasted): string[] {
  // The few figures of free or top are a meminfo without most lines.
  const isWhole = parts.some(({ kind, state }) => kind === '/proc/meminfo' && state === 'used');
  const names = [...files.keys()].filter((name) => isWhole || name !== 'proc/meminfo');
  const lacked = WANTED.flatMap(([file, command]) => (names.some((name) => file.test(name)) ? [] : [command]));
  return hasLog ? lacked : [...lacked, 'dmesg'];
}
