import type { Figure, Finding } from '../finding.js';
import type { ReportReader } from './by-caller.js';
import { evidenceOf, groupsIn, type LogLine, type LogMessage } from './lines.js';
import { MemInfoReader, memoryThen } from './mem-info.js';
import { type Choice, readChoice } from './oom-choice.js';
import { TaskTable } from './task-table.js';

const INVOKED =
  /^(?<comm>.*) invoked oom-killer: gfp_mask=(?<gfp>0x[0-9a-f]+)(?:\((?<flags>[^)]*)\))?, (?:nodemask=.*, )?order=(?<order>-?\d+), oom_score_adj=(?<adjusted>-?\d+)$/s;
const KILLED =
  /^(?<scope>.*): Killed process (?<pid>\d+) \((?<comm>.*)\),? total-vm:(?<total>\d+)kB, anon-rss:(?<anon>\d+)kB, file-rss:(?<file>\d+)kB(?:, shmem-rss:(?<shmem>\d+)kB)?(?:, UID:(?<uid>\d+) pgtables:(?<tables>\d+)kB oom_score_adj:(?<adjusted>-?\d+))?/s;
const NOBODY = /^Out of memory and no killable processes\.\.\.$/;
const USAGE = /^memory: usage (?<usage>\d+)kB, limit (?<limit>\d+)kB, failcnt (?<failures>\d+)$/;

type Groups = Readonly<Record<string, string | undefined>>;

const kilobytes = (text: string | undefined): number | null =>
  text === undefined ? null : Number(text) * 1024;

const number = (text: string | undefined): number | null =>
  text === undefined ? null : Number(text);

/** What the OOM killer tells from when it is called until it has killed (mm/oom_kill.c). */
class Report {
  readonly lines: LogLine[];
  readonly memory = new MemInfoReader();
  readonly tasks = new TaskTable();
  readonly #invoked: Groups;
  #chosen: Choice | undefined;
  #usage: Groups | undefined;

  constructor(line: LogLine, invoked: Groups) {
    this.lines = [line];
    this.#invoked = invoked;
  }

  take(line: LogMessage): void {
    this.#usage ??= USAGE.exec(line.text)?.groups;
    const chosen = readChoice(line.whole);
    if (chosen) {
      this.#chosen = chosen;
      this.lines.push(line);
      return;
    }
    if (!this.memory.takeMessage(line)) this.tasks.take(line.whole);
  }

  /** @param killed undefined: nobody was, as far as the log tells */
  figures(killed: Groups | undefined, pageSize: number): Readonly<Record<string, Figure>> {
    const [largest] = this.tasks.largest;
    const shown = this.memory.shown();
    // Lines of two reports may be mixed: what was chosen is who was killed.
    const isHis = killed === undefined || killed.pid === this.#chosen?.pid;
    const chosen = isHis ? this.#chosen : undefined;
    const group = chosen?.group ?? null;
    const scope = chosen === undefined ? scopeOf(killed) : group === null ? 'machine' : 'cgroup';
    return {
      scope,
      cgroup: group,
      limitBytes: kilobytes(isHis ? this.#usage?.limit : undefined),
      usageBytes: kilobytes(isHis ? this.#usage?.usage : undefined),
      invokedBy: this.#invoked.comm ?? null,
      order: number(this.#invoked.order),
      gfp: this.#invoked.flags ?? this.#invoked.gfp ?? null,
      ...victim(killed),
      victimCgroup: chosen?.own ?? null,
      tasks: this.tasks.tasks,
      largestPid: largest?.pid ?? null,
      largestComm: largest?.name ?? null,
      largestRssBytes: largest === undefined ? null : largest.rss * pageSize,
      ...(shown === undefined ? {} : memoryThen(shown, pageSize)),
    };
  }
}

/** As its last line tells; null: nobody was killed. */
function scopeOf(killed: Groups | undefined): 'cgroup' | 'machine' | null {
  if (killed === undefined) return null;
  return killed.scope?.startsWith('Memory cgroup') ? 'cgroup' : 'machine';
}

function victim(killed: Groups | undefined): Readonly<Record<string, Figure>> {
  return {
    pid: number(killed?.pid),
    comm: killed?.comm ?? null,
    uid: number(killed?.uid),
    victimAnonBytes: kilobytes(killed?.anon),
    victimFileBytes: kilobytes(killed?.file),
    victimSharedBytes: kilobytes(killed?.shmem),
    victimPageTableBytes: kilobytes(killed?.tables),
    oomScoreAdj: number(killed?.adjusted),
  };
}

/** Tells kills of the OOM killer from the log, line by line. */
export class OomReader implements ReportReader {
  readonly #pageSize: number;
  #report: Report | undefined;

  constructor(pageSize: number) {
    this.#pageSize = pageSize;
  }

  get isOpen(): boolean {
    return this.#report !== undefined;
  }

  /** @returns a finding when its last line has come */
  take(line: LogMessage): Finding | undefined {
    const invoked = groupsIn(line, INVOKED);
    if (invoked) {
      const before = this.end();
      this.#report = new Report(line, invoked);
      return before;
    }
    const killed = line.ofCommand ? undefined : groupsIn(line, KILLED);
    if (killed || NOBODY.test(line.text)) return this.#finish(killed, line);
    this.#report?.take(line);
    return undefined;
  }

  /** What has begun, and whose last line the log does not have. */
  end(): Finding | undefined {
    return this.#report && this.#finish(undefined);
  }

  #finish(killed: Groups | undefined, line?: LogLine): Finding {
    const report = this.#report;
    this.#report = undefined;
    const figures = report
      ? report.figures(killed, this.#pageSize)
      : // The lines before were overwritten, or others of the same group are killed with it.
        { scope: scopeOf(killed), ...victim(killed) };
    return {
      code: 'oom-kill',
      // A cgroup at its limit is what limits are for; the machine goes on.
      severity: figures.scope === 'cgroup' ? 'warning' : 'critical',
      figures: { ...figures, outcome: killed ? 'killed' : line ? 'nobody' : 'not told' },
      evidence: [...(report?.lines ?? []), ...(line ? [line] : [])].map(evidenceOf),
      deeper: 'procs',
    };
  }
}
