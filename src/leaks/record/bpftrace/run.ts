import type { Readable } from 'node:stream';
import { execa } from 'execa';
import { safePath } from '../../../base/shell.js';
import { CappedText } from '../../../profile/perf/run.js';

/** A running bpftrace process. */
export interface BpftraceRun {
  readonly pid: number | undefined;
  readonly stdout: Readable;
  /** Its messages about errors and losses. */
  readonly words: CappedText;
  readonly ended: Promise<BpftraceEnd>;
  signal(name: NodeJS.Signals): void;
}

/** How a bpftrace process exited. */
export interface BpftraceEnd {
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
