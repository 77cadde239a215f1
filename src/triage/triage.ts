import { type LogAnswer, messages } from '../account/log.js';
import { accountMemory } from '../account/memory/memory.js';
import { attempted } from '../account/memory/missed.js';
import type { CensusEntry } from '../account/owners.js';
import { accountAll, type CensusAnswer } from '../account/sockets.js';
import { groupedStacks } from '../account/task-stacks.js';
import { NOT_KEPT, ReadError } from '../base/errors.js';
import { grouped, hex } from '../base/util.js';
import type { CensusHolder } from '../contracts/sockets.js';
import type { StackGroup } from '../contracts/task-stacks.js';
import type { Kernel } from '../kernel/kernel.js';
import { isRequestedCrash } from '../log/words.js';
import { HOST_CHECKS } from '../records/triage-codes.js';
import { OOM } from '../walk/log/panic.js';
import { type CpuTimes, readCpuTimes, readTicks } from '../walk/machine/clock.js';
import { fieldsOf } from '../walk/machine/fields.js';
import { describeMachine, type MachineFacts } from '../walk/machine-facts.js';
import { isTcp, type TcpWaiting, TcpWaitingReader } from '../walk/sockets/tcp.js';
import { Unknowns, Warnings } from '../walk/warnings.js';
import type { KernelTriage, TriageAnswer } from './answer.js';
import { ranked } from './answer.js';
import { bySeverity, type Finding, found, othersFigures, type StackEvidence, withPast } from './finding.js';
import { holdersIn } from './holders.js';
import { steal, withHypervisor } from './hypervisor.js';
import { blockedTasks, evidenceOf, memoryFindings, stackOfCpu, waitsIn } from './kernel-findings.js';
import { kernelMemory } from './kernel-memory.js';
import { logFindings } from './log/log-findings.js';
import { censusFindings } from './queued-data.js';
import { THRESHOLDS } from './thresholds.js';

/** Whether the dump contains its log, and all of it could be read. */
export function hasWholeLog({ log }: Pick<TriageAnswer, 'log'>): boolean {
  return log?.complete === true && log.records.length > 0;
}

/**
 * Checks the log, the panic, the memory breakdown, tasks and sockets.
 *
 * @param progress called repeatedly with the completed part, 0 to 1
 * @param early receives what the log and the panic show, before memory is read, which takes minutes for a terabyte
 */
export function triage(
  kernel: Kernel,
  progress: (part: number) => void = () => {},
  early: (answer: KernelTriage) => void = () => {},
): KernelTriage {
  const warnings = new Warnings(kernel.doubts);
  const unknowns = new Unknowns();
  const machine = describeMachine(kernel, fieldsOf(kernel), unknowns);
  for (const { what, why } of unknowns.list()) warnings.add('unreadable', `${what}: ${why}`);
  const log = attempted(warnings, 'the log', () => messages(kernel, {}));
  const { panic } = machine;
  const { cpu } = panic;
  const panicStack =
    panic.state === 'panicked' && cpu !== undefined
      ? attempted(warnings, 'the stack of the panic', () => stackOfCpu(kernel, cpu, warnings))
      : undefined;
  const times = attempted(warnings, 'CPU time', () => cpuTimesOf(kernel));
  const { clock } = machine;
  // The log’s clock stands still during suspend.
  const uptime = clock && Number(clock.uptime - clock.asleep) / 1e9;
  const logged = log
    ? withPast(logFindings(log.records, kernel.facts.pageSize), uptime, kernel.facts.live ? UNKNOWN_SUBJECT : undefined)
    : [];
  const first = withPanic(logged, machine, { stack: panicStack, log });
  const answer = { kernel: kernel.facts, machine, log, lost: lostOf(log) };
  early({ ...answer, findings: bySeverity(first), memory: undefined, warnings: [], complete: false });
  const memory = attempted(warnings, 'memory', () => accountMemory(kernel, progress, { socketsBy: 'cgroup' }));
  for (const { code, message } of [...(log?.warnings ?? []), ...(memory?.warnings ?? [])]) warnings.add(code, message);
  const census = memory ? memory.census : socketsAlone(kernel, warnings);
  const blocked = attempted(warnings, 'stacks', () => blockedTasks(kernel, warnings));
  const findings = [
    ...first,
    ...(blocked ?? []),
    ...(memory
      ? [...memoryFindings(memory), ...kernelMemory(kernel, memory, warnings)]
      : socketFindings(machine, census)),
    ...(census ? stalledReaders(kernel, census, warnings) : []),
    ...(census ? unaccepted(kernel, census, warnings) : []),
    ...taint(machine),
    ...(times ? steal(times) : []),
  ];
  const checks = { log: log?.complete, memory, processes: blocked, sockets: census, 'cpu-steal': times };
  return ranked({
    ...answer,
    checked: HOST_CHECKS.filter((name) => checks[name as keyof typeof checks]),
    findings: withHypervisor(findings, memory),
    memory,
    holders: memory && holdersIn(memory),
    census,
    warnings: warnings.list(),
    complete: warnings.complete && memory?.complete === true,
  });
}

