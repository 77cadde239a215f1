import type { CrashReport, OomReport, OomVictim } from '../../contracts/log-reports.js';
import { type Finding, found } from '../finding.js';
import type { Figures } from '../findings/declared.js';
import { crashFields } from './crash-fields.js';
import { gfpNames } from './gfp.js';
import { evidenceOf, groupsIn, type LogLine, type LogMessage, type ReportReader } from './lines.js';
import { MemInfoReader, memoryThen } from './mem-info.js';
import { MemcgReader } from './memcg-info.js';
import { buildOf } from './release.js';
import { type Choice, readChoice, shortageFigures } from './shortage.js';
import { TaskTable } from './task-table.js';

// The text after the mask may be a separate message (pr_cont), or truncated.
const INVOKED =
  /^(?<comm>.*) invoked oom-killer: gfp_mask=(?<mask>0x[0-9a-f]+)(?:\((?<flags>[^)]*)\))?(?:, +nodemask=(?<nodemask>\(null\)|[\d,-]*))?(?:, +order=(?<order>-?\d+))?(?:, +(?:oom_adj|oomkilladj)=-?\d+)?(?:, +oom_score_adj=(?<adjusted>-?\d+))?/s;
const CPUSET = /^(?<comm>.{0,15}) cpuset=(?<cpuset>.*) mems_allowed=(?<mems>[\d,-]+)$/s;
/** Beginning of a kill's lines: the message argument of `oom_kill_process`. */
const WHY = '(?:(?<why>[A-Z][\\w ()-]{0,63}): )?';
/** The process selected until 5.0; a child of it may be killed instead. */
const CHOSEN = new RegExp(
  `^${WHY}[Kk]ill process (?<pid>\\d+)(?:, UID \\d+,)? \\((?<comm>.*)\\) score (?<score>-?\\d+) or (?:sacrifice|a) child`,
  's',
);
const KILLED = new RegExp(
  `^${WHY}Killed process (?<pid>\\d+)(?:, UID (?<oldUid>\\d+),)? \\((?<comm>.*)\\),?(?: (?:total-vm|vsz):(?<total>\\d+)kB)?(?:,? ?anon-rss:(?<anon>\\d+)kB)?(?:,? ?file-rss:(?<file>\\d+)kB)?(?:,? ?shmem-rss:(?<shmem>\\d+)kB)?(?:, UID:(?<uid>\\d+))?(?: pgtables:(?<tables>\\d+)kB)?(?: oom_score_adj:(?<adjusted>-?\\d+))?`,
  's',
);
const EXITING = new RegExp(`^${WHY}OOM victim (?<pid>\\d+) \\((?<comm>.*)\\) is already exiting`, 's');
const TOGETHER = /^Tasks in (?<group>.*) are going to be killed due to memory\.oom\.group set$/s;
const SHARING = /^Kill(?:ed)? process (?<pid>\d+) \((?<comm>.*)\) sharing same memory$/s;
const NOBODY = /^(?:Kernel panic - not syncing: )?(?:Memory cgroup )?[Oo]ut of memory and no killable processes/;
const PANICKED =
  /^Kernel panic - not syncing: [Oo]ut of memory[:.] (?:(?<which>compulsory|system-wide|Compulsory)? ?panic_on_oom is )/;
/** Container or beancounter of OpenVZ at its limit, each victim in one line. */
const OPENVZ =
  /^(?:Out of memory in (?<ub>UB \S+): )?OOM killed process (?:(?<pid>\d+) \((?<comm>.*)\) score |(?<name>.*) \(pid=(?<id>\d+), (?<ve>ve=\S+)\) exited)/s;
const REAPED = /^oom_reaper: (?:reaped process (?<pid>\d+) |unable to reap pid:(?<failed>\d+) )/;

/** Lines within a report whose first line may have been overwritten: no other report has them. */
const AMID =
  /^(?:oom-kill:constraint=|\[ *pid *\] |Task in .* killed|memory: usage \d|Memory cgroup stats|[A-Z][\w ()-]*: (?:[Kk]ill process|OOM victim) \d|(?:Kernel panic - not syncing: )?[Oo]ut of memory(?: and no killable|[:.] .*panic_on_oom))/;
/** Every line that begins or ends a report contains one of these: other lines are skipped quickly. */
const HINTS = ['oom', 'ill', 'emory', ' pid '];

/**
 * Maximum number of lines after a kill that are searched for more of its report; maximum number of unrelated
 * lines within a report.
 */
