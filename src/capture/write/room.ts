import { statfsSync } from 'node:fs';
import path from 'node:path';
import { isHostError } from '../../base/errors/host.js';
import { OutputError } from '../../base/output-file.js';
import type { HostSource } from '../../host/host-source.js';
import { listedPids } from '../../host/proc/pids.js';

/** Magic numbers of file systems that lie in memory (include/uapi/linux/magic.h; statfs(2)). */
const IN_MEMORY: ReadonlySet<number> = new Set([0x0102_1994, 0x8584_58f6]);

const MIB = 1024 * 1024;
/** Of a small host, packed. */
const LEAST = 4 * MIB;
/** Packed bytes of a process and of a socket, at two samples; those of large hosts are less. */
const OF_PROCESS = 4096;
const OF_SOCKET = 192;

/** Bytes that a snapshot of this host takes at most, about. */
export function roomNeeded(source: HostSource): number {
  const processes = listedPids(source).length;
  return LEAST + processes * OF_PROCESS + sockets(source) * OF_SOCKET;
}

function sockets(source: HostSource): number {
  try {
    return Number(
      /^sockets: used (\d{1,9})$/m.exec(source.readText('/proc/net/sockstat'))?.[1] ?? 0,
    );
  } catch (error) {
    if (isHostError(error)) return 0;
    throw error;
  }
}

/**
 * Refuses a place that lies in memory (under memory pressure that makes things worse) or has no room.
 *
 * @param memoryToo what lies in memory is taken too
 * @throws {OutputError} `cannot-write`
 */
export function checkRoom(file: string, needed: number, memoryToo: boolean): void {
  const folder = path.dirname(path.resolve(file));
  const { type, bavail, bsize } = statfs(folder);
  if (!memoryToo && IN_MEMORY.has(type))
    throw new OutputError(
      'cannot-write',
      `${folder} is in memory (tmpfs). Name a file on disk, write to stdout (-o -), or add --tmpfs`,
    );
  const free = bavail * bsize;
  if (free < needed)
    throw new OutputError(
      'cannot-write',
      `${folder} has ${Math.floor(free / MIB)} MiB free, but a snapshot of this host may need ${Math.ceil(needed / MIB)} MiB. Name another file, or write to stdout (-o -)`,
    );
}

function statfs(folder: string): { type: number; bavail: number; bsize: number } {
  try {
    return statfsSync(folder);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new OutputError('cannot-write', `${folder} cannot be written (${code})`, { cause });
  }
}