/** Kernel memory alone does not show what became of a cgroup or a process. */
const UNKNOWN_SUBJECT = { subjectOf: () => null };

/** Undefined: an extract of an earlier release of kdump-mem, which did not keep them. */
function cpuTimesOf(kernel: Kernel): CpuTimes | undefined {
  try {
    return readCpuTimes(kernel);
  } catch (error) {
    if (error instanceof ReadError && error.detail.includes(NOT_KEPT)) return undefined;
    throw error;
  }
}

/**
 * Sockets without the memory breakdown: they may be readable even if page frames are not, for example in an
 * extract.
 */
function socketsAlone(kernel: Kernel, warnings: Warnings): CensusAnswer | undefined {
  const census = attempted(warnings, 'sockets', () => accountAll(kernel, { by: 'cgroup' }));
  for (const { code, message } of census?.warnings ?? []) warnings.add(code, message);
  return census;
}

/** Without any readable message the loss is unknown. */
function lostOf(log: LogAnswer | undefined): TriageAnswer['lost'] {
  if (log === undefined || (!log.complete && log.records.length === 0)) return undefined;
  return { overwritten: log.overwritten, noRoom: log.noRoom };
}

function socketFindings({ ram }: MachineFacts, census: CensusAnswer | undefined): Finding[] {
  return ram === undefined || census === undefined ? [] : censusFindings(census, ram);
}

/** Merges the panic into one finding: facts from the log, and the CPU and task from kernel variables. */
function withPanic(
  known: readonly Finding[],
  { panic }: MachineFacts,
  { stack, log }: { readonly stack: StackEvidence | undefined; readonly log: LogAnswer | undefined },
): Finding[] {
  const others = known.filter(({ code }) => code !== 'panic');
  const logged = known.find(({ code }) => code === 'panic');
  if (panic.state !== 'panicked') return [...known];
  const figures = {
    reason: null,
    ...logged?.figures,
    logMessages: lostOf(log) === undefined ? null : (log?.records.length ?? null),
    cause: panic.cause ?? null,
    cpu: panic.cpu ?? null,
    pid: panic.task?.pid ?? null,
    comm: panic.task?.comm ?? null,
    // A key of a console or a keyboard has other functions.
    ...(stack?.frames.some(({ symbol }) => symbol === 'write_sysrq_trigger') ? { trigger: '/proc/sysrq-trigger' } : {}),
  };
  const evidence = [...(logged?.evidence ?? []), ...(stack ? [stack] : [])];
  return [found('panic', 'critical', figures, nextOf(panic, String(figures.reason ?? '')), { evidence }), ...others];
}

/** Command that shows more about a panic. The task that ran out of memory is seldom the one that uses it. */
function nextOf({ cause = '', cpu }: MachineFacts['panic'], reason: string): string {
  if (OOM.test(cause)) return 'memory';
  // Of a requested crash, the stack only shows who wrote to /proc/sysrq-trigger.
  return cpu === undefined || isRequestedCrash(cause) || isRequestedCrash(reason)
    ? 'log --since -1m'
    : `stacks --cpu ${cpu}`;
}

