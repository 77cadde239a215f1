import type { Readable } from 'node:stream';
import { execa } from 'execa';
import { safePath } from '../../../base/program-path.js';
import { Words } from '../../../profile/perf/run.js';

/** A bpftrace that runs. */
export interface BpftraceRun {
  readonly pid: number | undefined;
  readonly stdout: Readable;
  /** What it says of errors and of what it lost. */
  readonly words: Words;
  readonly ended: Promise<BpftraceEnd>;
  signal(name: NodeJS.Signals): void;
}

/** How it ended. */
export interface BpftraceEnd {
  readonly signal: string | undefined;
  /** It could not be started, or failed. */
  readonly cause: unknown;
}

/**
 * Starts bpftrace in a process group of its own, so that a Ctrl-C of the terminal reaches us alone. Nothing of our
 * environment but PATH reaches it: variables would change what it does.
 *
 * @param mapKeys entries that each map of the program has room for
 */
export function startBpftrace(program: string, mapKeys: number): BpftraceRun {
  const started = execa('bpftrace', ['-B', 'line', '-e', program], {
    stdio: ['ignore', 'pipe', 'pipe'],
    reject: false,
    buffer: false,
    detached: true,
    extendEnv: false,
    env: {
      PATH: safePath(),
      LC_ALL: 'C',
      // Before 0.18 or so it had the other name.
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
      // It has ended.
    }
  };
  const onExit = (): void => signal('SIGKILL');
  process.on('exit', onExit);
  return {
    pid,
    stdout,
    words: new Words(stderr),
    signal,
    ended: started.then(({ signal: by, cause, failed }) => {
      runs = false;
      process.off('exit', onExit);
      return { signal: by, cause: failed ? (cause ?? 'failed') : undefined };
    }),
  };
}
