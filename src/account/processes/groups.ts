import { grouped } from '../../base/util.js';
import type { PressureLine } from '../../contracts/common.js';
import type {
  CgroupFigures,
  ProcessFigures,
  ProcessGroup,
  ProcessSizes,
  ProcessTotal,
  ProcsAnswer,
} from '../../contracts/procs.js';
import type { CgroupMemory } from '../../records/cgroups.js';
import { PROCESS_SIZES, type ProcessSize } from '../../records/processes.js';
import { type FoundProcesses, ownSwap } from './process.js';

/** Ways to group processes. */
export const GROUPINGS = ['user', 'cgroup', 'pod', 'container', 'command'] as const;

export type ProcessGrouping = (typeof GROUPINGS)[number];

/** A group and its processes. */
interface Members {
  readonly group: ProcessGroup;
  readonly members: readonly ProcessFigures[];
}

/**
 * Sums of processes by a common property. RSS counts shared pages in each process: only PSS, USS, swap and
 * page tables sum to memory.
 *
 * @param nameOf the name of a user by its number
 * @param killedTogether memory freed by killing each complete group
 */
export function groupsOf(
  processes: readonly ProcessFigures[],
  by: ProcessGrouping,
  nameOf: (uid: number) => string,
  killedTogether: KilledTogether,
): Members[] {
  const groups = [...grouped(processes, (process) => keyOf(process, by, nameOf))];
  const bounds = killedTogether(groups.map(([, own]) => own));
  return groups.map(([key, own], at) => {
    const { least = null, most = null } = bounds[at] ?? {};
    const { networkEstimated, complete, ...sums } = totalOf(own);
    const freed = { freedIfKilledBytes: least, freedIfKilledMostBytes: most };
    return { group: { key, ...sums, ...freed, networkEstimated, complete }, members: own };
  });
}

/** Processes of one name: many small ones can use more than a large one. */
export interface LargestProgram {
  /** The process of them that uses most. */
  readonly pid: number;
  readonly comm: string | null;
  readonly processes: number;
  readonly amount: number;
}

/**
 * Returns the program that uses most of something that adds up. Undefined: none uses any.
 *
 * @param most all there is: processes that share memory (vfork) can add up to more, and are not added
 */
export function largestProgram(
  all: Iterable<Omit<LargestProgram, 'processes'>>,
  most = Number.POSITIVE_INFINITY,
): LargestProgram | undefined {
  const programs = [...grouped(all, ({ pid, comm }) => comm ?? pid).values()].flatMap((members) => {
    const [first] = members.toSorted((a, b) => b.amount - a.amount);
    const amount = members.reduce((sum, member) => sum + member.amount, 0);
    if (!first || amount === 0) return [];
    return amount > most ? { ...first, processes: 1 } : { ...first, processes: members.length, amount };
  });
  return programs.toSorted((a, b) => b.amount - a.amount)[0];
}

/** Things of processes that share some of them, by program. */
interface ProgramCount {
  /** The process of them that has most. */
  readonly pid: number;
  readonly comm: string | null;
  readonly count: number;
  /** Number of processes, if there are several. */
  readonly processes?: number;
}

/**
 * Counts things by program, the largest first. What several processes have counts once, for the one that has most.
 *
 * @param all each process with what it has
 */
export function countByProgram(
  all: readonly (readonly [pid: number, things: ReadonlySet<unknown>])[],
  commOf: (pid: number) => string | null,
): ProgramCount[] {
  const seen = new Set<unknown>();
  const counted = all
    .toSorted(([, a], [, b]) => b.size - a.size)
    .map(([pid, things]) => {
      const own = [...things].filter((thing) => !seen.has(thing));
      for (const thing of own) seen.add(thing);
      return { pid, comm: commOf(pid), count: own.length };
    })
    .filter(({ count }) => count > 0);
  return [...grouped(counted, ({ pid, comm }) => comm ?? pid).values()]
    .flatMap((members): ProgramCount[] => {
      const [largest] = members.toSorted((a, b) => b.count - a.count);
      const count = members.reduce((sum, program) => sum + program.count, 0);
      return largest ? [{ ...largest, count, ...(members.length > 1 ? { processes: members.length } : {}) }] : [];
    })
    .toSorted((a, b) => b.count - a.count);
}