function taint({ taint: mask }: MachineFacts): Finding[] {
  if (mask === undefined || mask === 0n) return [];
  return [found('tainted', 'note', { mask: Number(mask) }, 'info')];
}

/** Maximum number of sockets: first those with a closed receive window, then those that pin most. */
const MOST = 20;

const RECEIVES = /^(__sys_recvfrom|__sys_recvmsg|___sys_recvmsg|do_recvmmsg|sock_read_iter|sock_recvmsg|tcp_recvmsg)$/;
const POLLS = /^(do_poll|do_sys_poll|do_select|core_sys_select|ep_poll|do_epoll_wait|io_cqring_wait)$/;

/** Activity of a thread that could read. */
type Doing = 'stopped' | 'running' | 'receiving' | 'polling' | 'elsewhere';

/**
 * TCP connections that are not being read: their newest data arrived long ago, and the receive window is
 * closed or much data is queued. Other sockets do not record when data arrived.
 *
 * @param warnings receives unreadable data
 * @param leastSeconds minimum age of the newest data
 */
export function stalledReaders(
  kernel: Kernel,
  { sockets }: Pick<CensusAnswer, 'sockets'>,
  warnings: Warnings,
  leastSeconds: number = THRESHOLDS['stalled-reader'].leastSeconds,
): Finding[] {
  const candidates = sockets.filter(
    ({ socket, unreadBytes, holders, subflowOf }) =>
      isTcp(socket.protocol) && (unreadBytes ?? 0) > 0 && holders.length > 0 && !subflowOf,
  );
  const stalled = waitingOf(kernel, candidates, warnings)
    .filter(
      ({ entry, waiting: { ageSeconds, closed } }) =>
        ageSeconds !== null &&
        ageSeconds >= leastSeconds &&
        (closed || entry.total.pinnedBytes >= THRESHOLDS['stalled-reader'].note),
    )
    // The last one represents the others, which must not be more severe.
    .toSorted((a, b) => Number(b.waiting.closed) - Number(a.waiting.closed));
  const others = othersFigures(stalled.slice(MOST).map(({ entry: { holders } }) => holders[0]?.pid ?? null));
  return stalled
    .slice(0, MOST)
    .map(({ entry, waiting }, index) => findingOf(kernel, entry, waiting, index === MOST - 1 ? others : {}, warnings));
}

interface Waiting {
  readonly entry: CensusEntry;
  readonly waiting: TcpWaiting;
}

/** Ages of the data in TCP queues. An unreadable socket does not hide the others. */
function waitingOf(kernel: Kernel, entries: readonly CensusEntry[], warnings: Warnings): Waiting[] {
  if (entries.length === 0) return [];
  const age = attempted(warnings, 'the age of queued data', () => {
    const [ticks, reader] = [readTicks(kernel), new TcpWaitingReader(kernel)];
    return entries.flatMap((entry) => {
      const { sock } = entry.socket;
      const what = `the age of the data queued in the socket at ${hex(sock)}`;
      const waiting = attempted(warnings, what, () => reader.read(sock, ticks));
      // In a running kernel it arrived after the clock was read.
      if (waiting?.ageSeconds === null && !kernel.facts.live)
        warnings.add('corrupt', `${what}: its time is before boot, or after the dump`);
      return waiting ? [{ entry, waiting }] : [];
    });
  });
  return age ?? [];
}

