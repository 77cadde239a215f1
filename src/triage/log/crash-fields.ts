import type { CrashReport, PrintedFrame } from '../../contracts/log-reports.js';

type Fields = Omit<CrashReport, 'function' | 'corrupted'>;
type Writable = { -readonly [Name in keyof Fields]: Fields[Name] };

/** Greedy: a command name may contain the same words. */
const TASK =
  /\bCPU: (?<cpu>\d+) (?:UID: (?<uid>\d+) )?PID: (?<pid>\d+) Comm: (?<comm>.{0,15}) (?:Kdump: loaded )?(?<state>(?:Tainted: |Not tainted ).*)/s;
/** Format of 2.6.32 to 3.10. */
const OLD_TASK = /^(?:CPU \d+ )?Pid: (?<pid>\d+), comm: (?<comm>.{0,15}) (?<state>(?:Tainted: |Not tainted ).*)/s;
/** MIPS, ARM, ppc: `Process x (pid: 7, …`, `TASK = c0000000[7] 'x' THREAD: …`. */
const PROCESS = /^Process (?<comm>.{0,15}) \(pid: (?<pid>\d+),|^TASK = \w+\[(?<id>\d+)\] '(?<name>.{0,15})'/s;
const STATE = /^(?:Not tainted|Tainted: (?<taint>(?:[A-Z-]|\[\w\]=\w+,?| )+?))\s+\(?(?<release>\d[^\s)]*)/;
const CPU = /^CPU:? (?<cpu>\d+)\b/;

const ADDRESS = /(?:addr|address:?|at) (?:0x)?(?<address>[0-9a-f]{8,16})\b/;
const ACCESS =
  /^(?<kind>Read|Write) (?:of size (?<bytes>\d+) )?at addr (?<address>[0-9a-f]+)|KFENCE: (?:[a-z-]+) (?<kfence>read|write)|^#PF: \w+ (?<fault>read|write) access/;

const FRAME =
  /^(?:<\w+> *)?(?:\[<?(?:0x)?[0-9a-f]+>?\] +){0,2}(?<guess>\? )?(?<symbol>[\w.]+)(?:\+(?<offset>0x[0-9a-f]+)\/0x[0-9a-f]+)?(?: \[(?<module>[\w-]+)[^\]]*\])?(?: (?<source>[\w./-]+\.\w+:\d+))?(?<inline> \[inline\])?$/;

const MAX_FRAMES = 64;
const MAX_MODULES = 512;

const STACKS = [
  ['stack', /^(?:Call [Tt]race:|Backtrace:|backtrace)/],
  ['allocatedBy', /^Allocated(?: by task \d+.*)?:$/],
  ['freedBy', /^Freed(?: by task \d+.*)?:$/],
] as const;

/** Fields of a report beside its title. Null: not printed. */
export function crashFields(lines: readonly string[]): Fields {
  const fields: Writable = {
    cpu: null,
    pid: null,
    uid: null,
    comm: null,
    taint: null,
    release: null,
    hardware: null,
    address: null,
    access: null,
    accessBytes: null,
    modules: [],
    outOfTree: [],
    stack: [],
    allocatedBy: [],
    freedBy: [],
  };
  const stacks: Record<(typeof STACKS)[number][0], PrintedFrame[]> = { stack: [], allocatedBy: [], freedBy: [] };
  let into: PrintedFrame[] | undefined;
  for (const line of lines) {
    const start = STACKS.find(([, begins]) => begins.test(line));
    if (start) into = stacks[start[0]].length === 0 ? stacks[start[0]] : undefined;
    else if (into && into.length < MAX_FRAMES && !takeFrame(into, line) && into.length > 0) into = undefined;
    takeTask(fields, line);
    const { kind, bytes, address, kfence, fault } = ACCESS.exec(line)?.groups ?? {};
    const access = kind ?? kfence ?? fault;
    if (access !== undefined) {
      fields.access ??= access.toLowerCase() === 'read' ? 'read' : 'write';
      fields.accessBytes ??= bytes === undefined ? null : Number(bytes);
    }
    fields.address ??= address ?? null;
    fields.hardware ??= /^Hardware name: (.+)$/.exec(line)?.[1] ?? null;
    if (fields.modules.length === 0) Object.assign(fields, modulesOf(line));
  }
  fields.address ??= ADDRESS.exec(lines[0] ?? '')?.groups?.address ?? null;
  return { ...fields, ...stacks };
}