/** Sums of processes. */
function totalOf(processes: readonly ProcessFigures[]): ProcessTotal {
  const sums = Object.fromEntries(PROCESS_SIZES.map((size) => [size, sumOf(processes, size)]));
  return {
    processes: processes.length,
    ...(sums as ProcessSizes),
    withoutPss: withoutPss(processes),
    partialSizes: PROCESS_SIZES.filter((size) => processes.some((process) => isPartial(process, size))),
    networkEstimated: processes.some(({ networkEstimate }) => networkEstimate !== null),
    complete: processes.every(({ complete }) => complete),
  };
}

/** Whether a size is missing or, where other figures of the process contradict each other, may be too small. */
function isPartial(process: ProcessFigures, size: ProcessSize): boolean {
  return process[size] === null || (!process.complete && process.pssBytes !== null && process.rssBytes !== null);
}

function withoutPss(processes: readonly ProcessFigures[]): ProcessTotal['withoutPss'] {
  const lacking = processes.filter(({ pssBytes }) => pssBytes === null);
  return { processes: lacking.length, rssBytes: lacking.reduce((sum, { rssBytes: rss }) => sum + (rss ?? 0), 0) };
}

/** Returns the sum of the known sizes; null if none is known. */
function sumOf(processes: readonly ProcessFigures[], size: ProcessSize): number | null {
  let sum: number | null = null;
  for (const process of processes) {
    const own = process[size];
    if (own !== null) sum = (sum ?? 0) + own;
  }
  return sum;
}

function keyOf(
  { comm, uid, cgroup, pod, container }: ProcessFigures,
  by: ProcessGrouping,
  nameOf: (uid: number) => string,
): string | null {
  switch (by) {
    case 'command':
      return comm;
    case 'user':
      return uid === null ? null : nameOf(uid);
    case 'cgroup':
      return cgroup;
    case 'pod':
      return pod;
    case 'container':
      return container;
  }
}

/** Bytes that killing a complete group frees; null: unknown. */
export interface KillBounds {
  readonly least: number | null;
  readonly most: number | null;
}

/** Memory that killing all processes of each group frees. */
export type KilledTogether = (groups: readonly (readonly ProcessFigures[])[]) => KillBounds[];

/**
 * Computes bounds from the shares that the kernel reports. Upper bound: a freed page has all its mappings in
 * the group, so that the PSS of the group includes all of it; the maximum is the sum of PSS. Lower bound: a
 * page that is mapped outside the group as well adds to the PSS of the group at most the difference between
 * RSS and PSS that it causes outside: with k mappings, j of them outside, its part in the group is (k - j)/k
 * <= j(k - 1)/k. The PSS of the group in excess of these differences is therefore the group's own. This holds
 * only for anonymous memory, and only if all its sharers (children of one process, KSM) are visible.
 */
export function killedByShares(answer: FoundProcesses): KilledTogether {
  const all = answer.processes;
  // Kernel threads, and all processes, are visible only in the initial pid namespace.
  const seen = !answer.hidden && (answer.kernel !== null || answer.kernelThreads > 0);
  const anonymous = seen ? sharedParts(all, ({ anonBytes, pssByKind }) => [anonBytes, pssByKind?.anonBytes]) : null;
  const swap = seen ? sharedParts(all, ({ swapBytes, swapPssBytes }) => [swapBytes, swapPssBytes]) : null;
  return (groups) => groups.map((members) => boundsOf(members, anonymous, swap));
}

/**
 * For each process the part of its size that is shared according to PSS; all of it if PSS is unknown. Null:
 * the size of one is unknown.
 */
