import { grouped } from '../../base/util.js';
import type { NamedMemory } from '../../records/named-memory.js';
import type { HostSource } from '../host-source.js';
import { optionalText } from './process.js';
import { pinnedBytes } from './rings.js';

/** Maximum number of processes that are listed. */
const MAX_LISTED = 10;

/** A memory region that a process registered (ibv_reg_mr), in bytes; pid null: it exited, or is in another pid namespace. */
export interface Region {
  readonly pid: number | null;
  readonly bytes: number;
}

/**
 * Memory that RDMA pins for processes with memory regions (fill_res_mr_entry of drivers/infiniband/core/nldev.c): regions, and
 * buffers of queues, whose sizes no file reports. The kernel adds each of them to VmPin (ib_umem_get of
 * drivers/infiniband/core/umem.c). Regions have no addresses: several may be of the same pages, on one device or on many, and one
 * with on-demand paging pins nothing. So the sum is an upper bound, unless VmPin is larger; and {@link leastOf} a lower one.
 *
 * @param pinnedOf VmPin of a process less what other kinds may have in it, in bytes
 */
export function rdmaRows(
  source: HostSource,
  regions: readonly Region[],
  pinnedOf: (pid: number) => number,
): NamedMemory[] {
  const sum = (some: readonly { readonly bytes: number }[]) => some.reduce((all, { bytes }) => all + bytes, 0);
  const regionBytes = sum(regions);
  if (regionBytes === 0) return [];
  const owners = [...grouped(regions, ({ pid }) => pid)].flatMap(([pid, own]) =>
    pid === null ? [] : [{ pid, bytes: sum(own), least: leastOf(own, pinnedOf(pid)) }],
  );
  const bytes = owners.reduce((all, owner) => all + owner.least, 0);
  const queueBytes = owners.reduce(
    (all, owner) => all + Math.max(0, (pinnedBytes(source, owner.pid) ?? 0) - owner.bytes),
    0,
  );
  const mostBytes = regionBytes + queueBytes;
  const figures = { regions: regions.length, leastBytes: bytes, mostBytes };
  const processes = owners
    .toSorted((a, b) => b.bytes - a.bytes)
    .slice(0, MAX_LISTED)
    .map((owner) => ({
      pid: owner.pid,
      comm: optionalText(source, `/proc/${owner.pid}/comm`).trimEnd() || null,
      bytes: owner.bytes,
    }));
  return [{ kind: 'pinned', name: 'RDMA', category: null, bytes, source: 'nldev (netlink)', figures, processes }];
}

/**
 * Least memory that RDMA pins, in bytes. VmPin consists of some of the regions, and of buffers of queues, which share no page
 * (providers of rdma-core align them to pages). Whichever regions these are, the largest of them and the buffers differ.
 */
function leastOf(regions: readonly Region[], pinned: number): number {
  let [least, left] = [pinned, pinned];
  for (const { bytes } of regions.toSorted((a, b) => a.bytes - b.bytes)) {
    left -= bytes;
    least = Math.min(least, Math.max(bytes, left));
  }
  return least;
}
