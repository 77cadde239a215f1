import { randomInt } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { TraceError } from '../../../base/errors.js';
import { safePath } from '../../../base/shell.js';
import { liveHost } from '../../../host/live.js';
import { readPageSize } from '../../../host/proc/memory.js';
import { CappedText } from '../../../profile/perf/run.js';
import type { Recording } from '../../recording.js';
import { SymbolsMeanwhile } from '../symbols.js';
import { Commands, isFirstPidNamespace } from '../tracefs/commands.js';
import { findTracefs } from '../tracefs/instance.js';
import { BpftraceOutput, type OutputState, PageCounters } from './output.js';
import { bpftraceProgram, COMMANDS, type StackMode } from './program.js';
import { mapKeys, recordingOf } from './recording-of.js';

/** Parameters of a recording with bpftrace. */
export interface BpftraceOrder {
  readonly seconds: number;
  readonly windows: number;
  readonly minOrder: number;
  readonly pid: number | null;
  readonly maxBlocks: number;
  readonly maxSurvivors: number;
  /** Stops the recording early. */
  readonly stop: AbortSignal;
  /** Called about once a second, with seconds since the beginning, and the total of allocations and frees. */
  readonly progress: (seconds: number, events: number) => void;
}

/** Time limits for bpftrace: to compile and attach, to answer, and to print everything that is held. */
const START_MS = 300_000;
const ANSWER_MS = 30_000;
const DUMP_MS = 300_000;
/** Maximum number of stack counts in all windows together. */
const MAX_SHOWN = 1_000_000;
/** Seconds after the end of the recording at which the program exits by itself. */
const LEFT_ALONE_SECONDS = 900;

/** Pids that no process can have (PID_MAX_LIMIT is 2^22). */
const [MIN_SIGNAL, MAX_SIGNAL] = [1 << 30, (1 << 30) + (1 << 28)];

/**
 * Records pages with a bpftrace program that pairs allocations with frees in the kernel. The program exits
 * with this process and leaves nothing behind.
 *
 * @throws {TraceError} `bpftrace-missing`, `bpftrace-failed`, `bpftrace-ended`, `trace-no-root`,
 * `trace-not-mounted`, `trace-locked-down`, `trace-unsupported`
 */
export async function recordByBpftrace(order: BpftraceOrder): Promise<Recording> {
  const events = `${findTracefs()}/events`;
  for (const name of ['kmem/mm_page_alloc', 'kmem/mm_page_free', 'syscalls/sys_enter_kill'])
    if (!existsSync(`${events}/${name}`)) throw new TraceError('trace-unsupported', `this kernel has no event ${name}`);
  if (order.pid !== null && !isFirstPidNamespace())
    throw new TraceError('trace-unsupported', 'bpftrace uses pids of another pid namespace', {
      next: 'Run it on the host, or remove --engine bpftrace.',
    });
  const keys = mapKeys(order.maxBlocks);
  const poolPages = order.minOrder === 0 && existsSync(`${events}/page_pool/page_pool_state_hold`);
  for (const stackMode of ['raw', 'perf'] as const satisfies readonly StackMode[]) {
    const signals = randomInt(MIN_SIGNAL, MAX_SIGNAL);
    const mostSeconds = Math.ceil(order.seconds) + LEFT_ALONE_SECONDS;
    const { minOrder, pid } = order;
    const program = bpftraceProgram({ stackMode, minOrder, pid, signals, poolPages, mostSeconds });
    const run = startBpftrace(program, keys);
    try {
      return await new Session(run, order, { keys, signals }).record();
    } catch (error) {
      // Retry with another stack format, which contains the same addresses.
      if (stackMode === 'raw' && isOldStackMode(run.words.text)) continue;
      throw error;
    } finally {
      run.signal('SIGKILL');
      await run.ended;
    }
  }
  throw new TraceError('bpftrace-failed', 'this bpftrace prints no stack addresses');
}

interface Plan {
  readonly keys: number;
  readonly signals: number;
}

