import { KernelError, ReadError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { LogCaller } from '../../records/log-records.js';
import { type LogLine, logBackwards } from '../log/backwards.js';
import { beginsWithCommand, isOfKernel } from '../log/message-origin.js';
import { readPartOf } from '../named-read.js';
import { needSymbol, type RunningTask, runningTask } from './cpus.js';
import type { Fields } from './fields.js';
import type { Unknowns } from './unknowns.js';

/** Whether and why a kernel stopped. Text comes from its log: hostile. */
export interface PanicFacts {
  /** `running` only where everything that could tell of a panic was read, and says no. */
  readonly state: 'panicked' | 'running' | 'unknown';
  /** The log could be read, as far back as matters. */
  readonly logRead: boolean;
  /** The last "Kernel panic" line of the log. */
  readonly message?: string;
  /** The line before it that names the fault: `BUG: …`, `sysrq: Trigger a crash`. */
  readonly cause?: string;
  /** The CPU that panicked, and its task. */
  readonly cpu?: number;
  readonly task?: RunningTask;
}

/** What begins the report of a fault. */
const FAULT =
  /^(BUG: |kernel BUG at |Unable to handle kernel |Insufficient stack space |traps: PANIC: |watchdog: (BUG: |Watchdog detected )|NMI watchdog: (BUG: |Watchdog detected )|(sysrq: )?SysRq : Trigger a crash|sysrq: Trigger a crash|mce: \[Hardware Error\]: |CFI failure )/;
/** The line that counts a fault: it comes shortly behind what begins the report, or begins it. */
const COUNTED =
  /^(Oops\b|([a-z-]+ )?general protection fault|(divide error|double fault|stack segment|invalid opcode|int3): |kernel stack overflow |Internal error: )/;
/** Messages between the two: of arm64 what the registers of the fault mean. */
const MOST_BETWEEN_BOTH = 24;
const END = /^---\[ end trace /;
/** After the name of a program. */
export const OOM = /^.{1,15} invoked oom-killer: /;
/**
 * Panics that say themselves what made them: no other line is their cause (kernel/hung_task.c, watchdog.c,
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
/** Records of the log that are looked at: more than the largest usual buffer holds. */
const MOST_RECORDS = 500_000;
/** A fault is reported at most so many nanoseconds before the panic that it leads to. */
const MOST_BETWEEN = 60_000_000_000n;

/**
 * What the log and the kernel's own variables say of a panic.
 *
 * @param crashed the kernel noted the time of its crash (VMCOREINFO's CRASHTIME)
 */
export function readPanic(
  kernel: Kernel,
  fields: Fields,
  crashed: boolean,
  unknowns: Unknowns,
): PanicFacts {
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
  /** Who printed it. */
  readonly caller?: LogCaller;
  readonly cause?: string;
  /** Every record was looked at, or a panic was found before. */
  readonly whole: boolean;
}

/** Who panics reported its own fault: what another CPU printed meanwhile is the cause only where it did not. */
function searchLog(kernel: Kernel, fields: Fields): Logged {
  const found = searchLines(kernel, fields);
  if (found.caller === undefined || found.cause === undefined) return found;
  const own = searchLines(kernel, fields, found.caller);
  return own.cause === undefined ? found : own;
}

/** @param by who printed the lines that may be a cause; undefined: anybody */
function searchLines(kernel: Kernel, fields: Fields, by?: LogCaller): Logged {
  let caller: LogCaller | null = null;
  let message: string | undefined;
  let cause: string | undefined;
  let fault = FAULT;
  let seen = 0;
  /** Messages in which the beginning of the cause's report may still be. */
  let left = 0;
  let panicTime = 0n;
  const found = (whole: boolean): Logged => ({
    ...(message === undefined ? {} : { message }),
    ...(caller === null ? {} : { caller }),
    ...(cause === undefined ? {} : { cause }),
    whole,
  });
  for (const record of logBackwards(kernel, fields)) {
    if (++seen > MOST_RECORDS) return found(false);
    if (message !== undefined && panicTime - record.timestamp > MOST_BETWEEN) break;
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
      // Without a panic line the newest fault is what there is: older records could only hold one.
      if (fault.test(line)) cause = line;
      else if (fault === FAULT && COUNTED.test(line)) {
        cause = line;
        left = MOST_BETWEEN_BOTH;
      }
    } else if (left > 0) {
      left = END.test(line) || COUNTED.test(line) ? 0 : left - 1;
      if (left > 0 && FAULT.test(line)) {
        cause = line;
        left = 0;
      }
    }
    if (message !== undefined && cause !== undefined && left === 0) return found(true);
  }
  return found(true);
}

function isBy({ caller }: LogLine, { kind, id }: LogCaller): boolean {
  return caller?.kind === kind && caller.id === id;
}

const MOST_LINE = 1024;

function firstLine({ text }: LogLine): string {
  const end = text.indexOf('\n');
  return text.slice(0, Math.min(end < 0 ? text.length : end, MOST_LINE)).trim();
}

/**
 * The CPU that panicked, or -1 for none: `panic_cpu` (kernel/panic.c), which a crash by kexec sets as
 * well; on x86_64 `crashing_cpu` says the same.
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
