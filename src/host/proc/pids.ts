import { HostError, type HostErrorCode, isHostError } from '../../base/errors.js';
import type { HostSource } from '../host-source.js';
import { nsPidsOf, optionalText, statusFields } from './process.js';

/** Whether a name in /proc or /proc/PID/task is a pid or thread id. */
export function isPid(name: string): boolean {
  return /^[1-9]\d{0,9}$/.test(name);
}

/**
 * Pids listed in /proc, in its order.
 *
 * @throws {HostError} if it cannot be listed
 */
export function listedPids(source: Pick<HostSource, 'list'>): string[] {
  return source.list('/proc').filter(isPid);
}

/** Why a list is not available. */
export interface Unlisted {
  readonly code: HostErrorCode;
  readonly why: string;
}

/** The list in a file; or why it is not available. */
export type Listed<T> = { readonly list: T } | Unlisted;

/** Makes a list optional: turns a HostError into a reason. @throws any other error */
export function listed<T>(read: () => T): Listed<T> {
  try {
    return { list: read() };
  } catch (error) {
    if (!isHostError(error)) throw error;
    return { code: error.code, why: error.message };
  }
}

export interface FoundPids {
  /** Pids, in our namespace, of the matching processes. */
  readonly pids: readonly number[];
  /** Whether any process is in that namespace. */
  readonly known: boolean;
  /**
   * Processes in nested namespaces that have this pid at an intermediate level: /proc does not reveal
   * which namespace that level is.
   */
  readonly deeper: readonly number[];
  /** Number of processes with this pid in a namespace of their own that cannot be read. */
  readonly denied: number;
}

/**
 * Finds processes by their pid in the pid namespace with this inode number (/proc/PID/ns/pid, NSpid of
 * /proc/PID/status). /proc shows a process's own namespace, but not the enclosing ones.
 *
 * @throws {HostError} if /proc cannot be listed
 */
export function findPids(source: HostSource, namespace: number, pid: number): FoundPids {
  const pids: number[] = [];
  const inside: { readonly own: number; readonly numbers: readonly number[] }[] = [];
  let [level, denied]: [number | undefined, number] = [undefined, 0];
  for (const name of listedPids(source)) {
    const numbers = nsPidsOf(statusFields(optionalText(source, `/proc/${name}/status`)));
    // A process with a single pid is in the namespace of this /proc mount.
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
