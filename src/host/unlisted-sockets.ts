import { HostError, isHostError } from '../base/errors.js';
import type { HostSource } from './host-source.js';
import { RowCutter } from './lines.js';
import type { Namespace } from './namespaces.js';
import { ALL_GROUPS, readSample } from './ss/read.js';

/** A socket that a process has open, and ss does not list. */
export interface UnlistedSocket {
  readonly pid: number;
  readonly fd: number;
  readonly inode: number;
}

/** Tables that other questions do not need; an ss without one of them rejects it. */
export const RARE_TABLES = 'xdp,tipc,dccp,vsock_dgram';
export const RARE = ['-H', '-O', '-n', '-e', '-a', '-A', RARE_TABLES];

/**
 * Reads the rows of {@link RARE_TABLES}; none if the namespace is gone, or its kernel has none of these families.
 *
 * @throws {HostError} ss is missing or hangs
 */
export async function eachRareRow(
  source: HostSource,
  { own, path }: Namespace,
  onRow: (row: string) => void,
): Promise<void> {
  const rows = new RowCutter(onRow);
  try {
    await source.ss(RARE, own ? null : path, (bytes) => rows.push(bytes));
  } catch (error) {
    if (!isHostError(error, 'gone', 'ss-failed')) throw error;
  }
  rows.end();
}

/**
 * Those of the sockets that a second, complete listing does not contain either, and that are still open after it. A
 * socket that is opened or closed during a listing is none of them. In a capture, it is open in both samples, and listed in
 * neither.
 *
 * @throws {HostError}
 */
export async function stillUnlisted(
  source: HostSource,
  namespaces: readonly Namespace[],
  sockets: readonly UnlistedSocket[],
): Promise<UnlistedSocket[]> {
  const other = source.earlier ?? source;
  const listed = new Set<number>();
  const { closed, failed, leftOut, unreadable, missing } = await readSample(
    other,
    namespaces,
    ALL_GROUPS,
    () => undefined,
    listed,
  );
  // A socket of a row that is missing would be taken for one that is not listed.
  if (closed.length + failed + leftOut + unreadable + missing > 0)
    throw new HostError('unreadable', 'the second listing of sockets is not complete');
  for (const namespace of namespaces)
    await eachRareRow(other, namespace, (row) => {
      for (const [, inode] of row.matchAll(/ ino:(\d{1,15})\b/g)) listed.add(Number(inode));
    });
  return sockets.filter(({ pid, fd, inode }) => !listed.has(inode) && isOpen(source, { pid, fd, inode }));
}

function isOpen(source: HostSource, { pid, fd, inode }: UnlistedSocket): boolean {
  try {
    return (source.earlier ?? source.fresh ?? source).readLink(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`;
  } catch (error) {
    if (isHostError(error)) return false;
    throw error;
  }
}
