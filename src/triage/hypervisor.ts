import type { MemoryAnswer } from '../account/memory/answer.js';
import { leaves } from '../account/memory/tree.js';
import { HostError } from '../base/errors.js';
import type { LogRecord } from '../records/log-records.js';
import type { CpuTimes } from '../walk/machine/clock.js';
import { type Finding, found } from './finding.js';
import { type HostReader, malformed } from './host-reader.js';
import { THRESHOLDS } from './thresholds.js';

/** Needed CPU time below which a share is noise. Seconds: since boot, and in the time of one run. */
const MIN_SINCE_BOOT = 60;
const MIN_RECENT = 1;
/** /proc/stat counts in USER_HZ: 100 on x86 and arm64 (include/uapi/asm-generic/param.h). */
const TICKS_PER_SECOND = 100;
/** A finding shows the log lines of this many idle CPUs. */
const MAX_EVIDENCE = 3;

const CODE = 'hypervisor-overcommitted' as const;

/** The CPU times of all CPUs since boot. @throws {HostError} */
function cpuTimes(host: HostReader): CpuTimes {
  const path = '/proc/stat';
  // cpu user nice system idle iowait irq softirq steal guest guest_nice; user includes guest (fs/proc/stat.c).
  const [, numbers = ''] = /^cpu ((?: +\d{1,18}){8,12})$/m.exec(host.text(path)) ?? [];
  const [user, nice, system, , , irq, softirq, steal] = numbers.trim().split(/ +/).map(Number);
  if (steal === undefined) throw malformed(path);
  const busy = (user ?? 0) + (nice ?? 0) + (system ?? 0) + (irq ?? 0) + (softirq ?? 0);
  return { busySeconds: busy / TICKS_PER_SECOND, stealSeconds: steal / TICKS_PER_SECOND };
}

/** Begins the check; the result ends it. */
export function stealSinceNow(host: HostReader): () => Generator<Finding> {
  let before: CpuTimes | undefined;
  try {
    before = cpuTimes(host);
  } catch (error) {
    // The second read reports it.
    if (!(error instanceof HostError)) throw error;
  }
  return () => steal(cpuTimes(host), before);
}

/**
 * CPU time that the hypervisor gave to others while this guest needed it (steal).
 *
 * @param before the times at the start of the run: a long uptime hides a recent change
 */
export function* steal(now: CpuTimes, before: CpuTimes = now): Generator<Finding> {
  const recent = {
    busySeconds: now.busySeconds - before.busySeconds,
    stealSeconds: now.stealSeconds - before.stealSeconds,
  };
  const [stealShare, recentShare] = [shareOf(now, MIN_SINCE_BOOT), shareOf(recent, MIN_RECENT)];
  const share = Math.max(stealShare ?? 0, recentShare ?? 0);
  if (share < THRESHOLDS[CODE].note) return;
  const { stealSeconds } = now;
  yield found(CODE, share < THRESHOLDS[CODE].warning ? 'note' : 'warning', { stealShare, stealSeconds, recentShare });
}

/** Share of the needed CPU time; null: too little time was needed, or a counter went back. */
function shareOf({ busySeconds, stealSeconds }: CpuTimes, least: number): number | null {
  const needed = busySeconds + stealSeconds;
  return needed < least || busySeconds < 0 || stealSeconds < 0 ? null : stealSeconds / needed;
}

/**
 * Adds what the log shows: a CPU that the watchdog found stuck while it halted did not run, because the host
 * did not run it. The balloon alone is no finding, but a figure of one.
 */
export function withHypervisor(findings: readonly Finding[], memory: MemoryAnswer | undefined): Finding[] {
  const known = findings.find(({ code }) => code === CODE);
  const lockups = findings.filter(isOfIdleCpu);
  if (!known && lockups.length === 0) return [...findings];
  const balloon = memory && leaves(memory.memory).find(({ category }) => category === 'balloon');
  const figures = {
    ...(known?.figures ?? { stealShare: null, stealSeconds: null, recentShare: null }),
    idleLockups: lockups.reduce((sum, { figures: { times } }) => sum + Number(times ?? 1), 0),
    balloonBytes: balloon?.bytes || null,
  };
  // Without a stack, interrupts could have kept the CPU busy.
  const severity = lockups.some(isHalted) ? 'warning' : (known?.severity ?? 'note');
  const evidence = lockups.slice(0, MAX_EVIDENCE).flatMap((lockup) => lockup.evidence.slice(0, 1));
  return [...findings.filter((finding) => finding !== known), found(CODE, severity, figures, undefined, { evidence })];
}

/** Functions in which an idle CPU halts; of older kernels and of arm64 too. */
const HALTS = /idle|safe_halt|mwait|_wfi/;

/**
 * Whether the idle task of a CPU (pid 0: init_idle, kernel/sched/core.c) was stuck. It also runs interrupts,
 * which can loop: its stack then begins with their functions.
 */
function isOfIdleCpu({ code, figures: { pid, comm }, report }: Finding): boolean {
  if (code !== 'soft-lockup' || pid !== 0 || !/^swapper(\/\d+)?$/.test(String(comm))) return false;
  const [first] = report?.stack ?? [];
  return first === undefined || HALTS.test(first.symbol);
}

/** Whether its stack shows that it was halted. */
export function isHalted(finding: Finding): boolean {
  return isOfIdleCpu(finding) && (finding.report?.stack.length ?? 0) > 0;
}

/** Drivers that return memory of a guest to its hypervisor, as modules and as prefixes of messages. */
const BALLOON =
  /^(?:hv_vmbus: registering driver )?(hv_balloon|virtio_balloon|vmw_balloon|vmware_balloon|xen[_:]balloon)\b/;

/** The balloon driver that is loaded, by /proc/modules or the log; undefined: none is known. */
export function balloonDriver(modules: string, records: readonly Pick<LogRecord, 'text'>[]): string | undefined {
  const lines = [...modules.split('\n'), ...records.map(({ text }) => text)];
  return lines.map((line) => BALLOON.exec(line)?.[1]).find((name) => name !== undefined);
}

/**
 * Names the balloon driver beside memory without a counter that no other finding explains: most drivers take pages
 * without a counter. The hypervisor does so on purpose: no finding is critical then.
 */
export function withBalloon(findings: readonly Finding[], balloon: string | undefined): Finding[] {
  const isExplained = findings.some(({ code }) => code === 'pipes' || code === 'unread-sockets');
  if (balloon === undefined || isExplained) return [...findings];
  return findings.map((finding): Finding => {
    if (finding.code !== 'unattributed-memory') return finding;
    const severity = finding.severity === 'critical' ? 'warning' : finding.severity;
    return { ...finding, severity, figures: { ...finding.figures, balloon } };
  });
}
