import type { ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { isSea } from 'node:sea';
import { ExhaustedError } from '../../base/errors/host.js';
import { endGroup, startGroup } from '../../host/child.js';
import type { WorkerFailure } from './worker-failure.js';

/** What one process may take. */
export interface WorkerLimits {
  readonly seconds: number;
  /** Of memory that it has in RAM, looked at a few times a second, and of V8's heap. */
  readonly bytes: number;
}

export type WorkerEnd = { readonly text: string } | { readonly failure: WorkerFailure };

const MOST_ANSWER = 64 * 2 ** 20;
const MOST_WORDS = 16 * 2 ** 10;
const LOOK_MS = 200;
/** So late no timer comes that does not hang on more than this process. */
const LATE_MS = 1000;
/** A process that waits for a disk is not gone at once, whatever the signal. */
const GRACE_MS = 5000;

/**
 * Runs this program again, in a process of its own, and takes what it prints. It ends with us, also if we are
 * killed: it holds the other end of a pipe that is its stdin (`endWithParent`).
 */
export function runWorker(words: readonly string[], limits: WorkerLimits): Promise<WorkerEnd> {
  return new Promise((resolve) => {
    let child: ChildProcess;
    try {
      child = startGroup(process.execPath, [...ownEntry(), ...words], {
        stdio: ['pipe', 'pipe', 'pipe'],
        env: { ...process.env, NODE_OPTIONS: nodeOptions(limits.bytes) },
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

/** One process until it has ended, or until nobody waits for it any longer. */
class Run {
  readonly #child: ChildProcess;
  readonly #resolve: (end: WorkerEnd) => void;
  readonly #limits: WorkerLimits;
  readonly #pieces: Buffer[] = [];
  readonly #timers: NodeJS.Timeout[];
  #length = 0;
  #words = '';
  /** Why we ended it. */
  #why: Omit<WorkerFailure, 'signal'> | undefined;

  constructor(child: ChildProcess, limits: WorkerLimits, resolve: (end: WorkerEnd) => void) {
    this.#child = child;
    this.#limits = limits;
    this.#resolve = resolve;
    this.#timers = [this.#timeOut(limits.seconds * 1000), setInterval(() => this.#look(), LOOK_MS)];
    takeFirst(child.pid);
    child.stdin?.on('error', () => undefined);
    child.stdout?.on('data', (piece: Buffer) => this.#take(piece));
    child.stderr?.on('data', (piece: Buffer) => {
      if (this.#words.length < MOST_WORDS) this.#words += piece.toString('latin1');
    });
    child.once('close', (status, signal) => this.#done(this.#endOf(status, signal)));
  }

  /** Ends it, and says why. */
  end(code: WorkerFailure['code'], message: string): void {
    if (this.#why !== undefined) return;
    this.#why = { code, message };
    endGroup(this.#child);
    const failed = (words: string, signal: string | null) =>
      this.#done({ failure: { code, message: words, signal } });
    if (this.#child.pid === undefined) {
      failed(message, null);
      return;
    }
    const gone = setTimeout(() => {
      this.#child.unref();
      failed(`${message}, and it did not exit`, 'SIGKILL');
    }, GRACE_MS);
    this.#timers.push(gone);
  }

  /** Where we could not look on time (stopped, or our reader stood still), it may have ended long ago. */
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
    if (this.#length > MOST_ANSWER)
      this.end('worker-failed', 'the answer of the worker is too long');
  }

  #look(): void {
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
      return failed(
        'out-of-memory',
        `the heap of the worker reached its limit of ${this.#limits.bytes} bytes`,
      );
    if (signal) return failed('killed', `the worker was killed by ${signal}`);
    if (status === 0) return { text: Buffer.concat(this.#pieces).toString() };
    const said = this.#words.split('\n', 1)[0]?.slice(0, 300);
    return failed('worker-failed', `the worker exited with status ${status}: ${said}`);
  }

  #done(end: WorkerEnd): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#resolve(end);
  }
}

/** What node is given to become this program: its script, unless that is in the executable (scripts/package). */
function ownEntry(): string[] {
  return isSea() ? [] : process.argv.slice(1, 2);
}

/** Ours may have been removed: node starts no thread there. */
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

/** Where memory ends, the kernel takes a worker and not who counts them: anybody may ask for that. */
function takeFirst(pid: number | undefined): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, '1000');
  } catch {}
}

/** Undefined without /proc: then only V8's limit holds. */
function residentBytes(pid: number | undefined): number | undefined {
  try {
    const [, kilobytes] =
      /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}