function sharedParts(
  processes: readonly ProcessFigures[],
  of: (process: ProcessFigures) => readonly [number | null, number | null | undefined],
): ReadonlyMap<ProcessFigures, number> | null {
  const parts = new Map<ProcessFigures, number>();
  for (const process of processes) {
    const [whole, share] = of(process);
    if (whole === null) return null;
    parts.set(process, Math.max(whole - (share ?? 0), 0));
  }
  return parts;
}

function boundsOf(
  members: readonly ProcessFigures[],
  anonymous: ReadonlyMap<ProcessFigures, number> | null,
  swap: ReadonlyMap<ProcessFigures, number> | null,
): KillBounds {
  const known = members.filter(({ freedIfKilledBytes }) => freedIfKilledBytes !== null);
  if (known.length === 0) return { least: null, most: null };
  const own = sum(known, ({ ussBytes }) => ussBytes);
  const pages = anonymous
    ? sum(known, ({ ussBytes, pssByKind }) => Math.max(ussBytes ?? 0, pssByKind?.anonBytes ?? 0)) -
      outside(anonymous, members)
    : 0;
  // Beside USS and swap: page tables, and in a dump the memory that only their sockets hold.
  const others = sum(known, (process) => process.freedIfKilledBytes! - process.ussBytes! - (ownSwap(process) ?? 0));
  const least = Math.max(own, pages) + others + leastSwap(known, members, swap);
  const whole = known.length === members.length && members.every(({ pssBytes }) => pssBytes !== null);
  const most = sum(members, ({ pssBytes, swapBytes }) => (pssBytes ?? 0) + (swapBytes ?? 0)) + others;
  // Shares are rounded down.
  return { least, most: whole ? Math.max(most, least) : null };
}

/**
 * Returns a lower bound of freed swap. A shared entry is freed with its last user, and counts for each of
 * them.
 */
function leastSwap(
  known: readonly ProcessFigures[],
  members: readonly ProcessFigures[],
  parts: ReadonlyMap<ProcessFigures, number> | null,
): number {
  const alone = sum(known, ownSwap);
  if (parts === null) return alone;
  return Math.max(alone, sum(known, ({ swapPssBytes }) => swapPssBytes) - outside(parts, members));
}

function outside(parts: ReadonlyMap<ProcessFigures, number>, members: readonly ProcessFigures[]): number {
  let all = 0;
  for (const part of parts.values()) all += part;
  return all - sum(members, (member) => parts.get(member) ?? 0);
}

function sum(processes: readonly ProcessFigures[], of: (process: ProcessFigures) => number | null): number {
  return processes.reduce((total, process) => total + (of(process) ?? 0), 0);
}

/** Sort orders of processes: largest first. */
export type ProcessSort = ProcessSize | 'threads' | 'ageSeconds' | 'oomScore' | 'oomScoreAdj';

/** Process filter; undefined fields select all. */
export interface Choice {
  readonly sort?: ProcessSort | undefined;
  readonly by?: ProcessGrouping | undefined;
  readonly select?: ((process: ProcessFigures) => boolean) | undefined;
}

/** The answer of `procs` to a choice, and what its text and limits need beside it. */
export interface ChosenProcs {
  readonly answer: ProcsAnswer;
  readonly sort: ProcessSort;
  readonly hidden: boolean;
  /** Processes of each of the answer’s groups. */
  readonly members: readonly (readonly ProcessFigures[])[];
}

/**
 * @param nameOf returns the name of a user by id
 * @param killedTogether returns exact figures, if more than shares is known
 */
export function chosen(
  survey: FoundProcesses,
  { sort = 'freedIfKilledBytes', by, select = () => true }: Choice,
  nameOf: (uid: number) => string,
  killedTogether: KilledTogether = killedByShares(survey),
): ChosenProcs {
  const { hidden, kernel, source, captured, origin, processes: all, ...others } = survey;
  const processes = all
    .filter(select)
    .toSorted(
      (a, b) => sortKey(b, sort) - sortKey(a, sort) || (b.rssBytes ?? -1) - (a.rssBytes ?? -1) || a.pid - b.pid,
    );
  const size = PROCESS_SIZES.find((known) => known === sort) ?? 'freedIfKilledBytes';
  const groups =
    by && groupsOf(processes, by, nameOf, killedTogether).toSorted((a, b) => groupKey(b, size) - groupKey(a, size));
  const answer: ProcsAnswer = {
    schema: 'kdump-mem.procs/1',
    kernel,
    source,
    captured,
    origin,
    allListed: !hidden && processes.length === all.length,
    processes,
    total: totalOf(processes),
    ...(groups && { groups: groups.map(({ group }) => group) }),
    ...others,
  };
  return { answer, sort, hidden, members: groups?.map(({ members }) => members) ?? [] };
}

