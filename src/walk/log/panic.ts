import { KernelError, ReadError } from '../../base/errors.js';
import type { RunningTask } from '../../contracts/info.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { LogCaller } from '../../records/log-records.js';
import { needSymbol, runningTask } from '../cpus.js';
import type { Fields } from '../machine/fields.js';
import { readPartOf } from '../named-read.js';
import type { Unknowns } from '../warnings.js';
import { beginsWithCommand, isOfKernel } from './record.js';
import { type LogLine, logBackwards } from './records.js';

/** Whether and why a kernel stopped. Texts come from its log: untrusted. */
export interface PanicFacts {
  /** `running` only if every sign of a panic was read and is absent. */
  readonly state: 'panicked' | 'running' | 'unknown';
  /** Whether the log could be read, as far back as relevant. */
  readonly logRead: boolean;
  /** The last "Kernel panic" line of the log. */
  readonly message?: string;
  /** The line before it that names the fault: `BUG: …`, `sysrq: Trigger a crash`. */
  readonly cause?: string;
  /** The CPU that panicked, and its task. */
  readonly cpu?: number;
  readonly task?: RunningTask;
}

/** First line of a fault report. */
const FAULT =
  /^(BUG: |kernel BUG at |Unable to handle kernel |Insufficient stack space |traps: PANIC: |watchdog: (BUG: |Watchdog detected )|NMI watchdog: (BUG: |Watchdog detected )|(sysrq: )?SysRq : Trigger a crash|sysrq: Trigger a crash|mce: \[Hardware Error\]: |CFI failure )/;
/** Line that numbers a fault. It follows shortly after the first line of the report, or is the first line. */
const COUNTED =
  /^(Oops\b|([a-z-]+ )?general protection fault|(divide error|double fault|stack segment|invalid opcode|int3): |kernel stack overflow |Internal error: )/;
