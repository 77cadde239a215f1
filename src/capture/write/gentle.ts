import { spawnSync } from 'node:child_process';
import os from 'node:os';
import { searchPath } from '../../base/program-path.js';

/** How we keep out of the way of others. */
export interface Gentle {
  /** Our nice value. */
  readonly nice: number;
  /** We read and write when nobody else does (ionice -c3). */
  readonly idleIo: boolean;
}

const NICE = 10;
const TIMEOUT_MS = 2000;

/** Lets others go first. Where the system refuses it stays as it is, and says so. */
export function beGentle(): Gentle {
  try {
    if (os.getPriority() < NICE) os.setPriority(NICE);
  } catch {
    // Told by what we have then.
  }
  return { nice: os.getPriority(), idleIo: runs('ionice', '-c3', '-p', `${process.pid}`) };
}

/**
 * Takes what we wrote out of the page cache; it must lie on the disk. Node has no posix_fadvise, dd has.
 *
 * @returns whether it did
 */
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
