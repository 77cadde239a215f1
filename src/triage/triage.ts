import type { CensusEntry, CensusHolder } from '../account/census-entry.js';
import { type LogAnswer, messages } from '../account/log.js';
import type { MemoryAnswer } from '../account/memory/answer.js';
import { accountMemory } from '../account/memory/memory.js';
import { attempted } from '../account/memory/missed.js';
import { accountAll, type CensusAnswer } from '../account/sockets.js';
import { groupedStacks, type StackGroup } from '../account/task-stacks.js';
import { hex } from '../base/hex.js';
import type { Kernel, KernelFacts } from '../kernel/kernel.js';
import { fieldsOf } from '../walk/machine/fields.js';
import { describeMachine, type MachineFacts } from '../walk/machine/machine.js';
import { OOM } from '../walk/machine/panic.js';
import { readTicks } from '../walk/machine/ticks.js';
import { Unknowns } from '../walk/machine/unknowns.js';
import { isTcp, type TcpWaiting, TcpWaitingReader } from '../walk/sockets/tcp-waiting.js';
import { type Warning, Warnings } from '../walk/warnings.js';
import { bySeverity, type Finding, type StackEvidence } from './finding.js';
import { logFindings } from './log/log-findings.js';
import { memoryFindings } from './memory-findings.js';
import { queuedData } from './queued-data.js';
import type { RulesOutcome } from './rules/outcome.js';
import { blockedTasks, evidenceOf, stackOfCpu, waitsIn } from './stack-findings.js';

/** Findings of a machine, with what they are based on. */
export interface TriageAnswer {
  readonly kernel: KernelFacts;
  readonly machine: MachineFacts;
  /** The most severe first. */
  readonly findings: readonly Finding[];
  /** Messages of the log that are gone: what they said is not known. Undefined: no log could be read. */
  readonly lost: Pick<LogAnswer, 'overwritten' | 'noRoom'> | undefined;
  /** The log that findings rest on; undefined: there is none. */
  readonly log: LogAnswer | undefined;
  /** Undefined: it could not be counted, and a warning says why. */
  readonly memory: MemoryAnswer | undefined;
  /** Every socket, also where frames could not be counted; by cgroup. Undefined: they could not be counted. */
  readonly census: CensusAnswer | undefined;
  readonly warnings: readonly Warning[];
  readonly complete: boolean;
  /** What a team's own rules did; undefined: there are none. */
  readonly rules?: RulesOutcome;
}

/** Whether the dump contains its log, and all of it could be read. */
export function hasWholeLog({ log }: Pick<TriageAnswer, 'log'>): boolean {
  return log?.complete === true && log.records.length > 0;
}

/**
 * Checks the log, the panic, the memory breakdown, tasks and sockets.
 *
 * @param progress called now and then with the part that is done, 0 to 1
 */
export function triage(kernel: Kernel, progress: (part: number) => void = () => {}): TriageAnswer {
  const warnings = new Warnings(kernel.doubts);
  const unknowns = new Unknowns();
  const machine = describeMachine(kernel, fieldsOf(kernel), kernel.crashed ?? false, unknowns);
  for (const { what, why } of unknowns.list()) warnings.add('unreadable', `${what}: ${why}`);
  const log = attempted(warnings, 'the log', () => messages(kernel, {}));
  const memory = attempted(warnings, 'memory', () =>
    accountMemory(kernel, progress, { socketsBy: 'cgroup' }),
  );
  for (const { code, message } of [...(log?.warnings ?? []), ...(memory?.warnings ?? [])])
    warnings.add(code, message);
  const census = memory ? memory.census : socketsAlone(kernel, warnings);
  const { panic } = machine;
  const { cpu } = panic;
  const panicStack =
    panic.state === 'panicked' && cpu !== undefined
      ? attempted(warnings, 'the stack of the panic', () => stackOfCpu(kernel, cpu, warnings))
      : undefined;
  const told = log ? logFindings(log.records, kernel.facts.pageSize) : [];
  const findings = [
    ...withPanic(told, machine, { stack: panicStack, log }),
    ...(attempted(warnings, 'stacks', () => blockedTasks(kernel, warnings)) ?? []),
    ...(memory ? memoryFindings(memory) : socketFindings(machine, census)),
    ...(census ? stalledReaders(kernel, census, warnings) : []),
    ...taint(machine),
  ];
  return {
    kernel: kernel.facts,
    machine,
    findings: bySeverity(findings),
    log,
    lost: lostOf(log),
    memory,
    census,
    warnings: warnings.list(),
    complete: warnings.complete && memory?.complete === true,
  };
}