/** Maximum number of messages between the two: on arm64 they decode the fault registers. */
const MAX_BETWEEN_BOTH = 24;
const END = /^---\[ end trace /;
/** Message that follows the name of a program. */
export const OOM = /^.{1,15} invoked oom-killer: /;
/**
 * Panics whose message names the cause: only the given line can be the cause (kernel/hung_task.c, watchdog.c,
 * kernel/rcu/tree_stall.h, mm/oom_kill.c, arch/x86/kernel/nmi.c, drivers/tty/sysrq.c).
 */
const OWN_CAUSES: readonly (readonly [panic: RegExp, line: RegExp])[] = [
  [/: hung_task: /, /^INFO: task .* blocked (in I\/O wait )?for more than /],
  [/: softlockup: /, /^watchdog: BUG: soft lockup /],
  [/: (\w+: )?panic_on_warn set/, /^WARNING: /],
  [/: RCU Stall/, /^rcu: INFO: .* stalls? on /],
  [/: NMI: Not continuing/, /^(Uhhuh\. )?NMI received for unknown reason /],
  [/: [Oo]ut of memory/, OOM],
  [/: sysrq triggered crash/, /^sysrq: Trigger a crash/],
];
const PANIC = /^Kernel panic - /;
/** Maximum number of log records read: more than the largest usual buffer holds. */
const MAX_RECORDS = 500_000;
/** Maximum time between a fault and the panic that it causes, in nanoseconds. */
const MAX_BETWEEN = 60_000_000_000n;

/**
 * Finds a panic in the log and in the kernel's own variables.
 *
 * @param crashed whether the kernel recorded the time of its crash (VMCOREINFO's CRASHTIME)
 */
export function readPanic(kernel: Kernel, fields: Fields, crashed: boolean, unknowns: Unknowns): PanicFacts {
  const logged = unknowns.try('the log', () => searchLog(kernel, fields));
  const cpu = unknowns.try('panicked CPU', () => panicCpu(kernel));
  const panicked = crashed || logged?.message !== undefined || (cpu ?? -1) >= 0;
  const sure = logged?.whole === true && cpu !== undefined;
  const facts = {
    logRead: logged !== undefined,
    ...(logged?.message === undefined ? {} : { message: logged.message }),
    ...(logged?.cause === undefined ? {} : { cause: logged.cause }),
  };
  if (!panicked) return { state: sure || kernel.facts.live ? 'running' : 'unknown', ...facts };
  if (cpu === undefined || cpu < 0) return { state: 'panicked', ...facts };
  const task = unknowns.try('panicked task', () => runningTask(kernel, cpu));
  return { state: 'panicked', ...facts, cpu, ...(task === undefined ? {} : { task }) };
}

interface Logged {
  readonly message?: string;
  /** Task or CPU that printed the message. */
  readonly caller?: LogCaller;
  readonly cause?: string;
  /** Whether every record was read, or a panic was found. */
  readonly whole: boolean;
}

/**
 * Searches the log for a panic and its cause. The panicking task or CPU reports its own fault. A fault that
 * another CPU printed meanwhile is the cause only if there is no such report.
 */
function searchLog(kernel: Kernel, fields: Fields): Logged {
  const logged = searchLines(kernel, fields);
  if (logged.caller === undefined || logged.cause === undefined) return logged;
  const own = searchLines(kernel, fields, logged.caller);
  return own.cause === undefined ? logged : own;
}

/** @param by task or CPU whose lines may be a cause; undefined: any */
function searchLines(kernel: Kernel, fields: Fields, by?: LogCaller): Logged {
  let caller: LogCaller | null = null;
  let message: string | undefined;
  let cause: string | undefined;
  let fault = FAULT;
  let seen = 0;
  /** Number of messages left in which the first line of the cause's report may be. */
  let left = 0;
  let panicTime = 0n;
  const logged = (whole: boolean): Logged => ({
    ...(message === undefined ? {} : { message }),
    ...(caller === null ? {} : { caller }),
    ...(cause === undefined ? {} : { cause }),
    whole,
  });
  for (const record of logBackwards(kernel, fields)) {
    if (++seen > MAX_RECORDS) return logged(false);
    if (message !== undefined && panicTime - record.timestamp > MAX_BETWEEN) break;
    if (!isOfKernel(record)) continue;
    if (message !== undefined && by && !isBy(record, by)) continue;
    const line = firstLine(record);
    if (beginsWithCommand(line) && fault !== OOM) continue;
    if (message === undefined && PANIC.test(line)) {
      message = line;
      cause = undefined;
      panicTime = record.timestamp;
      caller = record.caller;
      fault = OWN_CAUSES.find(([panic]) => panic.test(line))?.[1] ?? FAULT;
    } else if (cause === undefined) {
      // Without a panic line so far, the newest fault is the candidate: older records could only add a panic
      // line.
      if (fault.test(line)) cause = line;
      else if (fault === FAULT && COUNTED.test(line)) {
        cause = line;
        left = MAX_BETWEEN_BOTH;
      }
    } else if (left > 0) {
      left = END.test(line) || COUNTED.test(line) ? 0 : left - 1;
      if (left > 0 && FAULT.test(line)) {
        cause = line;
        left = 0;
      }
    }
    if (message !== undefined && cause !== undefined && left === 0) return logged(true);
  }
  return logged(true);
}

function isBy({ caller }: LogLine, { kind, id }: LogCaller): boolean {
  return caller?.kind === kind && caller.id === id;
}

const MAX_LINE = 1024;

function firstLine({ text }: LogLine): string {
  const end = text.indexOf('\n');
  return text.slice(0, Math.min(end < 0 ? text.length : end, MAX_LINE)).trim();
}

/**
 * The CPU that panicked, or -1 if none: `panic_cpu` (kernel/panic.c), which a crash by kexec sets as well; on
 * x86_64 `crashing_cpu` contains the same.
 */
function panicCpu(kernel: Kernel): number {
  let failure: unknown;
  let read = false;
  for (const name of ['panic_cpu', 'crashing_cpu']) {
    try {
      const at = needSymbol(kernel, name);
      const cpu = readPartOf(kernel, name, at, at, 4).getInt32(0, true);
      if (cpu >= 0) return cpu;
      read = true;
    } catch (error) {
      if (!(error instanceof KernelError) && !(error instanceof ReadError)) throw error;
      failure ??= error;
    }
  }
  if (!read) throw failure;
  return -1;
}
