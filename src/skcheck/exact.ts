import { SocketAccountant } from '../account/socket.js';
import { Tally } from '../account/tally.js';
import { KernelError, ReadError } from '../base/errors/kernel.js';
import { WalkError } from '../base/errors/walk.js';
import { once } from '../base/once.js';
import type { SocketRecord } from '../host/socket.js';
import type { Kernel } from '../kernel/kernel.js';
import { endsKey, type SockKey, searchSocks } from '../walk/sockets/sock-search.js';
import { type Socket, SocketFinder } from '../walk/sockets/socket.js';
import { findFile } from '../walk/tasks/files.js';
import { findTask } from '../walk/tasks/task-table.js';
import { Warnings } from '../walk/warnings.js';
import type { Diagnosis } from './diagnose.js';
import type { Finding } from './finding.js';
import { STALE_CODES } from './verdict.js';

/** What was counted of one socket, over all its queues: bytes, except `skbs` and `pages`. */
export interface Count {
  readonly skbs: number;
  readonly pages: number;
  readonly pinnedBytes: number;
  /** False when something of it could not be read: then it is a lower bound. */
  readonly complete: boolean;
}

export interface ExactCounts {
  /** By finding; those that could not be counted are not in it. */
  readonly counts: ReadonlyMap<Finding, Count>;
  /** The stale ones together, what two of them share counted once; null unless all are complete. */
  readonly stalePinnedBytes: number | null;
  /** How many were not counted, and the first reason. */
  readonly failed: { readonly count: number; readonly because: string } | null;
}

/**
 * Counts in a kernel's memory what the findings' sockets hold. The way is pid → descriptor → socket,
 * and the socket's inode must be the one that was found: descriptors are closed and used again. Those
 * that no process has open are searched for in the slabs ({@link OwnerlessSocks}).
 */
export function countExactly(kernel: Kernel, findings: readonly Finding[]): ExactCounts {
  const accountant = new SocketAccountant(kernel);
  const finder = new SocketFinder(kernel);
  const warnings = new Warnings();
  const sum = new Tally(kernel.facts.pageSize, warnings);
  const counts = new Map<Finding, Count>();
  const reasons: string[] = [];
  let staleComplete = true;
  const ownerless = once(
    () =>
      new OwnerlessSocks(
        kernel,
        findings.filter(isOwnerless).map(({ socket }) => socket),
      ),
  );
  for (const finding of findings) {
    const stale = STALE_CODES.includes(finding.verdict.verdict);
    try {
      const socket = isOwnerless(finding)
        ? ownerless().find(finding.socket)
        : findSocket(kernel, finder, finding);
      const { total } = accountant.account(socket, { warnings, sums: stale ? [sum] : [] });
      const { skbs, pages, pinnedBytes, complete } = total;
      counts.set(finding, { skbs, pages, pinnedBytes, complete });
      if (stale && !complete) staleComplete = false;
    } catch (error) {
      if (!isMissing(error)) throw error;
      reasons.push(error.message);
      if (stale) staleComplete = false;
    }
  }
  return {
    counts,
    stalePinnedBytes: staleComplete ? sum.figures().pinnedBytes : null,
    failed: reasons.length === 0 ? null : { count: reasons.length, because: reasons[0] ?? '' },
  };
}

/** A diagnosis with counts in the place of estimates, where there is a complete one. */
export interface CountedDiagnosis {
  readonly diagnosis: Diagnosis;
  /** By the findings of this diagnosis; those that could not be counted are not in it. */
  readonly counts: ReadonlyMap<Finding, Count>;
}

export function withCounts(diagnosis: Diagnosis, exact: ExactCounts): CountedDiagnosis {
  const one = (bytes: number) => ({ low: bytes, likely: bytes, high: bytes, atMost: bytes });
  const counts = new Map<Finding, Count>();
  const findings = diagnosis.findings.map((estimated) => {
    const count = exact.counts.get(estimated);
    if (!count) return estimated;
    const finding = count.complete ? { ...estimated, pinned: one(count.pinnedBytes) } : estimated;
    counts.set(finding, count);
    return finding;
  });
  const { stalePinnedBytes } = exact;
  const totals =
    stalePinnedBytes === null || diagnosis.stalled === 0
      ? diagnosis.totals
      : { ...diagnosis.totals, pinned: one(stalePinnedBytes), unbounded: 0 };
  return { diagnosis: { ...diagnosis, findings, totals }, counts };
}

function isOwnerless({ holders }: Finding): boolean {
  return holders.length === 0;
}

function findSocket(kernel: Kernel, finder: SocketFinder, { socket, holders }: Finding) {
  const [holder] = holders;
  const pid = holder?.pid ?? 0;
  const fd = holder?.fds[0] ?? -1;
  const { file } = findFile(kernel, findTask(kernel, pid), fd);
  const found = finder.find(file);
  if (!found || found.inode !== socket.inode)
    throw new WalkError('not-a-socket', `fd ${fd} of pid ${pid} is now another file`);
  return found;
}

function isMissing(error: unknown): error is Error {
  return error instanceof WalkError || error instanceof ReadError || error instanceof KernelError;
}

/**
 * Finds, in a kernel's memory, sockets that no process has open: connections that nobody accepted,
 * orphans, what travels in a message. They hang on no descriptor, so the slabs of all protocols are
 * gone through, once for all of them. (Unix connections that wait to be accepted, ss does not list.)
 * A sock is known by
 * - its cookie (`skc_cookie`, which inet_diag gave it when ss asked, never twice since boot);
 * - without one, the number of its inode;
 * - a TCP socket of /proc/net, by its namespace and both addresses.
 */
class OwnerlessSocks {
  readonly #found: ReadonlyMap<SockKey, readonly Socket[]>;

  /** @throws {KernelError}, {@link ReadError} when slabs cannot be gone through */
  constructor(kernel: Kernel, wanted: readonly SocketRecord[]) {
    this.#found = searchSocks(
      kernel,
      wanted.map(keyOf).filter((key) => key !== null),
    );
  }

  /** @throws {WalkError} `not-a-socket` when there is none, or more than one that fits */
  find(record: SocketRecord): Socket {
    const key = keyOf(record);
    const [socket, ...more] = (key && this.#found.get(key)) ?? [];
    if (socket && more.length === 0) return socket;
    const what = 'no process holds it, and';
    throw new WalkError(
      'not-a-socket',
      socket
        ? `${what} ${more.length + 1} socks in kernel memory match`
        : `${what} no sock in kernel memory matches`,
    );
  }
}

function keyOf(record: SocketRecord): SockKey | null {
  const { cookie, inode, protocol, netns, local, peer, skmem } = record;
  // Where the kernel lacks inet_diag, ss reads /proc/net/tcp: no skmem, and its `sk:` is no cookie.
  if (skmem && /^[0-9a-f]{1,16}$/.test(cookie) && !/^0+$/.test(cookie))
    return `cookie ${BigInt(`0x${cookie}`)}`;
  if (inode !== 0) return `inode ${inode}`;
  return protocol === 'TCP' && netns !== null
    ? endsKey(netns, unzoned(local), unzoned(peer))
    : null;
}

/** ss names the device of a link-local address: `[fe80::1%eth0]:80`, `[fe80::1]%eth0:80`. */
function unzoned(address: string): string {
  return address.replace(/%[^\]:]*/, '');
}