/** Where frames cannot be counted, sockets may be all the same: of an extract, say. */
function socketsAlone(kernel: Kernel, warnings: Warnings): CensusAnswer | undefined {
  const census = attempted(warnings, 'sockets', () => accountAll(kernel, { by: 'cgroup' }));
  for (const { code, message } of census?.warnings ?? []) warnings.add(code, message);
  return census;
}

/** Of a log of which nothing could be read it is not known how much is gone. */
function lostOf(log: LogAnswer | undefined): TriageAnswer['lost'] {
  if (log === undefined || (!log.complete && log.records.length === 0)) return undefined;
  return { overwritten: log.overwritten, noRoom: log.noRoom };
}

function socketFindings({ ram }: MachineFacts, census: CensusAnswer | undefined): Finding[] {
  return ram === undefined || census === undefined ? [] : queuedData(census, ram);
}

/** The panic once: what the log says of it, and what the kernel's own variables say of who it was. */
function withPanic(
  told: readonly Finding[],
  { panic }: MachineFacts,
  {
    stack,
    log,
  }: { readonly stack: StackEvidence | undefined; readonly log: LogAnswer | undefined },
): Finding[] {
  const others = told.filter(({ code }) => code !== 'panic');
  const logged = told.find(({ code }) => code === 'panic');
  if (panic.state !== 'panicked') return [...told];
  const found: Finding = {
    code: 'panic',
    severity: 'critical',
    figures: {
      reason: null,
      ...logged?.figures,
      logMessages: lostOf(log) === undefined ? null : (log?.records.length ?? null),
      cause: panic.cause ?? null,
      cpu: panic.cpu ?? null,
      pid: panic.task?.pid ?? null,
      comm: panic.task?.comm ?? null,
    },
    evidence: [...(logged?.evidence ?? []), ...(stack ? [stack] : [])],
    next: nextOf(panic),
  };
  return [found, ...others];
}

/** The task that ran out of memory is seldom the one that uses it. */
function nextOf({ cause, cpu }: MachineFacts['panic']): string {
  if (cause !== undefined && OOM.test(cause)) return 'memory';
  return cpu === undefined ? 'log --since -1m' : `stacks --cpu ${cpu}`;
}

function taint({ taint: mask }: MachineFacts): Finding[] {
  if (mask === undefined || mask === 0n) return [];
  return [
    {
      code: 'tainted',
      severity: 'note',
      figures: { mask: Number(mask) },
      evidence: [],
      next: 'info',
    },
  ];
}

/** Data that waits for less is read by programs that are busy. */
const LEAST_SECONDS = 10;

/** A peer that may still send is held up by nobody; so much that waits is worth to know all the same. */
const LEAST_BYTES = 2 ** 20;

/** Maximum number of sockets: first those whose peer may send no more, then those that pin most. */
const MOST = 20;

const RECEIVES =
  /^(__sys_recvfrom|__sys_recvmsg|___sys_recvmsg|do_recvmmsg|sock_read_iter|sock_recvmsg|tcp_recvmsg)$/;
const POLLS =
  /^(do_poll|do_sys_poll|do_select|core_sys_select|ep_poll|do_epoll_wait|io_cqring_wait)$/;

/** What a thread does that could read. */
type Doing = 'stopped' | 'running' | 'receiving' | 'polling' | 'elsewhere';

/**
 * Connections of TCP whose data nobody takes: the newest of it came long ago, and the peer may send no more.
 * Sockets of other kinds do not note when data came.
 *
 * @param warnings takes what could not be read
 * @param leastSeconds of less nothing is reported
 */
