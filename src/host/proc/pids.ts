import type { HostSource } from '../host-source.js';

/** Whether a name in /proc or /proc/PID/task is that of a process or thread. */
export function isPid(name: string): boolean {
  return /^[1-9]\d{0,9}$/.test(name);
}

/**
 * The processes that /proc shows, in its own order.
 *
 * @throws {HostError} it cannot be listed
 */
export function listedPids(source: Pick<HostSource, 'list'>): string[] {
  return source.list('/proc').filter(isPid);
}