const MAX_AFTER = 64;
const MAX_FOREIGN = 400;
/** Maximum number of lines before the counters: task, hardware, stack trace. */
const MAX_HEADER = 200;
/** Maximum number of victims that are kept for one report. */
const MAX_VICTIMS = 100;
const MAX_REAPED = 256;

type Groups = Readonly<Record<string, string | undefined>>;

const kilobytes = (text: string | undefined): number | null => (text === undefined ? null : Number(text) * 1024);

const number = (text: string | undefined): number | null => (text === undefined ? null : Number(text));

/** Collects lines of the OOM reaper, a separate task, for the report of the victim. */
export class Reaper {
  readonly #reaps = new Map<number, { readonly seq: number; readonly how: 'reaped' | 'failed' }>();

  take({ text, seq }: LogLine): boolean {
    const groups = REAPED.exec(text)?.groups;
    if (!groups) return false;
    const pid = Number(groups.pid ?? groups.failed);
    this.#reaps.delete(pid);
    this.#reaps.set(pid, { seq, how: groups.pid === undefined ? 'failed' : 'reaped' });
    const [oldest] = this.#reaps.keys();
    if (this.#reaps.size > MAX_REAPED && oldest !== undefined) this.#reaps.delete(oldest);
    return true;
  }

  /** Reaper state of a process killed by the message `seq`. */
  of(pid: number, seq: number): OomVictim['reaper'] {
    const reap = this.#reaps.get(pid);
    return reap === undefined || reap.seq < seq ? null : reap.how;
  }
}

/** A report of the OOM killer, from its invocation to the kill (mm/oom_kill.c). */
class Report {
  readonly #lines: LogLine[] = [];
  readonly #memory = new MemInfoReader();
  readonly #tasks = new TaskTable();
  readonly #memcg = new MemcgReader();
  readonly #kills: { readonly seq: number; readonly groups: Groups }[] = [];
  #killed = 0;
  #invoked: Groups | undefined;
  readonly #header: string[] = [];
  #cpuset: Groups | undefined;
  #choice: Choice | undefined;
  #old: Groups | undefined;
  #together: string | undefined;
  #isManual = false;
  #after = 0;
  #foreign = 0;
  outcome: 'killed' | 'exiting' | 'no-killable-process' | 'panic' | undefined;
  #panicOnOom: string | null = null;

  invoke(line: LogLine, groups: Groups): void {
    this.#lines.push(line);
    this.#invoked = groups;
  }

