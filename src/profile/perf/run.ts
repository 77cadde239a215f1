import type { Duplex, Readable } from 'node:stream';
import { execa } from 'execa';
import { TraceError } from '../../base/errors/trace.js';
import { safePath } from '../../base/program-path.js';

/** Of what perf says: enough for its reason, and no more. */
const MOST_WORDS = 16 * 1024;

/** What runs now: each leads a process group of its own. */
const running = new Set<number>();

/** Ends all that runs, with what it started. */
export function endPerf(): void {
  for (const pid of running) signalPerf(pid, 'SIGKILL');
}

/** Sends a signal to a perf that runs, and to what it started. */
export function signalPerf(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined || !running.has(pid)) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended.
  }
}

/** How it may be started. */
export interface PerfOptions {
  /** Two descriptors more, 3 and 4, to control it. */
  readonly control?: boolean;
  /** Ends it when so many milliseconds have passed. */
  readonly timeout?: number;
  /** Ends it. */
  readonly stop?: AbortSignal;
}

/** A perf that runs. */
export interface PerfRun {
  readonly pid: number | undefined;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** Descriptors 3 and 4, where they were asked for. */
  readonly control: readonly [Duplex, Duplex] | undefined;
  readonly ended: Promise<PerfEnd>;
}

/** How it ended. */
export interface PerfEnd {
  readonly failed: boolean;
  readonly signal: string | undefined;
  /** It could not be started, or was ended by us. */
  readonly cause: unknown;
}

/**
 * Starts perf in a process group of its own, so that a Ctrl-C of the terminal reaches us alone and it is
 * told by us. It reads no configuration of anybody's, and asks no server for symbols.
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
  // What it started holds our pipes open, and would be waited for, when perf is killed.
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

/** What a stream of words comes to, as it grows. */
export class Words {
  text = '';

  constructor(stream: Readable | null) {
    stream?.on('data', (bytes: Buffer) => {
      if (this.text.length < MOST_WORDS) this.text += bytes.toString('utf8');
    });
  }

  /** Its reason in one line. */
  get reason(): string {
    const lines = this.text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !NO_REASON.test(line));
    return lines.slice(0, 3).join(' ').slice(0, 400) || 'no error message';
  }
}

/** Its own error where there is no perf to start. */
export function asMissing(cause: unknown): TraceError | undefined {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code !== 'ENOENT' && code !== 'EACCES') return undefined;
  return new TraceError('perf-missing', 'perf is not installed', { cause });
}
