import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { ExhaustedError, exhaustionOf } from '../base/errors.js';
import { safePath } from '../base/shell.js';

/** Environment variable of a process of this program that only reads files for its parent (proc/memory-files.ts). */
export const READER_VARIABLE = 'KDUMP_MEM_READER';

/** Running commands: each leads its own process group, which contains its children. */
const running = new Set<ChildProcess>();

/**
 * Inodes of our ends of the pipes to commands, the newest: node makes them of unix sockets, which ss lists with its own
 * unread output.
 */
export const ownPipes = new Set<number>();
const MAX_PIPES = 1024;

function notePipes({ stdout, stderr }: ChildProcess): void {
  for (const pipe of [stdout, stderr]) {
    // No public member has the descriptor of a pipe.
    const fd = (pipe as { _handle?: { fd?: unknown } } | null | undefined)?._handle?.fd;
    if (typeof fd !== 'number' || fd < 0) continue;
    try {
      const inode = Number(/^socket:\[(\d{1,15})\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1] ?? Number.NaN);
      if (!Number.isNaN(inode)) ownPipes.add(inode);
    } catch {
      // Without /proc there are no sockets to compare.
    }
  }
  for (const oldest of ownPipes) {
    if (ownPipes.size <= MAX_PIPES) break;
    ownPipes.delete(oldest);
  }
}

/**
 * Starts a command as the leader of a process group, so that its descendants can be killed with it: a
 * descendant that keeps the pipe open would block us. The groups are killed when this process exits,
 * also by a signal; a terminal's signals do not reach them.
 *
 * Throws `ExhaustedError` if no descriptor, process or memory is left. All other start failures arrive
 * as its `error` event.
 */
export function startGroup(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  let child: ChildProcess;
  try {
    const { env = process.env } = options;
    child = spawn(command, args, { ...options, env: { ...env, PATH: safePath(env.PATH) }, detached: true });
  } catch (cause) {
    throw asExhausted(command, cause) ?? cause;
  }
  if (child.pid === undefined) {
    // Node reports the reason on the next tick, and omits the pipes if no descriptors were left for them.
    if (!child.stdio) {
      child.on('error', () => undefined);
      throw new ExhaustedError(`${command} cannot be started: too many open files (EMFILE)`);
    }
    return child;
  }
  notePipes(child);
  if (running.size === 0) hook();
  running.add(child);
  child.once('close', () => {
    running.delete(child);
    if (running.size === 0) unhook();
  });
  return child;
}

/** Returns the error that names the exhausted resource; null if a command failed to start for another reason. */
export function asExhausted(command: string, cause: unknown): ExhaustedError | null {
  const lacking = exhaustionOf(cause);
  return lacking === undefined ? null : new ExhaustedError(`${command} cannot be started: ${lacking}`, { cause });
}

/** Kills a command and its process group. Does not wait for remaining output. */
export function endGroup(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The whole group has exited.
  }
  if (signal !== 'SIGKILL') return;
  // A process that left the group may keep the pipes open.
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

/** Kills all running commands. */
export function endAll(): void {
  for (const child of running) endGroup(child);
}

/** Without other listeners, the signal has its default effect. */
function onSignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  endAll();
  unhook();
  process.kill(process.pid, signal);
}
