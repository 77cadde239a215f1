import { HostError, isHostError } from '../../base/errors/host.js';
import type { HostSource } from '../host-source.js';
import { listedPids } from './pids.js';
import { nsPidsOf, optionalText, statusFields } from './process.js';

/** What was found of a pid in a pid namespace. */
export interface FoundPids {
  /** Our numbers of processes that have it. */
  readonly pids: readonly number[];
  /** Some process is in that namespace. */
  readonly known: boolean;
  /**
   * Processes of namespaces farther in that have this number so far out: which namespace that is of, /proc
   * does not tell.
   */
  readonly deeper: readonly number[];
  /** Processes that have this number in their own namespace, and which that is may not be seen. */
  readonly denied: number;
}

/**
 * Who has this pid in the pid namespace with this inode number (/proc/PID/ns/pid, NSpid of
 * /proc/PID/status). /proc tells of a process which namespace is its own, not which ones are around that.
 *
 * @throws {HostError} if /proc cannot be listed
 */
export function findPids(source: HostSource, namespace: number, pid: number): FoundPids {
  const pids: number[] = [];
  const inside: { readonly own: number; readonly numbers: readonly number[] }[] = [];
  let [level, denied]: [number | undefined, number] = [undefined, 0];
  for (const name of listedPids(source)) {
    const numbers = nsPidsOf(statusFields(optionalText(source, `/proc/${name}/status`)));
    // Who has one number is in the namespace that this /proc is of.
    const own = namespaceOf(source, numbers.length === 1 ? 'self' : name);
    if (own === 'denied' && (numbers.at(-1) ?? pid) === pid) denied++;
    if (typeof own === 'string') continue;
    if (own === namespace) {
      level ??= numbers.length;
      if (numbers.at(-1) === pid) pids.push(Number(name));
    } else if (numbers.includes(pid)) inside.push({ own: Number(name), numbers });
  }
  const deeper = inside
    .filter(({ numbers }) => level !== undefined && numbers.length > level)
    .filter(({ numbers }) => numbers[(level ?? 0) - 1] === pid)
    .map(({ own }) => own);
  return { pids, known: level !== undefined, deeper, denied };
}

function namespaceOf(source: HostSource, name: string): number | 'denied' | 'gone' {
  try {
    const inode = /^pid:\[(\d{1,15})\]$/.exec(source.readLink(`/proc/${name}/ns/pid`))?.[1];
    return inode === undefined ? 'gone' : Number(inode);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return isHostError(error, 'denied') ? 'denied' : 'gone';
  }
}
