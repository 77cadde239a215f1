import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import { execa } from 'execa';
import { TraceError } from '../../base/errors.js';
import { safePath } from '../../base/shell.js';

/** Maximum length of perf's messages: enough for a reason. */
const MAX_TEXT = 16 * 1024;

/** Running commands: each leads its own process group. */
const running = new Set<number>();

/** Kills all running commands with their children. */
function endPerf(): void {
  for (const pid of running) signalPerf(pid, 'SIGKILL');
}

/** Sends a signal to a running perf and its children. */
export function signalPerf(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined || !running.has(pid)) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It has exited.
  }
}

export interface PerfOptions {
  /** Opens descriptors 3 and 4 as control pipes. */
  readonly control?: boolean;
  /** Kills it after this many milliseconds. */
  readonly timeout?: number;
  /** Kills it. */
  readonly stop?: AbortSignal;
}

export interface PerfRun {
  readonly pid: number | undefined;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** Descriptors 3 and 4, if requested. */
  readonly control: readonly [Duplex, Duplex] | undefined;
  readonly ended: Promise<PerfEnd>;
}

export interface PerfEnd {
  readonly failed: boolean;
  readonly signal: string | undefined;
  /** It could not be started, or kdump-mem killed it. */
  readonly cause: unknown;
}

/**
 * Starts perf in its own process group, so that a Ctrl-C of the terminal only reaches kdump-mem, which
 * stops perf. perf reads no configuration files, and queries no symbol servers.
 */
export function startPerf(args: readonly string[], options: PerfOptions = {}): PerfRun {
  const { DEBUGINFOD_URLS: _, ...environment } = process.env;
  const { control = false, timeout, stop } = options;
  const started = execa('perf', args, {
    stdio: ['ignore', 'pipe', 'pipe', ...(control ? (['pipe', 'pipe'] as const) : [])],
    reject: false,
    buffer: false,
    detached: true,
    extendEnv: false,
    env: { ...environment, PATH: safePath(), LC_ALL: 'C', PERF_CONFIG: '/dev/null', PAGER: 'cat' },
    ...(timeout === undefined ? {} : { timeout }),
    ...(stop === undefined ? {} : { cancelSignal: stop }),
  });
  const { pid, stdout, stderr, stdio } = started;
  if (pid !== undefined) running.add(pid);
  // After perf is killed, its children would keep the pipes open.
  started.once('exit', () => signalPerf(pid, 'SIGKILL'));
  return {
    pid,
    stdout,
    stderr,
    control: control ? [stdio[3] as Duplex, stdio[4] as Duplex] : undefined,
    ended: started.then(({ failed, signal, cause }) => {
      if (pid !== undefined) running.delete(pid);
      return { failed, signal, cause };
    }),
  };
}

/** Lines that every perf prints. */
const NO_REASON = /^(Error|Warning):$|^\[ perf record: |^Events (en|dis)abled$/;

/** Collects text from a stream, up to a maximum. */
export class CappedText {
  text = '';

  constructor(stream: Readable | null) {
    stream?.on('data', (bytes: Buffer) => {
      if (this.text.length < MAX_TEXT) this.text += bytes.toString('utf8');
    });
  }

  /** The reason in one line. */
  get reason(): string {
    const lines = this.text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !NO_REASON.test(line));
    return lines.slice(0, 3).join(' ').slice(0, 400) || 'no error message';
  }
}

/** Returns a specific error if perf is not installed. */
export function missingPerf(cause: unknown): TraceError | undefined {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code !== 'ENOENT' && code !== 'EACCES') return undefined;
  return new TraceError('perf-missing', 'perf is not installed', { cause });
}

const SIGNALS = ['SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * A folder for perf.data, which contains parts of a process's stacks: accessible only to its owner
 * (mode 700), and removed as soon as perf has opened the file, so that even SIGKILL leaves nothing
 * behind. perf exits before kdump-mem.
 */
export class PerfScratch {
  readonly path: string;
  #descriptor: number | undefined;
  readonly #clean = (): void => {
    endPerf();
    if (this.#descriptor !== undefined) fs.closeSync(this.#descriptor);
    this.#descriptor = undefined;
    fs.rmSync(this.path, { recursive: true, force: true });
  };
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.remove();
    process.kill(process.pid, signal);
  };

  /** @throws {TraceError} `no-room` */
  constructor() {
    try {
      this.path = fs.mkdtempSync(path.join(tmpdir(), 'kdump-mem-perf-'));
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      throw new TraceError('no-room', `${tmpdir()}: directory not created (${code})`, { cause });
    }
    process.on('exit', this.#clean);
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
  }

  /** Path for writing perf.data, or for reading it once its name is removed. */
  get file(): string {
    if (this.#descriptor !== undefined) return `/proc/${process.pid}/fd/${this.#descriptor}`;
    return path.join(this.path, 'perf.data');
  }

  /** Whether the file system is full. */
  get isFull(): boolean {
    try {
      return fs.statfsSync(this.path).bavail === 0;
    } catch {
      return false;
    }
  }

  /** Removes the name of the file that perf has open. */
  hide(): void {
    try {
      this.#descriptor = fs.openSync(this.file, 'r');
    } catch {
      // The reader reports that perf has written no file.
      return;
    }
    fs.rmSync(this.path, { recursive: true, force: true });
  }

  remove(): void {
    this.#clean();
    process.off('exit', this.#clean);
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
  }
}
