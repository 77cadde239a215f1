import type { Corruption, CrashReport } from '../../contracts/log-reports.js';
import type { Printer } from '../../records/log-records.js';
import type { Finding } from '../finding.js';
import type { Figure } from '../findings/declared.js';
import { blame, brokenTrace } from './blame.js';
import { crashFields, demangled, plainTitle } from './crash-fields.js';
import { evidenceOf, groupsIn, type LogLine, type LogMessage } from './lines.js';
import { type Form, PATTERNS, type Pattern, TAILS } from './patterns.js';

/** A finding, and the names of the figures that identify duplicates. */
export interface Found {
  readonly finding: Finding;
  readonly by: readonly string[];
}

type Groups = Readonly<Record<string, string | undefined>>;

interface Start {
  readonly pattern: Pattern;
  readonly groups: Groups;
}

interface Open extends Start {
  readonly lines: string[];
  readonly evidence: LogLine[];
  /** Function and module that the CPU was executing, and the number of the fault. */
  readonly figures: Record<string, Figure>;
  /** Separate findings from lines of the report, which are listed after it. */
  readonly after: Found[];
  /** Number of all messages read up to its newest line. */
  newest: number;
  counted: boolean;
  located: boolean;
  /** Whether the report includes stack traces of other CPUs. */
  allCpus: boolean;
  /** Further lines cannot be distinguished from unrelated ones. */
  mixed: boolean;
  /**
   * Report of the same task that this one interrupted before its stack trace. It gets the stack trace of this
   * one.
   */
  readonly interrupted: Open | undefined;
  /** CPU and task that printed its first line. */
  readonly printer: Printer | undefined;
}

/** Maximum number of lines of a report: registers, held locks, stack traces of all CPUs. */
const MAX_LINES = 1000;
/** Maximum number of open reports: more than the CPUs that print at once. */
const MAX_OPEN = 256;
/** A report with more lines already has its stack trace, and that of a following panic is the same. */
const WHOLE_LINES = 22;

/** A report ends after this many messages without one of its own. */
const MAX_OTHERS = 2000;

