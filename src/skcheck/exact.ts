import { SocketAccountant } from '../account/socket.js';
import { Tally } from '../account/tally.js';
import { KernelError, ReadError, WalkError } from '../base/errors.js';
import { once } from '../base/util.js';
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

/** Exact counts for one socket, over all its queues: bytes, except `skbs` and `pages`. */
export interface Count {
  readonly skbs: number;
  readonly pages: number;
  readonly pinnedBytes: number;
  /** False if parts could not be read: the count is then a lower bound. */
  readonly complete: boolean;
}

export interface ExactCounts {
  /** By finding; without those that could not be counted. */
  readonly counts: ReadonlyMap<Finding, Count>;
  /** Total of the stale ones, with shared memory counted once; null unless all are complete. */
  readonly stalePinnedBytes: number | null;
  /** Number of findings that were not counted, and the first reason. */
  readonly failed: { readonly count: number; readonly because: string } | null;
}

/**
 * Counts the contents of the findings' sockets in a kernel's memory. Follows pid → descriptor → socket. The
 * socket's inode must match the finding, since descriptors are closed and reused. Sockets without a holder
 * are searched for in the slabs ({@link OwnerlessSocks}).
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
      const socket = isOwnerless(finding) ? ownerless().find(finding.socket) : findSocket(kernel, finder, finding);
      const { account } = accountant.account(socket, { warnings, sums: stale ? [sum] : [] });
      const { skbs, pages, pinnedBytes, complete } = account.total;
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

/** A diagnosis with counts instead of estimates where complete. */
export interface CountedDiagnosis {
  readonly diagnosis: Diagnosis;
  /** By the findings of this diagnosis; without those that could not be counted. */
  readonly counts: ReadonlyMap<Finding, Count>;
}

export function withCounts(diagnosis: Diagnosis, exact: ExactCounts): CountedDiagnosis {
  const exactly = (bytes: number) => ({ low: bytes, likely: bytes, high: bytes, atMost: bytes });
  const counts = new Map<Finding, Count>();
  const findings = diagnosis.findings.map((estimated) => {
    const count = exact.counts.get(estimated);
    if (!count) return estimated;
    const finding = count.complete ? { ...estimated, pinned: exactly(count.pinnedBytes) } : estimated;
    counts.set(finding, count);
    return finding;
  });
  const { stalePinnedBytes } = exact;
  const totals =
    stalePinnedBytes === null || diagnosis.stalled === 0
      ? diagnosis.totals
      : { ...diagnosis.totals, pinned: exactly(stalePinnedBytes), unbounded: 0 };
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
  const open = finder.find(file);
  if (!open || open.inode !== socket.inode)
    throw new WalkError('not-a-socket', `fd ${fd} of pid ${pid} is now another file`);
  return open;
}

function isMissing(error: unknown): error is Error {
  return error instanceof WalkError || error instanceof ReadError || error instanceof KernelError;
}

/**
 * Finds sockets without a holder in a kernel's memory: connections that are not accepted, orphans, sockets in
 * transit in a message. No descriptor refers to them, so the slabs of all protocols are scanned once for all
 * of them. (ss does not list unix connections that wait to be accepted.) A sock is identified by
 * - its cookie (`skc_cookie`, which inet_diag assigned when ss ran, unique since boot);
 * - without one, its inode number;
 * - a TCP socket of /proc/net, by its namespace and both addresses.
 */
class OwnerlessSocks {
  readonly #found: ReadonlyMap<SockKey, readonly Socket[]>;

  /** @throws {KernelError}, {@link ReadError} if slabs cannot be scanned */
  constructor(kernel: Kernel, wanted: readonly SocketRecord[]) {
    this.#found = searchSocks(
      kernel,
      wanted.map(keyOf).filter((key) => key !== null),
    );
  }

  /** @throws {WalkError} `not-a-socket` if none matches, or more than one */
  find(record: SocketRecord): Socket {
    const key = keyOf(record);
    const [socket, ...duplicates] = (key && this.#found.get(key)) ?? [];
    if (socket && duplicates.length === 0) return socket;
    const prefix = 'no process holds it, and';
    throw new WalkError(
      'not-a-socket',
      socket
        ? `${prefix} ${duplicates.length + 1} socks in kernel memory match`
        : `${prefix} no sock in kernel memory matches`,
    );
  }
}

function keyOf(record: SocketRecord): SockKey | null {
  const { cookie, inode, protocol, netns, local, peer, skmem } = record;
  // If the kernel lacks inet_diag, ss reads /proc/net/tcp: no skmem, and its `sk:` is not a cookie.
  if (skmem && /^[0-9a-f]{1,16}$/.test(cookie) && !/^0+$/.test(cookie)) return `cookie ${BigInt(`0x${cookie}`)}`;
  if (inode !== 0) return `inode ${inode}`;
  return protocol === 'TCP' && netns !== null ? endsKey(netns, unzoned(local), unzoned(peer)) : null;
}

/** ss includes the device of a link-local address: `[fe80::1%eth0]:80`, `[fe80::1]%eth0:80`. */
function unzoned(address: string): string {
  return address.replace(/%[^\]:]*/, '');
}