function takeTask(fields: Writable, line: string): void {
  if (fields.pid !== null) return;
  const task = (TASK.exec(line) ?? OLD_TASK.exec(line) ?? PROCESS.exec(line))?.groups;
  fields.cpu ??= numberOf(task?.cpu ?? CPU.exec(line)?.groups?.cpu);
  if (!task) return;
  fields.pid = numberOf(task.pid ?? task.id);
  fields.uid = numberOf(task.uid);
  fields.comm = task.comm ?? task.name ?? null;
  const state = STATE.exec(task.state ?? '')?.groups;
  fields.taint = state?.taint?.replace(/[ -]+/g, '') || null;
  fields.release = state?.release ?? null;
}

/**
 * Adds the frame of a line. Returns whether the line belongs to the stack trace; some lines between its
 * frames do.
 */
function takeFrame(frames: PrintedFrame[], line: string): boolean {
  const groups = FRAME.exec(line)?.groups;
  if (!groups) return /^<\/?\w+>$/.test(line);
  const { symbol = '', offset, module, source, inline, guess } = groups;
  if (offset === undefined && inline === undefined) return false;
  frames.push({
    symbol,
    offset: offset === undefined ? null : Number(offset),
    module: module ?? null,
    source: source ?? null,
    inline: inline !== undefined,
    guess: guess !== undefined,
  });
  return true;
}

function modulesOf(line: string): Pick<Fields, 'modules' | 'outOfTree'> {
  const [, list = ''] = /^Modules linked in: ?(.*)$/.exec(line) ?? [];
  const names = list.replace(/\[last unloaded: .*/, '').match(/[\w-]+(?:\([A-Z+-]+\))?/g) ?? [];
  const bare = (some: readonly string[]) => some.slice(0, MAX_MODULES).map((name) => name.replace(/\(.*/, ''));
  return { modules: bare(names), outOfTree: bare(names.filter((name) => /\(.*O/.test(name))) };
}

function numberOf(text: string | undefined): number | null {
  return text === undefined ? null : Number(text);
}

/** Maximum length of a title. More text is useless for a search: other lines are mixed in. */
const MAX_LETTERS = 120;

/** Parts that differ between reports of the same fault, with their placeholders, as in syzbot's titles. */
const VARIABLE: readonly (readonly [RegExp, string])[] = [
  [/(?<![A-Za-z0-9])(?:0x)?[0-9a-f]{6,}/g, 'ADDR'],
  [/\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}/g, 'IP'],
  [/(\.\w+)(?::\d+)+/g, '$1:LINE'],
  [/([A-Za-z][\w.]+)\+0x[0-9a-z]+\/0x[0-9a-z]+/g, '$1'],
  [/CPU#\d+/g, 'CPU'],
  [/(\W)\d+(?=\W|$)/g, '$1NUM'],
  [/\d{7,}/g, 'NUM'],
];

/** A title without addresses, numbers and line numbers. @param text untrusted */
export function plainTitle(text: string): string {
  let title = text.slice(0, 4 * MAX_LETTERS);
  for (const [what, name] of VARIABLE) title = title.replace(what, name);
  return title
    .replace(/\s+/g, ' ')
    .replace(/[^ -~]/g, '')
    .slice(0, MAX_LETTERS)
    .trim();
}

/**
 * Demangled name without types and hash: `core::fmt::write` for `_ZN4core3fmt5write17h0123456789abcdefE`,
 * `foo` for `_Z3fooi`.
 */
export function demangled(symbol: string): string {
  const names: string[] = [];
  let rest = symbol.replace(/^_ZN?(?=\d)/, '');
  if (rest === symbol) return symbol;
  for (let match = /^\d{1,4}/.exec(rest); match; match = /^\d{1,4}/.exec(rest)) {
    const begin = match[0].length;
    names.push(rest.slice(begin, begin + Number(match[0])));
    rest = rest.slice(begin + Number(match[0]));
    if (!symbol.startsWith('_ZN')) break;
  }
  const known = names.filter((name) => !/^h[0-9a-f]{16}$/.test(name));
  return known.join('::') || symbol;
}