class Session {
  readonly #run: BpftraceRun;
  readonly #order: BpftraceOrder;
  readonly #plan: Plan;
  readonly #output: BpftraceOutput;
  #over = false;

  constructor(run: BpftraceRun, order: BpftraceOrder, plan: Plan) {
    this.#run = run;
    this.#order = order;
    this.#plan = plan;
    this.#output = new BpftraceOutput({ maxKeys: plan.keys, maxShown: MAX_SHOWN });
    run.stdout.on('data', (bytes: Buffer) => this.#output.push(bytes));
    run.ended.then(() => {
      this.#over = true;
    });
  }

  async record(): Promise<Recording> {
    const { stop, maxBlocks, maxSurvivors, windows, minOrder, pid } = this.#order;
    // The second heartbeat shows that all probes are attached.
    await this.#until(() => stop.aborted || this.#output.heartbeats >= 2, START_MS);
    if (stop.aborted)
      throw new TraceError('bpftrace-ended', 'interrupted before bpftrace began to record', {
        next: 'Run it again and let bpftrace compile first.',
      });
    // Stacks are printed at the end.
    const symbols = new SymbolsMeanwhile();
    const counters = new PageCounters();
    const commands = new Commands();
    try {
      counters.take();
      this.#sendCommand('begin');
      await this.#until(() => this.#is('recording'), ANSWER_MS);
      await this.#windows(symbols);
      this.#sendCommand('end');
      counters.take();
      await this.#until(() => this.#is('ended'), ANSWER_MS);
    } finally {
      counters.close();
    }
    const missed = this.#run.pid === undefined ? null : missedRuns(this.#run.pid);
    this.#run.signal('SIGINT');
    await this.#until(() => this.#is('whole'), DUMP_MS);
    symbols.refresh();
    return recordingOf(this.#output, {
      maxBlocks,
      maxSurvivors,
      windows: windows - 1,
      missedRuns: missed,
      frameBytes: readPageSize(liveHost),
      symbols: symbols.areKnown ? symbols : null,
      pages: counters.passed(),
      commandOf: commands.of,
      endedEarly: stop.aborted,
      isChosen: minOrder > 0 || pid !== null,
    });
  }

  async #windows(symbols: SymbolsMeanwhile): Promise<void> {
    const { seconds, windows, stop, progress } = this.#order;
    const began = performance.now();
    for (let window = 1; window <= windows && !stop.aborted; window++) {
      const end = began + (seconds * 1000 * window) / windows;
      while (performance.now() < end && !stop.aborted) {
        const rest = Math.min(1000, end - performance.now());
        await delay(Math.max(1, rest), undefined, { signal: stop }).catch(() => undefined);
        if (this.#over) throw await this.#failure();
        symbols.refresh();
        const { counts } = this.#output;
        const events = (counts.get('a') ?? 0) + (counts.get('f') ?? 0);
        progress((performance.now() - began) / 1000, events);
      }
      if (window < windows && !stop.aborted) this.#sendCommand('window');
    }
  }

  /** The program sees this kill() call, for a pid that never exists. */
  #sendCommand(command: keyof typeof COMMANDS): void {
    try {
      process.kill(this.#plan.signals + COMMANDS[command], 0);
    } catch {
      // ESRCH is expected.
    }
  }

  #is(state: OutputState): boolean {
    return this.#output.state === state;
  }

  async #until(holds: () => boolean, mostMs: number): Promise<void> {
    const end = performance.now() + mostMs;
    while (!holds()) {
      if (this.#over) throw await this.#failure();
      if (performance.now() > end)
        throw new TraceError('bpftrace-failed', `no output from bpftrace for ${mostMs / 1000} s`);
      await delay(20);
    }
  }

  async #failure(): Promise<TraceError> {
    return failureOf(await this.#run.ended, this.#run.words);
  }
}

/**
 * Events during which a bpftrace program already ran on that CPU, such as those of an interrupt: the kernel
 * skips them. It counts them for tracepoints since 6.7 (`recursion_misses` of fdinfo). Before, the counter
 * stays 0, and only /proc/vmstat shows them.
 *
 * @returns null if not reported
 */