  /** Whether it contains a line that only OOM reports have. */
  get isOom(): boolean {
    return (
      (this.#invoked ?? this.#choice ?? this.#old ?? this.outcome) !== undefined ||
      this.#tasks.isPrinted ||
      (this.#memcg.isPrinted && this.#memcg.group !== undefined)
    );
  }

  /** Whether a process that is killed now belongs to this report. */
  takesKill(groups: Groups): boolean {
    if (this.outcome === undefined) return true;
    return this.#together !== undefined && /^Memory cgroup/.test(groups.why ?? '');
  }

  /** A victim of OpenVZ: one line is the whole report. */
  killIn(line: LogLine, { ub, ve, pid, id, comm, name }: Groups): void {
    const victim = { pid: pid ?? id ?? '', comm: comm ?? name ?? '' };
    const none = { nodemask: null, cpuset: null, memsAllowed: null, own: undefined, uid: null };
    this.#choice = { ...none, ...victim, constraint: 'MEMCG', group: ub ?? ve };
    this.kill(line, victim);
  }

  kill(line: LogLine, groups: Groups): void {
    if (this.outcome !== 'killed') this.#lines.push(line);
    this.outcome = 'killed';
    this.#killed++;
    this.#after = 0;
    if (this.#kills.length < MAX_VICTIMS) this.#kills.push({ seq: line.seq, groups });
  }

  /** @returns whether the report has ended */
  take(line: LogMessage): boolean {
    if (this.outcome !== undefined) return this.outcome !== 'killed' || !this.#takeAfter(line);
    this.#takeWho(line);
    if (this.#takeEnd(line)) return true;
    const choice = readChoice(line.whole);
    const old = line.ofCommand ? undefined : groupsIn(line, CHOSEN);
    if (choice) this.#choice = choice;
    if (old) this.#old = old;
    if (choice || old) this.#lines.push(line);
    const isOwn =
      (choice ?? old) !== undefined ||
      this.#memcg.take(line) ||
      this.#memory.takeMessage(line) ||
      this.#tasks.take(line.whole);
    this.#foreign = isOwn ? 0 : this.#foreign + 1;
    if (!isOwn && this.#header.length < MAX_HEADER && this.#memory.shown() === undefined)
      this.#header.push(...(/\bcomm:/i.test(line.text) ? [line.whole] : [line.text, ...line.further]));
    return this.#foreign > MAX_FOREIGN;
  }

  #takeWho(line: LogMessage): void {
    if (/\bmoom_callback\b/.test(line.text)) this.#isManual = true;
    const of = (pattern: RegExp) => {
      const groups = groupsIn(line, pattern);
      // Lines of two tasks may be mixed.
      return groups?.comm === this.#invoked?.comm ? groups : undefined;
    };
    if (this.#invoked === undefined) return;
    this.#cpuset ??= of(CPUSET);
  }

  #takeEnd(line: LogMessage): boolean {
    const exiting = line.ofCommand ? undefined : groupsIn(line, EXITING);
    const panicked = PANICKED.exec(line.text)?.groups;
    if (exiting) {
      this.outcome = 'exiting';
      this.#kills.push({ seq: line.seq, groups: exiting });
    } else if (panicked) {
      this.outcome = 'panic';
      this.#panicOnOom = panicked.which?.toLowerCase() ?? 'system-wide';
    } else if (NOBODY.test(line.text)) this.outcome = 'no-killable-process';
    else return false;
    this.#lines.push(line);
    return true;
  }

  /** Whether more lines of the report may follow. */
  #takeAfter(line: LogMessage): boolean {
    const together = TOGETHER.exec(line.whole)?.groups;
    if (together) this.#together = together.group;
    const sharing = line.ofCommand ? undefined : groupsIn(line, SHARING);
    if (sharing) this.kill(line, sharing);
    return ++this.#after < MAX_AFTER;
  }

  finding(pageSizeTold: number, reaper: Reaper): Finding {
    const shown = this.#memory.shown();
    const pageSize = shown?.pageSize ?? this.#pageSize() ?? pageSizeTold;
    const victims = this.#kills.map(({ seq, groups }) =>
      victimOf(groups, this.#tableBytes(groups), reaper.of(Number(groups.pid), seq)),
    );
    const { stack, ...task } = this.#task();
    const figures = this.#figures(victims[0], task, pageSize);
    const memory = shown === undefined ? {} : memoryThen(shown, pageSize);
    const oom: OomReport = {
      victims,
      stack,
      pages: Object.fromEntries(shown?.pages ?? []),
      zones: shown?.zones ?? [],
      memcgs: this.#memcg.groups,
      tasks: this.#tasks.largest(pageSize),
      byName: this.#tasks.byName(pageSize),
      slabs: shown?.slabs ?? [],
      sites: shown?.sites ?? [],
    };
    // A cgroup that reaches its limit is normal, and the machine continues.
    const severity = figures.scope === 'cgroup' || figures.reason === 'sysrq' ? 'warning' : 'critical';
    const more = { title: titleOf(figures), oom, evidence: this.#lines.map(evidenceOf) };
    return found('oom-kill', severity, { ...figures, ...this.#shortage(pageSize), ...memory }, 'procs', more);
  }

  /**
   * Fields of the process that invoked the OOM killer, from the header; lines of another task may be mixed
   * in.
   */
  #task() {
    const comm = this.#invoked?.comm;
    const first = this.#header.findIndex((line) => crashFields([line]).comm === comm);
    return crashFields(first < 0 ? [] : this.#header.slice(first));
  }

  #figures(
    victim: OomVictim | undefined,
    task: Omit<CrashReport, 'function' | 'corrupted' | 'stack'>,
    pageSize: number,
  ) {
    const [first] = this.#kills;
    const old = this.#old;
    // Lines of two reports may be mixed: the selected process is the victim or its parent.
    const isHis = first === undefined || this.#choice?.pid === first.groups.pid;
    const choice = isHis ? this.#choice : undefined;
    const memcg = isHis || this.#choice === undefined ? this.#memcg : new MemcgReader();
    const group = choice ? choice.group : memcg.group;
    const scope = this.#scope(choice, first?.groups.why ?? old?.why, memcg);
    const named = victim ?? choice ?? old;
    const own = victim && this.#tasks.of(victim.pid, pageSize);
    const sums = this.#tasks.sum(pageSize);
    const largest = this.#tasks.mostResident(pageSize);
    const invoked = this.#invoked;
    return {
      outcome: this.outcome ?? (named ? 'chosen' : 'unknown'),
      scope,
      reason: this.#reason(choice, scope),
      panicOnOom: this.#panicOnOom,
      cgroup: group ?? null,
      ...memcg.figures(),
      invokedBy: invoked?.comm ?? null,
      invokedByPid: task.pid,
      invokedByUid: task.uid,
      cpu: task.cpu,
      taint: task.taint,
      release: task.release,
      ...buildOf(task.release, this.#header),
      hardware: task.hardware,
      order: number(invoked?.order),
      // SysRq-f has order -1: it requests no memory.
      requestedBytes: Number(invoked?.order ?? -1) < 0 ? null : 2 ** Number(invoked?.order) * pageSize,
      gfp: invoked?.flags ?? (invoked?.mask ? gfpNames(Number(invoked.mask)) : null),
      gfpMask: invoked?.mask ?? null,
      nodemask: choice?.nodemask ?? invoked?.nodemask ?? null,
      cpuset: choice?.cpuset ?? this.#cpuset?.cpuset ?? null,
      memsAllowed: choice?.memsAllowed ?? this.#cpuset?.mems ?? null,
      invokedByOomScoreAdj: number(invoked?.adjusted),
      pid: named === undefined ? null : Number(named.pid),
      comm: named?.comm ?? null,
      uid: victim?.uid ?? number(choice?.uid ?? undefined),
      victims: this.#killed,
      victimTotalVmBytes: victim?.totalVmBytes ?? null,
      victimRssBytes: victim ? residentOf(victim) : null,
      victimAnonBytes: victim?.anonBytes ?? null,
      victimFileBytes: victim?.fileBytes ?? null,
      victimSharedBytes: victim?.shmemBytes ?? null,
      victimPageTableBytes: victim?.pageTableBytes ?? own?.pageTableBytes ?? null,
      victimSwapBytes: own?.swapBytes ?? null,
      oomScoreAdj: victim?.oomScoreAdj ?? own?.oomScoreAdj ?? null,
      score: number(old?.score),
      // Until 5.0 a child of the selected process may be killed instead.
      chosenPid: number(old?.pid),
      chosenComm: old?.comm ?? null,
      reaper: victim?.reaper ?? null,
      victimCgroup: (choice ? choice.own : memcg.own) ?? null,
      tasks: this.#tasks.tasks,
      tasksRssBytes: sums?.rssBytes ?? null,
      tasksSwapBytes: sums?.swapBytes ?? null,
      tasksPageTableBytes: sums?.pageTableBytes ?? null,
      largestPid: largest?.pid ?? null,
      largestComm: largest?.name ?? null,
      largestRssBytes: largest?.rssBytes ?? null,
    };
  }

  /** Null: no printed line shows it. */
  #scope(choice: Choice | undefined, why: string | undefined, memcg: MemcgReader) {
    if (choice) return choice.constraint === 'MEMCG' ? 'cgroup' : 'machine';
    if (why !== undefined) return /^Memory cgroup/.test(why) ? 'cgroup' : 'machine';
    if (memcg.isPrinted || this.#header.some((line) => /\bmem_cgroup_out_of_memory\b/.test(line))) return 'cgroup';
    return this.outcome === 'panic' || this.#memory.shown() ? 'machine' : null;
  }

  #reason(choice: Choice | undefined, scope: string | null): string | null {
    if (scope === 'cgroup') return 'memcg';
    if (this.#isManual || this.#invoked?.order === '-1') return 'sysrq';
    // A charge or a driver refused the memory of a page fault: the page allocator was not asked.
    if (Number(this.#invoked?.mask) === 0 && this.#header.some((line) => /\bpagefault_out_of_memory\b/.test(line)))
      return 'page-fault';
    if (choice?.constraint === 'CPUSET') return 'cpuset';
    if (choice?.constraint === 'MEMORY_POLICY') return 'mempolicy';
    const why = this.#kills[0]?.groups.why ?? this.#old?.why ?? '';
    if (why.includes('MPOL_BIND')) return 'mempolicy';
    if (why.includes('cpuset')) return 'cpuset';
    if (choice) return 'global';
    // Before 5.0 no line shows it: a cpuset or a node list may have been the reason.
    const isBound = (this.#cpuset?.cpuset ?? '/') !== '/' || /\d/.test(this.#invoked?.nodemask ?? '');
    return scope === null || isBound ? null : 'global';
  }

  #shortage(pageSize: number) {
    const { order, mask } = this.#invoked ?? {};
    const zones = this.#memory.shown()?.zones ?? [];
    if (mask === undefined || order === undefined || zones.length === 0) return {};
    return shortageFigures(zones, { order: Number(order), mask: Number(mask), pageSize });
  }

  /**
   * Page size, derived from a process's address space: the task table has it in pages, the kill line in KiB.
   */
  #pageSize(): number | undefined {
    for (const { groups } of this.#kills) {
      const pages = this.#tasks.totalVmOf(Number(groups.pid));
      const bytes = kilobytes(groups.total);
      if (!pages || bytes === null) continue;
      const power = Math.log2(bytes / pages);
      if (power >= 12 && power <= 16 && Number.isInteger(power)) return 2 ** power;
    }
    return undefined;
  }

  /**
   * Page table bytes of a victim. 5.4 kernels print bytes as if they were KiB: then the task table has the
   * same number, in bytes.
   */
  #tableBytes({ pid, tables }: Groups): number | null {
    const listed = this.#tasks.of(Number(pid), 1)?.pageTableBytes;
    if (tables !== undefined && listed !== null && listed === Number(tables)) return listed;
    return kilobytes(tables);
  }
}

/** Null: a part was not printed. Kernels before 4.5 count shared memory as file memory. */
function residentOf({ anonBytes, fileBytes, shmemBytes }: OomVictim): number | null {
  return anonBytes === null || fileBytes === null ? null : anonBytes + fileBytes + (shmemBytes ?? 0);
}

/** The kernel's own words, without the variable parts. */
function titleOf(figures: Figures): string {
  const { outcome, scope, comm, invokedBy, panicOnOom } = figures;
  const memory = `${scope === 'cgroup' ? 'Memory cgroup out' : 'Out'} of memory`;
  if (outcome === 'panic') return `${memory}: ${panicOnOom} panic_on_oom is enabled`;
  if (outcome === 'no-killable-process') return `${memory} and no killable processes`;
  if (comm == null) return `${invokedBy ?? 'unknown process'} invoked oom-killer`;
  return `${memory}: ${outcome === 'killed' ? 'Killed' : 'Kill'} process (${comm})`;
}

function victimOf(groups: Groups, pageTableBytes: number | null, reaper: OomVictim['reaper']): OomVictim {
  return {
    pid: Number(groups.pid),
    comm: groups.comm ?? '',
    uid: number(groups.uid ?? groups.oldUid),
    totalVmBytes: kilobytes(groups.total),
    anonBytes: kilobytes(groups.anon),
    fileBytes: kilobytes(groups.file),
    shmemBytes: kilobytes(groups.shmem),
    pageTableBytes,
    oomScoreAdj: number(groups.adjusted),
    reaper,
  };
}

/** Recognizes OOM kills in the log, line by line. */
export class OomReader implements ReportReader {
  readonly #pageSize: number;
  readonly #reaper: Reaper;
  #report: Report | undefined;

  /** @param reaper shared by the readers of all callers */
  constructor(pageSize: number, reaper: Reaper) {
    this.#pageSize = pageSize;
    this.#reaper = reaper;
  }

  get isOpen(): boolean {
    return this.#report !== undefined;
  }

  /** @returns a finding after its last line, or at the first line of the next one */
  take(line: LogMessage): Finding | undefined {
    const hasHint = HINTS.some((hint) => line.whole.includes(hint));
    if (!hasHint && this.#report === undefined) return undefined;
    if (hasHint && this.#reaper.take(line)) return undefined;
    const invoked = hasHint ? groupsIn(line, INVOKED) : undefined;
    if (invoked) {
      const before = this.end();
      this.#report = new Report();
      this.#report.invoke(line, invoked);
      return before;
    }
    const ofContainer = hasHint && !line.ofCommand ? groupsIn(line, OPENVZ) : undefined;
    if (ofContainer) {
      const before = this.end();
      this.#report = new Report();
      this.#report.killIn(line, ofContainer);
      return before;
    }
    const killed = hasHint && !line.ofCommand ? groupsIn(line, KILLED) : undefined;
    if (killed) {
      const before = this.#report?.takesKill(killed) === false ? this.end() : undefined;
      this.#report ??= new Report();
      this.#report.kill(line, killed);
      return before;
    }
    if (hasHint && AMID.test(line.text)) {
      const victim = groupsIn(line, EXITING) ?? {};
      const before = this.#report?.takesKill(victim) === false ? this.end() : undefined;
      this.#report ??= new Report();
      this.#report.take(line);
      return before;
    }
    return this.#report?.take(line) ? this.end() : undefined;
  }

  /** Returns the unfinished report, whose last line the log lacks. */
  end(): Finding | undefined {
    const report = this.#report;
    this.#report = undefined;
    return report?.isOom ? report.finding(this.#pageSize, this.#reaper) : undefined;
  }
}