/** Adds the memory that the kernel charges to the cgroup of each group. @param read null: not readable */
export function withCgroups(picked: ChosenProcs, read: (path: string) => CgroupMemory | null): ChosenProcs {
  const memoryOf = (key: string | null) => (key === null ? null : read(key));
  const groups = picked.answer.groups?.map((group) => ({ ...group, cgroup: cgroupFigures(memoryOf(group.key)) }));
  return groups ? { ...picked, answer: { ...picked.answer, groups } } : picked;
}

function cgroupFigures(memory: CgroupMemory | null): CgroupFigures | null {
  if (!memory) return null;
  const { current, pressure, highEvents, maxEvents, oomKills } = memory;
  const stalls = ({ avg10, avg60, avg300 }: PressureLine) => ({ avg10, avg60, avg300 });
  return {
    currentBytes: current,
    peakBytes: memory.peak,
    limitBytes: memory.limit,
    limitCgroup: memory.limitOf,
    limitKnown: memory.limitKnown,
    highBytes: memory.high,
    anonBytes: memory.anonymous,
    fileBytes: memory.file,
    shmemBytes: memory.shmem,
    kernelBytes: memory.kernel,
    slabBytes: memory.slab,
    sockBytes: memory.sock,
    sockThrottled: memory.sockThrottled,
    activeFileBytes: memory.activeFile,
    inactiveFileBytes: memory.inactiveFile,
    reclaimableBytes: memory.reclaimable,
    highEvents,
    maxEvents,
    oomKills,
    pressureFull: pressure && stalls(pressure.full),
    pressureSome: pressure && stalls(pressure.some),
  };
}

/** Sizes that are part of RSS, which any user may read: if one is unknown, RSS is its maximum. */
const PARTS_OF_RSS: ReadonlySet<ProcessSort> = new Set<ProcessSort>([
  'freedIfKilledBytes',
  'ussBytes',
  'pssBytes',
  'anonBytes',
  'fileBytes',
  'shmemBytes',
  'lockedBytes',
  'pinnedBytes',
]);

/** Estimated memory in socket queues, which what a kill frees does not include; 0: unknown, or no estimate. */
export const estimatedSockets = ({
  networkEstimate,
  networkPinnedBytes,
}: Pick<ProcessFigures, 'networkEstimate' | 'networkPinnedBytes'>): number =>
  networkEstimate ? (networkPinnedBytes ?? 0) : 0;

/**
 * Returns the sort key of a process. An unknown part of RSS counts as all of RSS, so that no limit hides the
 * largest process. Estimated sockets are not in what a kill frees, but count too.
 */
function sortKey(process: ProcessFigures, sort: ProcessSort): number {
  const sockets = sort === 'freedIfKilledBytes' ? estimatedSockets(process) : 0;
  return (process[sort] ?? (PARTS_OF_RSS.has(sort) ? process.rssBytes : null) ?? -1) + sockets;
}

/**
 * Returns the sort key of a group: its figure, or the sum of its processes' sort keys if a figure is unknown.
 */
function groupKey({ group, members }: Members, size: ProcessSize): number {
  const sockets = size === 'freedIfKilledBytes' && group.networkEstimated ? (group.networkPinnedBytes ?? 0) : 0;
  if (members.every((process) => process[size] !== null)) return (group[size] ?? -1) + sockets;
  return members.reduce((sum, process) => sum + Math.max(sortKey(process, size), 0), 0);
}
