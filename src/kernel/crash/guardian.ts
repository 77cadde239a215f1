import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { safePath } from '../../program-path.js';
import { KernelError } from '../error.js';

/**
 * crash's parent: a small shell that leads a process group of its own. It ends the whole group and
 * removes the folder when crash exits or when we are gone, however that happens: descriptor 3 is
 * the read end of a pipe whose other end only we hold. So neither Ctrl-C nor kill -9 leaves a crash
 * behind at 100 % CPU.
 */
const GUARDIAN = String.raw`
ulimit -f 65536 # of 512 bytes: the output goes to a file, which may be one in memory
"$@" <requests >>answers 2>&1 3<&- &
crash=$!
( read -r lease <&3; rm -rf -- "$PWD"; kill -KILL 0 ) &
wait "$crash"
printf '\036exited %s\n' "$?" >>answers
rm -rf -- "$PWD"
kill -KILL 0
`;

/** What we never ask of crash, and what would only make it start later. */
const ARGUMENTS = ['-s', '--no_modules', '--no_kmem_cache', '--no_panic', '--no_scroll'];

/**
 * Starts crash under its guardian, in a folder whose `requests` it reads and whose `answers` it writes.
 *
 * @throws {KernelError} `exhausted`; what spawn throws
 */
export function startGuarded(
  program: string,
  files: readonly string[],
  folder: string,
): ChildProcess {
  const guardian = spawn('/bin/sh', ['-c', GUARDIAN, 'sh', program, ...ARGUMENTS, ...files], {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    // No rc file, pager or translation of the user's may change what crash prints.
    env: { PATH: safePath(), HOME: folder, LC_ALL: 'C', TERM: 'dumb' },
  });
  // Node tells why in the next tick, and we do not wait for one.
  guardian.on('error', () => undefined);
  if (guardian.pid === undefined) {
    const lacking = 'no file descriptor, process or memory is left';
    throw new KernelError('exhausted', `${program} cannot be started: ${lacking}`);
  }
  guardian.unref();
  (guardian.stdio[3] as Socket | undefined)?.unref();
  return guardian;
}

/** Ends crash and all that it started. */
export function endGuarded({ pid }: ChildProcess): void {
  try {
    // The guardian's group; at worst it is gone already.
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {}
}
