import type { Boot } from '../../log/boots.js';
import type { TextLogSummary } from '../../log/reader.js';
import type { LogRecord, TextRecord } from '../../records/log-records.js';
import { beforeEnd, type Finding, found, type LogEvidence, withNext } from '../finding.js';
import type { FindingCode } from '../findings/all.js';
import { blame, TRACE } from './blame.js';
import { CAPTURE_LINES, CaptureKernelReader } from './capture-kernel.js';
import { CrashReader } from './crash.js';
import { crashFields } from './crash-fields.js';
import { gfpNames } from './gfp.js';
import { KILLED_BY, KillerReader } from './killers.js';
import {
  ByCaller,
  evidenceOf,
  groupsIn,
  type LogLine,
  type LogMessage,
  messageOf,
  type ReportReader,
} from './lines.js';
import { MemInfoReader, memoryThen } from './mem-info.js';
import { OomReader, Reaper } from './oom.js';
import { PagePoolReader } from './page-pools.js';
import { PATTERNS } from './patterns.js';
import { shortageFigures } from './shortage.js';

/**
 * Maximum number of findings of one code and severity, so that a flood of one kind hides no other. The last
 * one represents the rest, with their number.
 */
const MAX_ALIKE = 50;

/** Maximum length of a program's line that is looked at. */
const MAX_TEXT = 1024;

/** Figures that identify duplicates of findings with several lines. */
const SAME = ['scope', 'cgroup', 'comm', 'order'];

/** Maximum number of lines of a finding: the first one, and the last ones. */
const MAX_EVIDENCE = 4;

/**
 * Matches each message that begins a finding; a test checks it against all messages that the patterns know.
 */
