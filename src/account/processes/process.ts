import { WalkError } from '../../base/errors.js';
import { formatCount } from '../../base/size.js';
import type { Pressure } from '../../contracts/common.js';
import type { ProcessSample } from '../../contracts/growth.js';
import type { DescriptorsAnswer } from '../../contracts/process.js';
import type { KindOfPages, MachinePages, ProcessFigures, ProcessSizes, ProcsAnswer } from '../../contracts/procs.js';
import { cgroupFields } from '../../records/cgroups.js';
import type { Descriptors } from '../../records/files.js';
import type { ProcessMemoryRecord } from '../../records/processes.js';
import { KIND } from '../../walk/memory/page-kinds.js';
import { leavesComplete, type Warning } from '../../walk/warnings.js';

/** Returns the memory that is freed when a process exits, excluding memory of its sockets. */
export function ownBytes(
  { ussBytes, pageTableBytes }: Pick<ProcessSizes, 'ussBytes' | 'pageTableBytes'>,
  swap: number | null,
): number | null {
  return ussBytes === null || swap === null || pageTableBytes === null ? null : ussBytes + swap + pageTableBytes;
}

/** Lower bound of the swap that no other process has: a shared entry counts at most half in its share. */
export function ownSwap({ swapBytes, swapPssBytes }: Pick<ProcessSizes, 'swapBytes' | 'swapPssBytes'>): number | null {
  return swapBytes === null ? null : Math.max(2 * (swapPssBytes ?? 0) - swapBytes, 0);
}

/**
 * Returns the only selected process.
 *
 * @throws {WalkError} `no-such-pid` if there is none, or several
 */
export function onlyOne(
  processes: readonly ProcessFigures[],
  select: (process: ProcessFigures) => boolean,
): ProcessFigures {
  const [first, ...others] = processes.filter(select);
  if (!first) throw new WalkError('no-such-pid', 'no process matches --pid and --container');
  if (others.length > 0) {
    const pids = [first, ...others].map(({ pid }) => pid).join(', ');
    throw new WalkError(
      'no-such-pid',
      `--pid and --container match several processes (pid ${pids} on the host): give more of the container’s id`,
    );
  }
  return first;
}

/** Returns the answer to `procs --pid --fds`. @param known warnings of the reader; default: it counts unreadable descriptors alone */
export function descriptorsAnswer(
  { pid, comm, count, limit, groups, passed, unreadable }: Descriptors,
  known: readonly Warning[] = [],
): DescriptorsAnswer {
  const message = `${formatCount(unreadable)} descriptors of pid ${pid} could not be read: their kind is unknown`;
  const warnings = unreadable > 0 ? [...known, { code: 'unreadable', message } as const] : known;
  const complete = warnings.every(leavesComplete);
  return { schema: 'kdump-mem.process-fds/1', pid, comm, count, limit, groups, passed, complete, warnings };
}

/** All processes of a kernel or a host: the answer to `procs` before a choice, without sums. */
export interface FoundProcesses extends Omit<ProcsAnswer, 'schema' | 'allListed' | 'total' | 'groups'> {
  /** Whether /proc hides an unknown number of other processes (hidepid). */
  readonly hidden: boolean;
}

/** Returns a process as it is followed from sample to sample. */
export function processSample(record: ProcessMemoryRecord, cgroupPressure: Pressure | null): ProcessSample {
  const { pid, comm, nsPids, cgroup, started: startTicks, readAt: uptimeSeconds, minorFaults, majorFaults } = record;
  return {
    pid,
    comm,
    nsPids,
    ...cgroupFields(cgroup),
    startTicks,
    uptimeSeconds,
    ...heldBy(record),
    minorFaults,
    majorFaults,
    cgroupPressure,
  };
}

type Held = Pick<ProcessSample, 'heldBytes' | 'takenBytes' | 'heldBy'>;

function heldBy({ sums, status }: ProcessMemoryRecord): Held {
  const tables = status?.pageTables ?? null;
  return (
    held('pss', sums?.pssAnonymous, sums?.pssShmem, sums?.swapPss, tables) ??
    // Without permission for PSS, and before 5.4.
    held('rss', status?.anonymous, status?.shmem, status?.swap, tables) ??
    UNKNOWN_HELD
  );
}

export const UNKNOWN_HELD: Held = { heldBytes: null, takenBytes: null, heldBy: null };

function held(
  by: 'pss' | 'rss',
  anonymous: number | null = null,
  shmem: number | null = null,
  swap: number | null = null,
  tables: number | null = null,
): Held | null {
  if (anonymous === null || shmem === null || swap === null || tables === null) return null;
  const inMemory = anonymous + shmem;
  return { heldBytes: inMemory + swap, takenBytes: inMemory + tables, heldBy: by };
}

/**
 * Mapped and unmapped memory of the machine by kind: the PSS of all processes sums to the mapped part, without hugetlb.
 * Other mapped memory is the kernel's own: code, clocks, rings.
 *
 * @param kinds kind of each frame
 * @param isMapped whether a process maps it
 */
export function machinePages(kinds: Uint8Array, isMapped: (index: number) => boolean, pageSize: number): MachinePages {
  const [mapped, all] = [new Float64Array(256), new Float64Array(256)];
  let other = 0;
  for (let index = 0; index < kinds.length; index++) {
    const kind = kinds[index]!;
    all[kind]!++;
    if (!isMapped(index)) continue;
    mapped[kind]!++;
    if (!LISTED_KINDS.has(kind)) other++;
  }
  const of = (kind: number): KindOfPages => ({
    mappedBytes: mapped[kind]! * pageSize,
    unmappedBytes: (all[kind]! - mapped[kind]!) * pageSize,
  });
  return {
    anonymous: of(KIND.anonymous),
    swapCache: of(KIND['swap-cache']),
    pageCache: of(KIND.file),
    shared: of(KIND.shmem),
    hugetlb: of(KIND.hugetlb),
    otherMappedBytes: other * pageSize,
  };
}

const LISTED_KINDS: ReadonlySet<number> = new Set([
  KIND.anonymous,
  KIND['swap-cache'],
  KIND.file,
  KIND.shmem,
  KIND.hugetlb,
]);

export interface SwapEntry {
  readonly type: number;
  readonly offset: number;
}

/** Maximum number of swapped pages whose sharers are determined: 16 GiB. */
export const MAX_ENTRIES = 2 ** 22;

/** Offsets have 50 bits, of which a swap area of 2^47 bytes uses 35. */
export function swapKey({ type, offset }: SwapEntry): number {
  return type * 2 ** 47 + (offset % 2 ** 47);
}
