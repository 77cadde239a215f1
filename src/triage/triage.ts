import { type LogAnswer, messages } from '../account/log.js';
import type { MemoryAnswer } from '../account/memory/answer.js';
import { accountMemory } from '../account/memory/memory.js';
import { attempted } from '../account/memory/missed.js';
import { accountAll, type CensusAnswer } from '../account/sockets.js';
import type { Kernel, KernelFacts } from '../kernel/kernel.js';
import { fieldsOf } from '../walk/machine/fields.js';
import { describeMachine, type MachineFacts } from '../walk/machine/machine.js';
import { OOM } from '../walk/machine/panic.js';
import { Unknowns } from '../walk/machine/unknowns.js';
import { isNote, type Warning, Warnings } from '../walk/warnings.js';
import { bySeverity, type Finding, type StackEvidence } from './finding.js';
import { logFindings } from './log/log-findings.js';
import { memoryFindings } from './memory-findings.js';
import type { RulesOutcome } from './rules/outcome.js';
import { blockedTasks, stackOfCpu } from './stack-findings.js';
import { stalledReaders } from './stalled-readers.js';
import { waitingData } from './waiting-data.js';

/** What is the matter with a machine. */
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

/**
 * Looks at all that this program knows to look at: the log, the panic, where memory is.
 *
 * @param progress told now and then which part is done, 0 to 1
 */
export function triage(kernel: Kernel, progress: (part: number) => void = () => {}): TriageAnswer {
  const warnings = new Warnings();
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
    complete: warnings.list().every(isNote) && memory?.complete === true,
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
  return ram === undefined || census === undefined ? [] : waitingData(census, ram);
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
    deeper: deeperOf(panic),
  };
  return [found, ...others];
}

/** Who ran when memory was gone is seldom who has it. */
function deeperOf({ cause, cpu }: MachineFacts['panic']): string {
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
      deeper: 'info',
    },
  ];
}