const KERNEL_TRIGGERS =
  /oomd(?:\[|")|end trace|IP:? +\[<|Panic#|earlyoom|VmRSS|lowmemorykiller|nohang|viction manager|page_pool_release|rejected by pids|audit_|backlog limit|cma_alloc|from CMA|swiotlb|hugepage pool|HugeTLB: |Out of puff|balloon: |DMA coherent pool|socket memory|TTM|command submission|NVRM: Xid|fallen off|to the victim|, badness: |OOM killed|BUG|WARNING:|INFO: |nable to handle|Kernel panic|PANIC: double|Oops|Internal error|Unhandled fault|Alignment trap|Insufficient stack|\[#|general protection|divide.error|stack segment|invalid opcode: |int3: |LOCKUP|rust_kernel|UBSAN|unreferenced object|kmemleak: |slab error|orruption|refcount_t|VFS: |unregister_netdevice|trusty: panic|Hardware Error|EDAC |ut of memory|orphaned sockets|table full|table overflow|(?:EXT4-fs|XFS|BTRFS):? [ec]|rror, dev|I\/O error|oom-killer|Kill|allocation fail|oom-kill|killable|Badness|emory failure|MCE 0x|SError|NMI: |Bus Error|rror received|not responding|Aborting journal|IO errors|hutdown|hutting down|hut down|ead-only|rror on swap|timeout, |is down; |cache (?:overflow|is full)|wap (?:file|offset) entry|vmap alloc|vmalloc|percpu: alloc|allocate memory|allocation deadlock|allocating memory|enough memory|allocation stalls|nobody cared|locksource|NETDEV WATCHDOG|hogged|Task in \/|emory: usage|emory cgroup|\[ *pid *\]/;

const TRIGGERS = new RegExp([KERNEL_TRIGGERS.source, ...CAPTURE_LINES].join('|'));

/** Codes of findings that a missing message may hide. */
const ASSEMBLED = [
  'oom-kill',
  'allocation-failure',
  'hypervisor-overcommitted',
  'page-pool-stalled',
  'user-space-kill',
  'no-dump',
] as const satisfies FindingCode[];
export const LOG_CODES: ReadonlySet<string> = new Set([...PATTERNS.map(({ code }) => code), ...ASSEMBLED]);

/** Findings of a kernel's log, in the order of their first lines. */
export function logFindings(records: Iterable<LogRecord | TextRecord>, pageSize: number): Finding[] {
  const findings = new LogFindings(pageSize);
  for (const record of records) findings.take(record);
  return findings.finish();
}

/** Like `logFindings`, message by message: memory use does not grow with the log. */
export class LogFindings {
  readonly #found = new Found();
  #boot = 1;
  readonly #crashes = new CrashReader();
  readonly #killers = new KillerReader();
  readonly #capture = new CaptureKernelReader();
  readonly #pools: PagePoolReader;
  readonly #readers: readonly { readonly reader: ByCaller; readonly by: readonly string[] }[];

  constructor(pageSize: number) {
    const reaper = new Reaper();
    this.#pools = new PagePoolReader(pageSize);
    this.#readers = [
      { reader: new ByCaller(() => new OomReader(pageSize, reaper)), by: SAME },
      { reader: new ByCaller(() => new AllocationFailureReader(pageSize)), by: SAME },
    ];
  }

  take(record: LogRecord | TextRecord): void {
    const message = messageOf(record);
    const boot = 'boot' in record ? record.boot : 1;
    if (boot !== this.#boot) this.#endReports();
    this.#boot = boot;
    // Programs of kdump also write to the kernel log.
    this.#capture.take(message?.whole ?? record.text.slice(0, MAX_TEXT), () =>
      evidenceOf(message ?? { ...record, text: record.text.slice(0, MAX_TEXT) }),
    );
    if (message === undefined) return;
    for (const { reader, by } of this.#readers)
      for (const finding of reader.take(message)) this.#addReport(finding, by);
    for (const { finding, by } of this.#crashes.take(message)) this.#found.add(finding, by, boot);
    this.#pools.take(message);
    const kill = this.#killers.take(message.whole, () => evidenceOf(message));
    this.#found.add(kill, KILLED_BY, boot);
  }

  /** A line that another program wrote, with its tag. */
  takeProgram(text: string, seq: number): void {
    const evidence = (): LogEvidence => ({ kind: 'log', seq, timestamp: null, text: text.trim() });
    this.#capture.take(text, evidence);
    const kill = this.#killers.take(text, evidence);
    this.#found.add(kill, KILLED_BY, this.#boot);
  }

  /**
   * Whether a report is open: further messages may belong to it. Otherwise only messages that match
   * `triggers` are relevant.
   */
  get isOpen(): boolean {
    return this.#crashes.isOpen || this.#readers.some(({ reader }) => reader.isOpen);
  }

  get triggers(): RegExp {
    return TRIGGERS;
  }

  /**
   * @param log separates the boots
   * @param only return findings of this boot, from 1 on; undefined: all
   */
  finish(log?: Pick<TextLogSummary, 'boots' | 'bootCount'>, only?: number): Finding[] {
    this.#endReports();
    return this.#found.list(log?.boots ?? [], log?.bootCount ?? this.#boot, only);
  }

  #endReports(): void {
    for (const { reader, by } of this.#readers) for (const finding of reader.end()) this.#addReport(finding, by);
    for (const { finding, by } of this.#crashes.end()) this.#found.add(finding, by, this.#boot);
    this.#found.add(this.#pools.end(), [], this.#boot);
    this.#found.add(this.#capture.end(), ['reason'], this.#boot);
  }

  #addReport(finding: Finding | undefined, by: readonly string[]): void {
    if (finding) this.#capture.takeFinding(finding);
    this.#found.add(finding, by, this.#boot);
  }
}

/** Merges duplicate findings: the last figures are kept, with the number of occurrences. */
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
    if (isNew && many >= MAX_ALIKE) {
      const others = (this.#byKey.get(alike)?.others ?? -1) + 1;
      this.#byKey.set(alike, { ...finding, times: 1, others, boot });
      return;
    }
    if (isNew) this.#alike.set(alike, many + 1);
    const before = this.#byKey.get(own);
    const evidence = [...(before?.evidence ?? []), ...finding.evidence];
    const kept =
      evidence.length > MAX_EVIDENCE ? [...evidence.slice(0, 1), ...evidence.slice(1 - MAX_EVIDENCE)] : evidence;
    const times = (before?.times ?? 0) + 1;
    // A complete report names it better than an incomplete one.
    const named = before?.report?.corrupted === null ? before : finding;
    const { title, report } = named;
    const naming = { ...(title === undefined ? {} : { title }), ...(report && { report }) };
    this.#byKey.set(own, { ...finding, ...naming, by, evidence: kept, times, others: 0, boot });
  }

  /**
   * Returns the findings; if the log has several boots, each with its boot as journalctl counts them (0 is
   * the last).
   */
  list(boots: readonly Boot[], count: number, only?: number): Finding[] {
    const all = [...this.#byKey.values()];
    const hasRequest = all.some(({ figures }) => figures.vmalloc !== undefined);
    return (
      all
        .filter(({ boot }) => only === undefined || boot === only)
        // The same failure, before the line that has the task.
        .filter(({ figures }) => !hasRequest || !String(figures.what).startsWith('vmap allocation'))
        .map(({ times, others, boot, ...finding }) => {
          const { id, newest = null } = boots[boot - 1] ?? {};
          const which = { boot: boot - count, boots: count, ...(id === undefined ? {} : { bootId: id }) };
          const more = others > 0 ? { others } : {};
          const aged = beforeEnd(finding, newest);
          const figures = { ...finding.figures, times, ...more, ...aged, ...(count > 1 ? which : {}) };
          return withNext({ ...finding, figures }, finding.next);
        })
    );
  }
}

/** `page allocation stalls` is printed by 4.10 to 4.14. */
const FAILED =
  /^(?<comm>.*): (?:page allocation (?:failure(?<mark>[.:])|stalls for (?<milliseconds>\d+)ms,) order:(?<order>\d+)|vmalloc(?: error)?: (?:allocation failure[,:] )?(?<vmalloc>.*?))(?:, mode:(?<mask>0x[0-9a-f]+)(?:\((?<flags>[^)]*)\))?|$)/s;

/** Before 4.11 the size stands in a line of its own, and the report of the task is that of a page. */
const VMALLOC_SIZE = /^vmalloc: allocation failure: (?<size>(?:allocated \d+ of )?\d+ bytes)$/;

/** Functions between the page allocator and the code that needs the memory, besides those of every report. */
const ALLOCATORS =
  /^_*(?:dma_|page_frag_|alloc_|get_free_pages?|get_zeroed_page|vmalloc|vzalloc|new_slab|cache_grow|kvm?alloc|module_alloc|rmqueue)/;
/** Maximum number of lines of a report before its memory figures. */
const MAX_HEADER = 100;

/** Maximum number of lines of a report: registers, a stack trace, and memory figures. */
const MAX_LINES = 400;

/** Recognizes failures of the page allocator in the log, line by line (`warn_alloc`, mm/page_alloc.c). */
class AllocationFailureReader implements ReportReader {
  readonly #pageSize: number;
  #vmalloc: string | undefined;
  #report:
    | {
        readonly line: LogLine;
        readonly groups: Readonly<Record<string, string | undefined>>;
        readonly memory: MemInfoReader;
        /** Task and stack trace. */
        readonly header: string[];
        lines: number;
      }
    | undefined;

  constructor(pageSize: number) {
    this.#pageSize = pageSize;
  }

  get isOpen(): boolean {
    return this.#report !== undefined;
  }

  /** @returns a finding after its last line, or at the first line of the next one */
  take(line: LogMessage): Finding | undefined {
    this.#vmalloc = VMALLOC_SIZE.exec(line.text)?.groups?.size ?? this.#vmalloc;
    const matched = groupsIn(line, FAILED);
    if (matched) {
      const before = this.end();
      const ofVmalloc = this.#vmalloc === undefined ? {} : { vmalloc: this.#vmalloc, order: undefined };
      const groups = { ...matched, ...ofVmalloc };
      this.#vmalloc = undefined;
      this.#report = { line, groups, memory: new MemInfoReader(), header: [], lines: 0 };
      return before;
    }
    const report = this.#report;
    if (!report) return undefined;
    // This line belongs to the next report: the last line of this one was not printed.
    if (line.text === 'Mem-Info:' && report.memory.shown()) return this.end();
    const isOfMemory = report.memory.takeMessage(line);
    if (!isOfMemory && report.header.length < MAX_HEADER && !/^(?:<\w+> *)?(?:\[<\w+>\] )?\? /.test(line.text))
      report.header.push(line.text);
    const isLast = /^\d+ pages (?:hwpoisoned|non-shared)$/.test(line.text) || ++report.lines >= MAX_LINES;
    return isLast ? this.end() : undefined;
  }

  end(): Finding | undefined {
    const report = this.#report;
    this.#report = undefined;
    if (!report) return undefined;
    const { comm, order, mask, flags, milliseconds, vmalloc, mark = ':' } = report.groups;
    const [symbol = null] = blame(report.header, { steps: [TRACE, 'frames'], skip: ALLOCATORS }) ?? [];
    const frame = crashFields(report.header).stack.find((call) => call.symbol === symbol);
    const shown = report.memory.shown();
    const pageSize = shown?.pageSize ?? this.#pageSize;
    const large = shown?.freeBlocks?.filter((block) => block.order >= Number(order ?? 0));
    const what = milliseconds === undefined ? 'failure' : 'stall';
    const request = { order: Number(order), mask: Number(mask), pageSize, mark: 'minBytes' } as const;
    const figures = {
      // The idle tasks of all CPUs are one object: interrupts.
      comm: comm?.replace(/^swapper\/\d+$/, 'swapper') ?? null,
      symbol,
      module: frame?.module ?? null,
      order: order === undefined ? null : Number(order),
      ...(milliseconds === undefined ? {} : { milliseconds: Number(milliseconds) }),
      ...(vmalloc === undefined ? {} : { vmalloc }),
      gfp: flags ?? (mask === undefined ? null : gfpNames(Number(mask))),
      /** Free bytes of all zones in blocks of at least the requested order. */
      freeInLargeBlocksBytes: large?.reduce((sum, block) => sum + block.count * 2 ** block.order * pageSize, 0) ?? null,
      ...(shown === undefined ? {} : memoryThen(shown, pageSize)),
      ...(order === undefined || mask === undefined ? {} : shortageFigures(shown?.zones ?? [], request)),
    };
    // No machine of this size can satisfy such a request.
    const severity = vmalloc?.includes('exceeds total pages') ? 'note' : 'warning';
    // As its kernel prints it: old ones with a full stop.
    const title =
      vmalloc === undefined ? `page allocation ${what}${mark} order:${order}` : 'vmalloc allocation failure';
    return found('allocation-failure', severity, figures, 'memory --nodes', {
      title,
      evidence: [evidenceOf(report.line)],
    });
  }
}
