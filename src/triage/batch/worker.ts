import type { ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { isSea } from 'node:sea';
import { Worker } from 'node:worker_threads';
import { ExhaustedError } from '../../base/errors.js';
import { endGroup, startGroup } from '../../host/child.js';

/** Limits of one process. */
export interface WorkerLimits {
  readonly seconds: number;
  /** Limit of its RSS, checked a few times a second, and of V8's heap. */
  readonly bytes: number;
}

/** Progress of a worker of a server: the completed part, 0 to 1, and the activity. */
export interface WorkerProgress {
  readonly part: number;
  readonly doing: string;
}

/** A worker of a server: its requests come from outside, and may be cancelled. */
interface ServedWorker {
  readonly signal: AbortSignal;
  /** Open files that it inherits, from descriptor 3 on. */
  readonly files: readonly number[];
  readonly environment: NodeJS.ProcessEnv;
  readonly onProgress: (progress: WorkerProgress) => void;
}

export interface WorkerOptions extends WorkerLimits {
  readonly served?: ServedWorker;
}

export type WorkerEnd = { readonly text: string } | { readonly failure: WorkerFailure };

const MAX_ANSWER = 64 * 2 ** 20;
const MAX_WORDS = 16 * 2 ** 10;
const LOOK_MS = 200;
/** A timer fires this late only if this process itself was stopped or blocked. */
const LATE_MS = 1000;
/** A process that waits for a disk may not exit immediately, whatever the signal. */
const GRACE_MS = 5000;

/**
 * Runs this program in a new process, and returns its output. It exits with us, even if we are killed: its
 * stdin is a pipe to us (`endWithParent`).
 */
export function runWorker(words: readonly string[], limits: WorkerOptions): Promise<WorkerEnd> {
  const { served } = limits;
  return new Promise((resolve) => {
    let child: ChildProcess;
    try {
      child = startGroup(process.execPath, [...ownEntry(), ...words], {
        stdio: ['pipe', 'pipe', 'pipe', ...(served ? [...served.files, 'ipc' as const] : [])],
        env: { ...process.env, ...served?.environment, NODE_OPTIONS: nodeOptions(limits.bytes) },
        ...(hasFolder() ? {} : { cwd: '/' }),
      });
    } catch (error) {
      if (!(error instanceof ExhaustedError)) throw error;
      resolve({ failure: { code: 'exhausted', message: error.message, signal: null } });
      return;
    }
    const run = new Run(child, limits, resolve);
    child.once('error', (error) => run.end('exhausted', `cannot start a worker: ${error.message}`));
  });
}

/** One process, until it has exited or is abandoned. */
class Run {
  readonly #child: ChildProcess;
  readonly #resolve: (end: WorkerEnd) => void;
  readonly #limits: WorkerOptions;
  readonly #pieces: Buffer[] = [];
  readonly #timers: NodeJS.Timeout[];
  #length = 0;
  #words = '';
  readonly #killsBefore = oomKills();
  /** Why this process killed it. */
  #why: Omit<WorkerFailure, 'signal'> | undefined;

  constructor(child: ChildProcess, limits: WorkerOptions, resolve: (end: WorkerEnd) => void) {
    this.#child = child;
    this.#limits = limits;
    this.#resolve = resolve;
    this.#timers = [this.#timeOut(limits.seconds * 1000), setInterval(() => this.#poll(), LOOK_MS)];
    takeFirst(child.pid);
    child.stdin?.on('error', () => undefined);
    child.stdout?.on('data', (piece: Buffer) => this.#take(piece));
    child.stderr?.on('data', (piece: Buffer) => {
      if (this.#words.length < MAX_WORDS) this.#words += piece.toString('latin1');
    });
    const { signal, onProgress } = limits.served ?? {};
    if (onProgress) child.on('message', (message) => onProgress(message as WorkerProgress));
    const cancel = () => this.end('killed', 'the worker was cancelled');
    if (signal?.aborted) cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    child.once('close', (status, signal) => this.#done(this.#endOf(status, signal)));
  }

  /** Kills the process, and records the reason. */
  end(code: WorkerFailure['code'], message: string): void {
    if (this.#why !== undefined) return;
    this.#why = { code, message };
    endGroup(this.#child);
    const failed = (words: string, signal: string | null) => this.#done({ failure: { code, message: words, signal } });
    if (this.#child.pid === undefined) {
      failed(message, null);
      return;
    }
    const killTimer = setTimeout(() => {
      this.#child.unref();
      failed(`${message}, and it did not exit`, 'SIGKILL');
    }, GRACE_MS);
    this.#timers.push(killTimer);
  }

  /** If this process was stopped or blocked, the worker may have exited long ago. */
  #timeOut(milliseconds: number): NodeJS.Timeout {
    const due = performance.now() + milliseconds;
    return setTimeout(() => {
      if (performance.now() - due > LATE_MS) this.#timers.push(this.#timeOut(LATE_MS));
      else this.end('timed-out', `the worker took more than ${this.#limits.seconds} s`);
    }, milliseconds);
  }

  #take(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#length += piece.length;
    if (this.#length > MAX_ANSWER) this.end('worker-failed', 'the answer of the worker is too long');
  }

  #poll(): void {
    const resident = residentBytes(this.#child.pid);
    if (resident !== undefined && resident > this.#limits.bytes)
      this.end('out-of-memory', `the worker used more than ${this.#limits.bytes} bytes of memory`);
  }

  #endOf(status: number | null, signal: NodeJS.Signals | null): WorkerEnd {
    const failed = (code: WorkerFailure['code'], message: string): WorkerEnd => ({
      failure: { code, message, signal },
    });
    if (this.#why) return failed(this.#why.code, this.#why.message);
    // V8 aborts the process.
    if (/heap out of memory|Fatal process out of memory/.test(this.#words))
      return failed('out-of-memory', `the heap of the worker reached its limit of ${this.#limits.bytes} bytes`);
    // Another process may have been the victim.
    const by = signal === 'SIGKILL' && oomKills() > this.#killsBefore ? ', probably by the OOM killer' : '';
    if (signal) return failed('killed', `the worker was killed by ${signal}${by}`);
    if (status === 0) return { text: Buffer.concat(this.#pieces).toString() };
    const reason = this.#words.split('\n', 1)[0]?.slice(0, 300);
    return failed('worker-failed', `the worker exited with status ${status}: ${reason}`);
  }

  #done(end: WorkerEnd): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#resolve(end);
  }
}

/**
 * Arguments that make node run this program: its script, unless it is part of the executable
 * (scripts/package).
 */
function ownEntry(): string[] {
  return isSea() ? [] : process.argv.slice(1, 2);
}

/** Whether the current directory exists: node starts no thread in a removed one. */
function hasFolder(): boolean {
  try {
    process.cwd();
    return true;
  } catch {
    return false;
  }
}

function nodeOptions(bytes: number): string {
  const own = `--max-old-space-size=${Math.ceil(bytes / 2 ** 20)}`;
  return `${process.env.NODE_OPTIONS ?? ''} ${own}`.trim();
}

/** Makes the OOM killer prefer a worker: raising oom_score_adj needs no privilege. */
function takeFirst(pid: number | undefined): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, '1000');
  } catch {}
}

/** RSS of a process. Undefined without /proc: then only V8's limit applies. */
function residentBytes(pid: number | undefined): number | undefined {
  try {
    const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}

/** OOM kills since boot, including those of memcgs (OOM_KILL of mm/vmstat.c; since 4.13). NaN: unknown. */
function oomKills(): number {
  try {
    return Number(/^oom_kill (\d{1,15})$/m.exec(readFileSync('/proc/vmstat', 'latin1'))?.[1]);
  } catch {
    return Number.NaN;
  }
}

/**
 * Code of the watching thread. Stdin is a socket whose other end the parent holds: it closes when the parent
 * exits for any reason.
 */
const WATCH = `
const end = () => process.kill(process.pid, 'SIGKILL');
const line = new (require('node:net').Socket)({ fd: 0, readable: true, writable: false });
line.on('error', end).on('end', end).on('close', end).resume();
`;

/** Makes this process exit when its parent exits, even during a computation: a separate thread watches. */
export function endWithParent(): void {
  new Worker(WATCH, { eval: true, stdin: false }).unref();
}

/** Maximum distance of started work from the first unfinished item: finished items wait for it. */
const AHEAD = 256;

/**
 * Runs work for the numbers from 0 on, several at a time, started in order.
 *
 * @throws the first error of the work, after all started work has ended
 */
export async function inTurns(count: number, atOnce: number, work: (index: number) => Promise<void>): Promise<void> {
  const running = new Map<number, Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  const begin = (index: number): void => {
    const promise = work(index)
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => running.delete(index));
    running.set(index, promise);
  };
  for (let next = 0; next < count && failure === undefined; ) {
    const first = Math.min(next, ...running.keys());
    if (running.size < atOnce && next < first + AHEAD) begin(next++);
    else await Promise.race(running.values());
  }
  await Promise.all(running.values());
  if (failure) throw failure.error;
}

/** Codes are stable: they are part of the JSON. */
export const WORKER_FAILURE_CODES = ['timed-out', 'killed', 'out-of-memory', 'exhausted', 'worker-failed'] as const;
export type WorkerFailureCode = (typeof WORKER_FAILURE_CODES)[number];

/** Why a worker returned no answer. */
interface WorkerFailure {
  readonly code: WorkerFailureCode;
  readonly message: string;
  readonly signal: string | null;
}
