import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { ExhaustedError } from '../base/errors/host.js';
import { exhaustionOf } from '../base/exhaustion.js';
import { safePath } from '../base/program-path.js';

/** What runs now: each leads a process group of its own, and its children are in it too. */
const running = new Set<ChildProcess>();

/**
 * Starts a command as the leader of a process group, so that all that it starts can be ended with it:
 * a child of it that keeps the pipe open would keep us waiting. The groups are ended when we end, also
 * by a signal; a terminal's own does not reach them.
 *
 * Throws `ExhaustedError` where there is no descriptor, process or memory left. All else that keeps it
 * from starting comes as its `error` event.
 */
export function startGroup(
  command: string,
  args: readonly string[],
  options: SpawnOptions,
): ChildProcess {
  let child: ChildProcess;
  try {
    const { env = process.env } = options;
    child = spawn(command, args, {
      ...options,
      env: { ...env, PATH: safePath(env.PATH) },
      detached: true,
    });
  } catch (cause) {
    throw asExhausted(command, cause) ?? cause;
  }
  if (child.pid === undefined) {
    // Node tells why in the next tick, and leaves out the pipes where there was no descriptor for them.
    if (!child.stdio) {
      child.on('error', () => undefined);
      throw new ExhaustedError(`${command} cannot be started: too many open files (EMFILE)`);
    }
    return child;
  }
  if (running.size === 0) hook();
  running.add(child);
  child.once('close', () => {
    running.delete(child);
    if (running.size === 0) unhook();
  });
  return child;
}

/** The error that says what was lacking, null when a command did not start for another reason. */
export function asExhausted(command: string, cause: unknown): ExhaustedError | null {
  const lacking = exhaustionOf(cause);
  return lacking === undefined
    ? null
    : new ExhaustedError(`${command} cannot be started: ${lacking}`, { cause });
}

/** Ends a command and all that it has started. What still comes of its output is not waited for. */
export function endGroup(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // All of it has ended.
  }
  if (signal !== 'SIGKILL') return;
  // Who has left the group may keep the pipes.
  child.stdout?.destroy();
  child.stderr?.destroy();
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function hook(): void {
  process.on('exit', endAll);
  for (const signal of SIGNALS) process.on(signal, onSignal);
}

function unhook(): void {
  process.off('exit', endAll);
  for (const signal of SIGNALS) process.off(signal, onSignal);
}

/** Ends all that runs. */
export function endAll(): void {
  for (const child of running) endGroup(child);
}

/** Where nobody else listens the signal does what it does to every program. */
function onSignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  endAll();
  unhook();
  process.kill(process.pid, signal);
}