/** Connections with data that a listener has not accepted for long, by listener. */
function unaccepted(kernel: Kernel, { sockets }: Pick<CensusAnswer, 'sockets'>, warnings: Warnings): Finding[] {
  const queued = sockets.filter(
    ({ socket, unreadBytes, acceptedFrom }) =>
      acceptedFrom !== null && isTcp(socket.protocol) && (unreadBytes ?? 0) > 0,
  );
  const old = waitingOf(kernel, queued, warnings).filter(
    ({ waiting: { ageSeconds } }) => ageSeconds !== null && ageSeconds >= THRESHOLDS['stalled-reader'].leastSeconds,
  );
  const listeners = new Map(sockets.map((entry) => [entry.socket.sock, entry]));
  const findings = [...grouped(old, ({ entry }) => entry.acceptedFrom)].map(([sock, queued]): Finding => {
    const [holder] = listeners.get(sock ?? 0n)?.holders ?? [];
    const sum = (of: (entry: CensusEntry) => number) => queued.reduce((all, { entry }) => all + of(entry), 0);
    const figures = {
      sockets: queued.length,
      pid: holder?.pid ?? null,
      comm: holder?.comm ?? null,
      unaccepted: queued.length,
      unreadBytes: sum(({ unreadBytes }) => unreadBytes ?? 0),
      pinnedBytes: sum(({ total }) => total.pinnedBytes),
      peersBytes: null,
      ageSeconds: Math.floor(Math.min(...queued.map(({ waiting }) => waiting.ageSeconds ?? 0))),
    };
    const next = holder ? `stacks --pid ${holder.pid}` : 'sockets';
    return found('unread-sockets', 'note', figures, next);
  });
  return findings
    .filter(({ figures }) => Number(figures.pinnedBytes) >= THRESHOLDS['stalled-reader'].note)
    .toSorted((a, b) => Number(b.figures.pinnedBytes) - Number(a.figures.pinnedBytes))
    .slice(0, MOST);
}

function findingOf(
  kernel: Kernel,
  { socket, holders, total, unreadBytes }: CensusEntry,
  { ageSeconds, windowBytes, closed }: TcpWaiting,
  others: ReturnType<typeof othersFigures>,
  warnings: Warnings,
): Finding {
  const [holder] = holders;
  const reader = holder && readerOf(kernel, holder, warnings);
  const figures = {
    ageSeconds: ageSeconds === null ? null : Math.floor(ageSeconds),
    pinnedBytes: total.pinnedBytes,
    unreadBytes,
    windowBytes,
    pid: holder?.pid ?? null,
    comm: holder?.comm ?? null,
    fd: holder?.fd ?? null,
    holders: new Set(holders.map(({ pid }) => pid)).size,
    threads: reader?.threads ?? null,
    doing: reader?.doing ?? null,
    symbol: reader?.symbol ?? null,
    sock: hex(socket.sock),
    local: socket.local,
    peer: socket.peer,
    ...others,
  };
  const evidence = reader ? [reader.stack] : [];
  return found('stalled-reader', closed ? 'warning' : 'note', figures, `stacks --pid ${holder?.pid}`, { evidence });
}

interface Reader {
  readonly threads: number;
  readonly doing: Doing;
  readonly symbol: string | null;
  readonly stack: StackEvidence;
}

/** The thread of a process that is closest to reading. */
function readerOf(kernel: Kernel, { pid }: CensusHolder, warnings: Warnings): Reader | undefined {
  const stacks = attempted(warnings, `stacks of pid ${pid}`, () => groupedStacks(kernel, { pid }));
  for (const { code, message } of stacks?.warnings ?? []) warnings.add(code, message);
  const order: readonly Doing[] = ['running', 'receiving', 'polling', 'elsewhere', 'stopped'];
  const all = (stacks?.stacks ?? []).flatMap((group) =>
    group.tasks.map((task) => ({ group, task, doing: doingOf(group, task) })),
  );
  const [nearest] = all.toSorted((a, b) => order.indexOf(a.doing) - order.indexOf(b.doing) || a.task.pid - b.task.pid);
  if (!stacks || !nearest) return undefined;
  return {
    threads: stacks.tasks,
    doing: nearest.doing,
    symbol: waitsIn(nearest.group) ?? null,
    stack: evidenceOf(nearest.group),
  };
}

function doingOf({ frames }: StackGroup, { state }: StackGroup['tasks'][number]): Doing {
  if (state === 'T' || state === 't') return 'stopped';
  if (state === 'R') return 'running';
  const calls = (names: RegExp) => frames.some(({ symbol }) => names.test(symbol ?? ''));
  if (calls(RECEIVES)) return 'receiving';
  return calls(POLLS) ? 'polling' : 'elsewhere';
}