export function stalledReaders(
  kernel: Kernel,
  { sockets }: Pick<CensusAnswer, 'sockets'>,
  warnings: Warnings,
  leastSeconds = LEAST_SECONDS,
): Finding[] {
  const candidates = sockets.filter(
    ({ socket, unreadBytes, holders, subflowOf }) =>
      isTcp(socket.protocol) && (unreadBytes ?? 0) > 0 && holders.length > 0 && !subflowOf,
  );
  if (candidates.length === 0) return [];
  const told = attempted(warnings, 'the age of queued data', () => {
    const [ticks, reader] = [readTicks(kernel), new TcpWaitingReader(kernel)];
    // One that cannot be read hides no other.
    return candidates.flatMap((entry) => {
      const { sock } = entry.socket;
      const what = `the age of the data queued in the socket at ${hex(sock)}`;
      const waiting = attempted(warnings, what, () => reader.read(sock, ticks));
      // Of a running kernel it came after its clock was read.
      if (waiting?.ageSeconds === null && !kernel.facts.live)
        warnings.add('corrupt', `${what}: its time is before boot, or after the dump`);
      return waiting ? [{ entry, waiting }] : [];
    });
  });
  const stalled = (told ?? [])
    .filter(
      ({ entry, waiting: { ageSeconds, closed } }) =>
        ageSeconds !== null &&
        ageSeconds >= leastSeconds &&
        (closed || entry.total.pinnedBytes >= LEAST_BYTES),
    )
    // The last stands for the rest, which must not be worse.
    .toSorted((a, b) => Number(b.waiting.closed) - Number(a.waiting.closed));
  const others = stalled.length - MOST;
  return stalled
    .slice(0, MOST)
    .map(({ entry, waiting }, index) =>
      findingOf(kernel, entry, waiting, others > 0 && index === MOST - 1 ? others : 0, warnings),
    );
}

function findingOf(
  kernel: Kernel,
  { socket, holders, total, unreadBytes }: CensusEntry,
  { ageSeconds, windowBytes, closed }: TcpWaiting,
  others: number,
  warnings: Warnings,
): Finding {
  const [holder] = holders;
  const reader = holder && readerOf(kernel, holder, warnings);
  return {
    code: 'stalled-reader',
    severity: closed ? 'warning' : 'note',
    figures: {
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
      ...(others > 0 ? { others } : {}),
    },
    evidence: reader ? [reader.stack] : [],
    next: `stacks --pid ${holder?.pid}`,
  };
}

interface Reader {
  readonly threads: number;
  readonly doing: Doing;
  readonly symbol: string | null;
  readonly stack: StackEvidence;
}

/** What a process does in place of reading: its thread that is nearest to it. */
function readerOf(kernel: Kernel, { pid }: CensusHolder, warnings: Warnings): Reader | undefined {
  const found = attempted(warnings, `stacks of pid ${pid}`, () => groupedStacks(kernel, { pid }));
  for (const { code, message } of found?.warnings ?? []) warnings.add(code, message);
  const order: readonly Doing[] = ['running', 'receiving', 'polling', 'elsewhere', 'stopped'];
  const all = (found?.groups ?? []).flatMap((group) =>
    group.tasks.map((task) => ({ group, task, doing: doingOf(group, task) })),
  );
  const [nearest] = all.toSorted(
    (a, b) => order.indexOf(a.doing) - order.indexOf(b.doing) || a.task.pid - b.task.pid,
  );
  if (!found || !nearest) return undefined;
  return {
    threads: found.tasks,
    doing: nearest.doing,
    symbol: waitsIn(nearest.group) ?? null,
    stack: evidenceOf(nearest.group),
  };
}

function doingOf({ frames }: StackGroup, { state }: StackGroup['tasks'][number]): Doing {
  if (state === 'T' || state === 't') return 'stopped';
  if (state === 'R') return 'running';
  const calls = (names: RegExp) => frames.some(({ symbol }) => names.test(symbol?.name ?? ''));
  if (calls(RECEIVES)) return 'receiving';
  return calls(POLLS) ? 'polling' : 'elsewhere';
}
