import { grouped } from '../../base/util.js';
import type { NamedMemory } from '../../records/named-memory.js';
import type { HostSource } from '../host-source.js';
import { optionalText } from './process.js';

/** Maximum number of processes that are listed. */
const MAX_LISTED = 10;

/** A memory region that a process registered (ibv_reg_mr), in bytes; pid null: it exited, or is in another pid namespace. */
export interface Region {
  readonly pid: number | null;
  readonly bytes: number;
}

/**
 * Memory regions of RDMA (fill_res_mr_entry of drivers/infiniband/core/nldev.c). The kernel pins their pages, and adds them to
 * VmPin once for each region (ib_umem_get of drivers/infiniband/core/umem.c). Regions have no addresses: several may be of the
 * same pages, on one device or on many, and one with on-demand paging pins nothing. So the sum is an upper bound, and the
 * largest region of each process that its VmPin contains a lower one.
 *
 * @param pinnedOf VmPin of a process less what other kinds may have in it, in bytes
 */
export function rdmaRows(
  source: HostSource,
  regions: readonly Region[],
  pinnedOf: (pid: number) => number,
): NamedMemory[] {
  const sum = (some: readonly { readonly bytes: number }[]) => some.reduce((all, { bytes }) => all + bytes, 0);
  const mostBytes = sum(regions);
  if (mostBytes === 0) return [];
  const owners = [...grouped(regions, ({ pid }) => pid)].flatMap(([pid, own]) =>
    pid === null ? [] : [{ pid, bytes: sum(own), largest: own.reduce((most, { bytes }) => Math.max(most, bytes), 0) }],
  );
  const bytes = owners.reduce((all, one) => all + Math.min(one.largest, pinnedOf(one.pid)), 0);
  const figures = { regions: regions.length, leastBytes: bytes, mostBytes };
  const processes = owners
    .toSorted((a, b) => b.bytes - a.bytes)
    .slice(0, MAX_LISTED)
    .map((one) => ({
      pid: one.pid,
      comm: optionalText(source, `/proc/${one.pid}/comm`).trimEnd() || null,
      bytes: one.bytes,
    }));
  return [{ kind: 'pinned', name: 'RDMA', category: null, bytes, source: 'nldev (netlink)', figures, processes }];
}
