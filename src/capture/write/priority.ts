import { spawnSync } from 'node:child_process';
import os from 'node:os';
import { searchPath } from '../../base/program-path.js';

/** CPU and I/O priority of this process. */
export interface Priority {
  readonly nice: number;
  /** I/O runs in the idle class (ionice -c3). */
  readonly idleIo: boolean;
}

const NICE = 10;
const TIMEOUT_MS = 2000;

/** Lowers the priority of this process; returns what the system granted. */
export function lowerPriority(): Priority {
  try {
    if (os.getPriority() < NICE) os.setPriority(NICE);
  } catch {
    // The result shows the priority that is left.
  }
  return { nice: os.getPriority(), idleIo: runs('ionice', '-c3', '-p', `${process.pid}`) };
}

/** Drops a written file from the page cache by dd (Node has no posix_fadvise); returns whether that worked. */
export function uncache(file: string): boolean {
  return runs('dd', `of=${file}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0');
}

function runs(command: string, ...args: string[]): boolean {
  const { status } = spawnSync(command, args, {
    stdio: 'ignore',
    env: { ...process.env, PATH: searchPath() },
    timeout: TIMEOUT_MS,
  });
  return status === 0;
}