function missedRuns(pid: number): number | null {
  const folder = `/proc/${pid}/fdinfo`;
  let sum: number | null = null;
  const seen = new Set<string>();
  try {
    for (const descriptor of readdirSync(folder)) {
      const text = readFileSync(`${folder}/${descriptor}`, 'latin1');
      const id = /^prog_id:\t(\d{1,10})$/m.exec(text)?.[1];
      const missed = /^recursion_misses:\t(\d{1,15})$/m.exec(text)?.[1];
      if (id === undefined || missed === undefined || seen.has(id)) continue;
      seen.add(id);
      sum = (sum ?? 0) + Number(missed);
    }
  } catch {
    return null;
  }
  return sum;
}

/** Whether this version does not support stacks of bare addresses. */
function isOldStackMode(stderr: string): boolean {
  return /Unknown identifier: 'raw'|[Uu]nknown stack mode/.test(stderr);
}

/** Reason why bpftrace exited early. */
function failureOf({ cause, signal }: BpftraceEnd, words: CappedText): TraceError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'ENOENT' || code === 'EACCES')
    return new TraceError('bpftrace-missing', 'bpftrace is not installed', { cause });
  if (signal !== undefined) return new TraceError('bpftrace-failed', `bpftrace was killed by ${signal}`, { cause });
  const { text } = words;
  const failed = (errorCode: ConstructorParameters<typeof TraceError>[0]) =>
    new TraceError(errorCode, `bpftrace: ${reasonOf(words)}`, { cause });
  if (/lockdown/i.test(text)) return failed('trace-locked-down');
  if (/root user|Operation not permitted|EPERM|CAP_/.test(text)) return failed('trace-no-root');
  return failed('bpftrace-failed');
}

/** Its first error only. */
function reasonOf(words: CappedText): string {
  const error = /(?:^|: )ERROR: ([^\n]{1,300})/m.exec(words.text)?.[1];
  return error ?? words.reason;
}

/** A running bpftrace process. */
interface BpftraceRun {
  readonly pid: number | undefined;
  readonly stdout: Readable;
  /** Its messages about errors and losses. */
  readonly words: CappedText;
  readonly ended: Promise<BpftraceEnd>;
  signal(name: NodeJS.Signals): void;
}

/** How a bpftrace process exited. */
interface BpftraceEnd {
  readonly signal: string | undefined;
  /** Why it could not be started, or why it failed. */
  readonly cause: unknown;
}

/**
 * Starts bpftrace in its own process group, so that Ctrl-C of the terminal reaches only us. It gets nothing
 * of our environment except PATH: variables would change its behaviour.
 *
 * @param mapKeys number of entries of each map of the program
 */
function startBpftrace(program: string, mapKeys: number): BpftraceRun {
  const started = execa('bpftrace', ['-B', 'line', '-e', program], {
    stdio: ['ignore', 'pipe', 'pipe'],
    reject: false,
    buffer: false,
    detached: true,
    extendEnv: false,
    env: {
      PATH: safePath(),
      LC_ALL: 'C',
      // Versions before about 0.18 use the other name.
      BPFTRACE_MAX_MAP_KEYS: String(mapKeys),
      BPFTRACE_MAP_KEYS_MAX: String(mapKeys),
    },
  });
  const { pid, stdout, stderr } = started;
  let runs = pid !== undefined;
  const signal = (name: NodeJS.Signals): void => {
    if (!runs || pid === undefined) return;
    try {
      process.kill(-pid, name);
    } catch {
      // It has already exited.
    }
  };
  const onExit = (): void => signal('SIGKILL');
  process.on('exit', onExit);
  return {
    pid,
    stdout,
    words: new CappedText(stderr),
    signal,
    ended: started.then(({ signal: by, cause, failed }) => {
      runs = false;
      process.off('exit', onExit);
      return { signal: by, cause: failed ? (cause ?? 'failed') : undefined };
    }),
  };
}
