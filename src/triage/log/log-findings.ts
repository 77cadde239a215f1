import type { Boot } from '../../log/boots.js';
import type { TextLogSummary } from '../../log/reader.js';
import type { LogRecord, TextRecord } from '../../records/log-records.js';
import type { Finding } from '../finding.js';
import { ByCaller, type ReportReader } from './by-caller.js';
import { CrashReader } from './crash.js';
import { gfpNames } from './gfp.js';
import { evidenceOf, groupsIn, type LogLine, type LogMessage, messageOf } from './lines.js';
import { MemInfoReader, memoryThen } from './mem-info.js';
import { OomReader, Reaper } from './oom.js';

/**
 * Different findings of one code and severity: a log that is full of one hides no other. Of those beyond
 * the last is reported, and how many there were.
 */
const MOST_ALIKE = 50;

/** Of those of many lines: what makes two of them the same. */
const SAME = ['scope', 'cgroup', 'comm', 'order'];

/** Lines that one finding shows: the first, and the last ones. */
const MOST_EVIDENCE = 4;

/** What stands in each message that begins a finding; a test holds it against all that the patterns know. */
const TRIGGERS =
  /BUG|WARNING:|INFO: |nable to handle|Kernel panic|PANIC: double|Oops|Internal error|Unhandled fault|Alignment trap|Insufficient stack|\[#|general protection|divide.error|stack segment|invalid opcode: |int3: |LOCKUP|rust_kernel|UBSAN|unreferenced object|kmemleak: |slab error|orruption|refcount_t|VFS: |unregister_netdevice|trusty: panic|Hardware Error|EDAC |ut of memory|orphaned sockets|table full|table overflow|(?:EXT4-fs|XFS|BTRFS):? [ec]|rror, dev|I\/O error|oom-killer|Kill|allocation failure|oom-kill|killable|Badness|emory failure|MCE 0x|SError|NMI: |Bus Error|rror received|not responding|Aborting journal|IO errors|hutdown|hutting down|hut down|ead-only|rror on swap|timeout, |is down; |cache (?:overflow|is full)|wap (?:file|offset) entry|vmap alloc|vmalloc|percpu: alloc|allocate memory|allocation deadlock|allocating memory|enough memory|allocation stalls|nobody cared|NETDEV WATCHDOG|hogged|Task in \/|emory: usage|emory cgroup|\[ *pid *\]/;

/** Findings of a kernel's log, in the order of their first lines. */
export function logFindings(
  records: Iterable<LogRecord | TextRecord>,
  pageSize: number,
): Finding[] {
  const findings = new LogFindings(pageSize);
  for (const record of records) findings.take(record);
  return findings.finish();
}

/** The same, message by message: memory does not grow with the log. */
export class LogFindings {
  readonly #found = new Found();
  #boot = 1;
  readonly #crashes = new CrashReader();
  readonly #readers: readonly { readonly reader: ByCaller; readonly by: readonly string[] }[];

  constructor(pageSize: number) {
    const reaper = new Reaper();
    this.#readers = [
      { reader: new ByCaller(() => new OomReader(pageSize, reaper)), by: SAME },
      { reader: new ByCaller(() => new AllocationFailureReader(pageSize)), by: SAME },
    ];
  }

  take(record: LogRecord | TextRecord): void {
    const message = messageOf(record);
    if (message === undefined) return;
    const boot = 'boot' in record ? record.boot : 1;
    if (boot !== this.#boot) this.#endReports();
    this.#boot = boot;
    for (const { reader, by } of this.#readers)
      for (const finding of reader.take(message)) this.#found.add(finding, by, boot);
    for (const { finding, by } of this.#crashes.take(message)) this.#found.add(finding, by, boot);
  }

  /** A report has begun: what follows may be of it. Else only messages count in which `triggers` match. */
  get isOpen(): boolean {
    return this.#crashes.isOpen || this.#readers.some(({ reader }) => reader.isOpen);
  }

  get triggers(): RegExp {
    return TRIGGERS;
  }

  /**
   * @param log whose boots are separated
   * @param only findings of this boot, from 1 on; undefined: of all
   */
  finish(log?: Pick<TextLogSummary, 'boots' | 'bootCount'>, only?: number): Finding[] {
    this.#endReports();
    return this.#found.list(log?.boots ?? [], log?.bootCount ?? this.#boot, only);
  }

  #endReports(): void {
    for (const { reader, by } of this.#readers)
      for (const finding of reader.end()) this.#found.add(finding, by, this.#boot);
    for (const { finding, by } of this.#crashes.end()) this.#found.add(finding, by, this.#boot);
  }
}

/** Findings that say the same of the same are one: the last figures, and how many there were. */
class Found {
  readonly #byKey = new Map<string, Finding & { times: number; others: number; boot: number }>();
  readonly #alike = new Map<string, number>();

  add(finding: Finding | undefined, by: readonly string[], boot: number): void {
    if (finding === undefined) return;
    const alike = `${finding.code} ${finding.severity}`;
    const same = by.map((name) => finding.figures[name] ?? null);
    const own = JSON.stringify([boot, finding.code, ...same]);
    const many = this.#alike.get(alike) ?? 0;
    const isNew = !this.#byKey.has(own);
    if (isNew && many >= MOST_ALIKE) {
      const others = (this.#byKey.get(alike)?.others ?? -1) + 1;
      this.#byKey.set(alike, { ...finding, times: 1, others, boot });
      return;
    }
    if (isNew) this.#alike.set(alike, many + 1);
    const before = this.#byKey.get(own);
    const evidence = [...(before?.evidence ?? []), ...finding.evidence];
    const kept =
      evidence.length > MOST_EVIDENCE
        ? [...evidence.slice(0, 1), ...evidence.slice(1 - MOST_EVIDENCE)]
        : evidence;
    const times = (before?.times ?? 0) + 1;
    // A report that is whole names it better than one that is not.
    const named = before?.report?.corrupted === null ? before : finding;
    const { title, report } = named;
    const naming = { ...(title === undefined ? {} : { title }), ...(report && { report }) };
    this.#byKey.set(own, { ...finding, ...naming, by, evidence: kept, times, others: 0, boot });
  }

  /** Findings, each with its boot as journalctl counts them (0 the last) where the log has several. */
  list(boots: readonly Boot[], count: number, only?: number): Finding[] {
    return [...this.#byKey.values()]
      .filter(({ boot }) => only === undefined || boot === only)
      .map(({ times, others, boot, ...finding }) => {
        const id = boots[boot - 1]?.id;
        const which = {
          boot: boot - count,
          boots: count,
          ...(id === undefined ? {} : { bootId: id }),
        };
        const more = others > 0 ? { others } : {};
        return {
          ...finding,
          figures: { ...finding.figures, times, ...more, ...(count > 1 ? which : {}) },
        };
      });
  }
}

/** `page allocation stalls` in 4.10 to 4.14. */
const FAILED =
  /^(?<comm>.*): (?:page allocation (?:failure[.:]|stalls for (?<milliseconds>\d+)ms,) order:(?<order>\d+)|vmalloc(?: error)?: (?:allocation failure[,:] )?(?<vmalloc>.*?)), mode:(?<mask>0x[0-9a-f]+)(?:\((?<flags>[^)]*)\))?/s;

/** A report has this many lines at most: registers, a stack of calls, and what memory there was. */
const MOST_LINES = 400;

/** Tells failures of the page allocator from the log, line by line (`warn_alloc`, mm/page_alloc.c). */
class AllocationFailureReader implements ReportReader {
  readonly #pageSize: number;
  #report:
    | {
        readonly line: LogLine;
        readonly groups: Readonly<Record<string, string | undefined>>;
        readonly memory: MemInfoReader;
        lines: number;
      }
    | undefined;

  constructor(pageSize: number) {
    this.#pageSize = pageSize;
  }

  get isOpen(): boolean {
    return this.#report !== undefined;
  }

  /** @returns a finding when its last line has come */
  take(line: LogMessage): Finding | undefined {
    const groups = groupsIn(line, FAILED);
    if (groups) {
      const before = this.end();
      this.#report = { line, groups, memory: new MemInfoReader(), lines: 0 };
      return before;
    }
    const report = this.#report;
    if (!report) return undefined;
    // That of the next report, where this one's last line is not printed.
    if (line.text === 'Mem-Info:' && report.memory.shown()) return this.end();
    report.memory.takeMessage(line);
    const isLast =
      /^\d+ pages (?:hwpoisoned|non-shared)$/.test(line.text) || ++report.lines >= MOST_LINES;
    return isLast ? this.end() : undefined;
  }

  end(): Finding | undefined {
    const report = this.#report;
    this.#report = undefined;
    if (!report) return undefined;
    const { comm, order, mask, flags, milliseconds, vmalloc } = report.groups;
    const shown = report.memory.shown();
    const pageSize = shown?.pageSize ?? this.#pageSize;
    const large = shown?.freeBlocks?.filter((block) => block.order >= Number(order ?? 0));
    const what = milliseconds === undefined ? 'failure' : 'stall';
    return {
      code: 'allocation-failure',
      // Such a request no machine of this size can serve.
      severity: vmalloc?.includes('exceeds total pages') ? 'note' : 'warning',
      title:
        vmalloc === undefined
          ? `page allocation ${what}: order:${order}`
          : 'vmalloc allocation failure',
      figures: {
        comm: comm ?? null,
        order: order === undefined ? null : Number(order),
        ...(milliseconds === undefined ? {} : { milliseconds: Number(milliseconds) }),
        ...(vmalloc === undefined ? {} : { vmalloc }),
        gfp: flags ?? (mask === undefined ? null : gfpNames(Number(mask))),
        /** Free bytes in blocks that are large enough, of all zones. */
        freeInLargeBlocksBytes:
          large?.reduce((sum, block) => sum + block.count * 2 ** block.order * pageSize, 0) ?? null,
        ...(shown === undefined ? {} : memoryThen(shown, pageSize)),
      },
      evidence: [evidenceOf(report.line)],
      next: 'memory --nodes',
    };
  }
}