const END = /^---\[ end (?:trace|Kernel panic)/;
const COUNT = / \[#(\d+)\]/;
/** Matches kernel code only: cs is 0x10. */
const PLACE =
  /^(?:RIP: 0010:|pc : )(?:\[<[0-9a-f]+>\] +){0,2}(?:(?<symbol>[^+ ]+)\+0x[0-9a-f]+\/0x[0-9a-f]+(?: \[(?<module>[^ \]]+).*\])?|(?:0x)?[0-9a-f]+$)/;
/** Stack traces outside reports: further lines cannot be distinguished from those of a report around them. */
const OTHER_TRACE = /vmalloc: allocation failure:|FAULT_INJECTION: forcing a failure|FAULT_FLAG_ALLOW_RETRY missing/;
/** A CPU that stalls RCU (print_cpu_stall_info): `2-...0: (0 ticks this GP) …`. */
const STALLED = /^(?:rcu: )?[ \t]*(\d+)-[-.?!A-Za-z0-9]{2,6}: \(/;
/** Maximum length of their list. */
const MAX_CPUS = 64;
const REPLAYED = /\*\* replaying previous printk message \*\*/;

/** Assembles reports from messages, separately for each task or interrupt if the log records the caller. */
export class CrashReader {
  readonly #open = new Map<string, Open>();
  /** Ends of reports outside any report, the first of each code. */
  readonly #tails = new Map<string, Found>();
  readonly #reported = new Set<string>();
  #reports = 0;
  #messages = 0;

  /** Whether a report is open: it needs every message that follows. */
  get isOpen(): boolean {
    return this.#open.size > 0;
  }

  *take(message: LogMessage): Generator<Found> {
    if (++this.#messages % MAX_OTHERS === 0) yield* this.#endOld();
    const key = this.#continues(message) ? 'printk' : contextOf(message);
    const open = this.#open.get(key);
    if (open?.lines.length === 1 && REPLAYED.test(message.text)) this.#open.delete(key);
    const start = message.ofCommand ? undefined : startOf(message, PATTERNS);
    if (!start && !open && !message.ofCommand) this.#takeTail(message);
    if (start === undefined || (open && belongs(open, start.pattern))) {
      if (open) yield* this.#add(key, open, message);
      if (message.caller?.kind === 'cpu')
        for (const [other, report] of this.#open)
          if (other !== key && report.allCpus) yield* this.#add(other, report, message);
    } else if (open && isWithin(open, start.pattern)) {
      open.after.push(single(start, message));
      if (open.lines.length > WHOLE_LINES) yield* this.#close(key, open);
      else yield* this.#add(key, open, message);
    } else {
      const { caller } = message;
      const isCut = open && caller && !open.interrupted && brokenTrace(open.lines) !== undefined;
      if (open && !isCut) yield* this.#close(key, open);
      if (start.pattern.forms === undefined) yield single(start, message);
      else yield* this.#begin(key, start, message, isCut ? open : undefined);
    }
  }

  /** Whether a line without a prefix is the second line of a message. */
  #continues({ caller, bare }: LogMessage): boolean {
    const open = this.#open.get('printk');
    return caller === null && bare && open?.pattern.continues === true && open.lines.length === 1;
  }

  *end(): Generator<Found> {
    for (const [key, open] of [...this.#open]) yield* this.#close(key, open);
    // Any report may have been closed before its end, so the end of an unknown one proves nothing after it.
    for (const [code, tail] of this.#tails)
      if (!this.#reported.has(code) && (code !== 'kernel-warning' || this.#reported.size + this.#tails.size === 1))
        yield tail;
    this.#tails.clear();
    this.#reported.clear();
  }

  #takeTail(message: LogMessage): void {
    const start = startOf(message, TAILS);
    if (!start || this.#tails.has(start.pattern.code)) return;
    this.#tails.set(start.pattern.code, reported(opened(start, message), false));
  }

  *#endOld(): Generator<Found> {
    for (const [key, open] of [...this.#open])
      if (open.newest < this.#messages - MAX_OTHERS) yield* this.#close(key, open);
  }

  *#begin(key: string, start: Start, message: LogMessage, interrupted: Open | undefined): Generator<Found> {
    const open = opened(start, message, interrupted);
    this.#open.set(key, open);
    yield* this.#add(key, open, message);
    const [oldest] = this.#open;
    if (this.#open.size > MAX_OPEN && oldest) yield* this.#close(...oldest);
  }

  *#add(key: string, open: Open, message: LogMessage): Generator<Found> {
    const { text, caller } = message;
    open.newest = this.#messages;
    // A command name may contain newlines.
    const lines = /\bComm:/i.test(text) ? [message.whole] : [text, ...message.further];
    if (!open.mixed || caller !== null) {
      // This line is printed within a stack trace.
      if (!text.startsWith('Disabling lock debugging due to')) open.lines.push(...lines);
      open.interrupted?.lines.push(...lines);
      note(open, message);
    }
    if (text.includes('Sending NMI from CPU')) open.allCpus = true;
    if (OTHER_TRACE.test(text)) open.mixed = true;
    if (END.test(text) || open.lines.length >= MAX_LINES) yield* this.#close(key, open);
  }

  *#close(key: string, open: Open): Generator<Found> {
    this.#open.delete(key);
    for (const report of [open.interrupted, open]) {
      if (!report) continue;
      this.#reported.add(report.pattern.code);
      yield reported(report, this.#reports++ > 0);
      for (const found of report.after) {
        this.#reported.add(found.finding.code);
        yield found;
      }
    }
  }
}

/**
 * Key of the context that printed a message. If the log records no callers, lines with and without a printk
 * prefix are kept apart.
 */
function contextOf({ caller, bare }: LogMessage): string {
  return caller === null ? (bare ? 'bare' : 'printk') : `${caller.kind} ${caller.id}`;
}

function opened(start: Start, message: LogMessage, interrupted?: Open): Open {
  return {
    ...start,
    lines: [],
    evidence: [message],
    figures: {},
    after: [],
    newest: 0,
    counted: start.pattern.inside === 'counted',
    located: false,
    allCpus: false,
    mixed: false,
    interrupted,
    printer: message.printer,
  };
}

function startOf(message: LogMessage, patterns: readonly Pattern[]): Start | undefined {
  for (const pattern of patterns) {
    const groups = groupsIn(message, pattern.line);
    if (groups) return { pattern, groups };
  }
  return undefined;
}

/** Whether a line that could begin a report belongs to the open one. */
function belongs({ pattern: { code }, lines, counted }: Open, start: Pattern): boolean {
  if (start.inside === 'counted') return !counted && (code === 'oops' || start.anywhere === true);
  if (start.code === 'memory-leak') return code === 'memory-leak' && lines.length === 1;
  return start.inside === 'part';
}

/** Whether a separate finding is within the report. The panic that follows an SError has the stack trace. */
function isWithin({ pattern }: Open, { inside, forms, code }: Pattern): boolean {
  return (inside === 'apart' || forms === undefined) && !(pattern.code === 'hardware-error' && code === 'panic');
}

/** Records the key lines of a fault: the one with its number, and the one with the program counter. */
function note(open: Open, message: LogMessage): void {
  const { figures, evidence, pattern } = open;
  const stalled = pattern.code === 'rcu-stall' ? STALLED.exec(message.text)?.[1] : undefined;
  if (stalled !== undefined && !message.text.includes('detected')) {
    figures.cpus = figures.cpus === undefined ? stalled : `${figures.cpus} ${stalled}`.slice(0, MAX_CPUS);
    figures.cpu ??= Number(stalled);
  }
  if (pattern.code !== 'oops') return;
  const number = COUNT.exec(message.text)?.[1];
  if (number !== undefined && figures.number === undefined) {
    figures.number = Number(number);
    open.counted = true;
    if (open.lines.length > 1) evidence.push(message);
  }
  const place = open.located ? undefined : PLACE.exec(message.text)?.groups;
  if (!place) return;
  open.located = true;
  const { symbol, module } = place;
  Object.assign(figures, { ...(symbol && { symbol }), ...(module && { module }) });
  evidence.push(message);
}

function single({ pattern, groups }: Start, message: LogMessage): Found {
  const { code, severity, by, next } = pattern;
  const { title } = titled({ pattern, groups, lines: [message.text] }, true);
  const finding = { code, severity, title, figures: figuresOf(pattern, groups) };
  const evidence = [evidenceOf(message)];
  return { finding: { ...finding, evidence, ...(next === undefined ? {} : { next }) }, by };
}

function figuresOf({ numbers }: { readonly numbers?: readonly string[] }, groups: Groups): Record<string, Figure> {
  const figures: Record<string, Figure> = {};
  for (const [name, text] of Object.entries(groups))
    if (text !== undefined) figures[name] = numbers?.includes(name) ? Number(text) : text;
  return figures;
}

/** @param later whether another report precedes it */
function reported(open: Open, later: boolean): Found {
  const { pattern, groups, lines, evidence } = open;
  const { code, severity, by, next } = pattern;
  const { title, name, corrupted } = titled(open, later);
  const { printer } = open;
  const printed = crashFields(lines);
  const fields = printer && printed.pid === null ? { ...printed, ...printer, comm: printer.comm || null } : printed;
  const report: CrashReport = { function: name, corrupted, ...fields };
  const figures = { ...figuresOf(pattern, groups), ...open.figures };
  for (const field of ['cpu', 'pid', 'comm'] as const) if (fields.pid !== null) figures[field] ??= fields[field];
  if (name !== null) figures.symbol ??= name;
  return {
    finding: {
      code,
      severity,
      title,
      report,
      figures,
      evidence: evidence.map(evidenceOf),
      ...(next === undefined ? {} : { next }),
    },
    by,
  };
}

interface Titled {
  readonly title: string;
  /** The function to blame. */
  readonly name: string | null;
  readonly corrupted: Corruption | null;
}

function titled({ pattern, groups, ...open }: Pick<Open, 'pattern' | 'groups' | 'lines'>, later: boolean): Titled {
  const lines = sureLines(open.lines);
  const line = (lines[0] ?? '').replace(/^\[ | \]$/g, '');
  for (const form of pattern.forms ?? []) {
    const matched = fits(form, lines);
    if (!matched) continue;
    const functions = form.search && blame(lines, form.search);
    const symbol = form.search ? functions?.[0] : matched.f;
    const name = symbol === undefined ? null : demangled(symbol);
    const all: Groups = { ...groups, ...matched, line, f: name ?? 'corrupted' };
    const title = plainTitle(form.title.replace(/\{(\w+)\}/g, (_, group) => all[group] ?? ''));
    const consequence = pattern.code === 'panic' && later;
    const why =
      form.search && functions === undefined
        ? 'no-function'
        : form.corrupted === 'always' || (form.corrupted === 'alone' && !consequence)
          ? 'no-first-lines'
          : /\[ *\d+\.\d+\]/.test(title)
            ? 'interleaved'
            : form.traceless || consequence
              ? undefined
              : brokenTrace(lines);
    return { title, name, corrupted: why ?? null };
  }
  return { title: plainTitle(pattern.forms ? line : (open.lines[0] ?? '')), name: null, corrupted: 'lines-missing' };
}

/**
 * Lines without guessed frames. For a kernel without an unwinder, which prints only guesses, all lines. On
 * such a kernel even the call of dump_stack is a guess; i386 never has ORC.
 */
function sureLines(lines: readonly string[]): readonly string[] {
  const sure = lines.filter((text) => !isGuess(text));
  const lacksUnwinder = lines.some((text) => /^EIP: |\? (?:__)?dump_stack\b/.test(text));
  if (!lacksUnwinder || brokenTrace(sure) !== 'no-frames') return sure;
  const all = lines.map((text) => text.replace(/(^|[\s>])\? /, '$1'));
  return brokenTrace(all) === undefined ? all : sure;
}

/**
 * Whether a frame is a guess: the unwinder found the function on the stack, but did not return through it
 * (x86, powerpc).
 */
function isGuess(line: string): boolean {
  return (/(?:^|[\s>])\? /.test(line) && !line.includes('<EOI>')) || line.endsWith(' (unreliable)');
}

/** Groups of a form; undefined if the report lacks its lines. */
function fits({ when, body }: Form, lines: readonly string[]): Groups | undefined {
  const first = when?.exec(lines[0] ?? '');
  if (when && !first) return undefined;
  let groups: Groups = { ...first?.groups };
  let at = 1;
  for (const pattern of body ?? []) {
    let match: RegExpExecArray | null = null;
    for (; at < lines.length && !match; at++) match = pattern.exec(lines[at]!);
    if (!match) return undefined;
    groups = { ...groups, ...match.groups };
  }
  return groups;
}
