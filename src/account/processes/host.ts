import { formatSize, inflect } from '../../base/size.js';
import type { Mapping, ProcessAnswer } from '../../contracts/process.js';
import type { NetworkEstimate, ProcessFigures, ProcsAnswer, PssByKind } from '../../contracts/procs.js';
import { cgroupFields } from '../../records/cgroups.js';
import {
  type ProcessMemoryRecord,
  type ProcessRecords,
  pinnedOrLocked,
  refusalWords,
  type SmapsSums,
} from '../../records/processes.js';
import { BLOCKED_MS_PER_GIB, LARGE_BYTES } from '../../records/pss.js';
import { type Warning, Warnings } from '../../walk/warnings.js';
import { processAnswer, sumOfMappings } from './mappings.js';
import { type FoundProcesses, ownBytes, ownSwap } from './process.js';

/** Sockets of processes as observed. */
interface SeenSockets {
  /** Returns null without permission. */
  of(pid: number): NetworkEstimate | null;
  readonly lost: readonly string[];
}

/** Facts about a captured /proc. */
export interface Capture {
  readonly captured?: ProcsAnswer['captured'];
  /** Reasons why something may be missing. */
  readonly warnings: readonly Warning[];
  /** Why it is not more detailed, in words; undefined: missing permissions. */
  readonly why?: string;
  /** The same for mappings only. */
  readonly whyMemory?: string;
}

const LIVE: Capture = { warnings: [] };

/**
 * Returns the processes as read from /proc.
 *
 * @param sockets memory that their sockets pin, if requested
 */
export function hostProcesses(
  host: ProcessRecords,
  sockets?: SeenSockets,
  { captured = null, warnings: damage, why, whyMemory }: Capture = LIVE,
): FoundProcesses {
  const { kernelThreads, zombies, gone, hidden } = host;
  const warnings = new Warnings();
  for (const { code, message } of damage) warnings.add(code, message);
  const [lacks, advice] = captured
    ? ['were not captured', why ?? 'no permission, or the processes had exited']
    : ['are not available', refusalWords(host.reader, 'sys_ptrace')];
  const figures = host.processes.map(figuresOf);
  const notShown = figures.filter(({ complete }) => !complete).length;
  const blocked = host.processes.filter((process) => process.blocked);
  if (blocked.length > 0) warnings.add('unreadable', blockedWords(blocked));
  const unread = captured ? [] : host.processes.filter((process) => process.unread !== undefined);
  const [first] = unread;
  if (first?.unread !== undefined)
    warnings.add('unreadable', `PSS and USS of ${which(unread)} ${lacks}: ${first.unread}`);
  const large = figures.filter(({ pssUnknown }) => pssUnknown === 'large');
  if (large.length > 0) warnings.add('pss-not-read', largeWords(large, captured !== null));
  const others = new Set([...blocked, ...unread, ...large].map(({ pid }) => pid));
  const rest = figures.filter(({ complete, pid }) => !complete && !others.has(pid));
  const partial = rest.filter(({ pssBytes }) => pssBytes !== null);
  const refused = rest.filter(({ pssBytes }) => pssBytes === null);
  if (refused.length > 0)
    warnings.add('unreadable', `PSS and USS of ${which(refused)} ${lacks}: ${whyMemory ?? advice}`);
  if (partial.length > 0)
    warnings.add('unreadable', `page tables of ${which(partial)} ${lacks}: no memory in /proc/PID/status`);
  if (hidden) warnings.add('unreadable', `/proc hides processes of other users (hidepid): ${advice}`);
  const processes = sockets ? figures.map((process) => withSockets(process, sockets)) : figures;
  const unseen = sockets ? processes.filter(({ networkPinnedBytes }) => networkPinnedBytes === null).length : 0;
  if (unseen > 0)
    warnings.add('unreadable', `sockets of ${unseen} ${inflect(unseen, 'process', 'processes')} ${lacks}: ${advice}`);
  for (const message of sockets?.lost ?? []) warnings.add('unreadable', message);
  const all = notShown + unseen + (sockets?.lost.length ?? 0) + damage.length === 0;
  return {
    kernel: null,
    source: 'proc',
    captured,
    origin: null,
    processes,
    kernelThreads,
    zombies,
    zombieParents: zombieParents(host),
    exited: gone,
    omitted: notShown,
    hidden,
    pages: null,
    complete: all && !hidden,
    warnings: warnings.list(),
  };
}

const MAX_PARENTS = 20;

function zombieParents({ processes, zombieParents: parents }: ProcessRecords): ProcsAnswer['zombieParents'] {
  if (parents === undefined) return null;
  const names = new Map(processes.map(({ pid, comm }) => [pid, comm]));
  return parents.slice(0, MAX_PARENTS).map(({ pid, zombies }) => ({ pid, comm: names.get(pid) ?? null, zombies }));
}

/** One process by its name, several by their number. */
function which(all: readonly Pick<ProcessFigures, 'pid' | 'comm'>[]): string {
  const [first] = all;
  return first && all.length === 1 ? `pid ${first.pid} (${first.comm})` : `${all.length} processes`;
}

const MAX_NAMED = 5;

function blockedWords(blocked: readonly ProcessMemoryRecord[]): string {
  const named = blocked.slice(0, MAX_NAMED).map(({ pid, comm }) => `pid ${pid} (${comm})`);
  const more = blocked.length - named.length;
  const list = `${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  return `PSS and USS of ${list}: reads of smaps are blocked (mmap_lock held)`;
}

function largeWords(large: readonly ProcessFigures[], isCaptured: boolean): string {
  const rss = large.reduce((sum, process) => sum + (process.rssBytes ?? 0), 0);
  const how = isCaptured ? 'kdump-mem snapshot --pss all' : '--pss all';
  const largest = Math.max(...large.map(({ rssBytes, swapBytes }) => (rssBytes ?? 0) + (swapBytes ?? 0)));
  const milliseconds = Math.ceil((largest / 2 ** 30) * BLOCKED_MS_PER_GIB);
  return `PSS and USS of ${which(large)} not read (more than ${formatSize(LARGE_BYTES)}; RSS ${formatSize(rss)}): RSS is an upper bound; ${how} reads them, and blocks ${inflect(large.length, 'it', 'each')} for up to about ${milliseconds} ms (it can map no memory meanwhile)`;
}

function withSockets(process: ProcessFigures, sockets: SeenSockets): ProcessFigures {
  const networkEstimate = sockets.of(process.pid);
  const complete = process.complete && networkEstimate !== null;
  return { ...process, networkPinnedBytes: networkEstimate?.likelyBytes ?? null, networkEstimate, complete };
}

/** Returns the figures of one process from /proc/PID/smaps and the other files of /proc/PID. */
export function hostProcess(
  process: ProcessMemoryRecord,
  mappings: readonly Mapping[],
  sockets?: SeenSockets,
  capture: Capture = LIVE,
): ProcessAnswer {
  const alone = { kernelThreads: 0, zombies: 0, gone: 0, hidden: false };
  const answer = hostProcesses({ processes: [process], ...alone }, sockets, capture);
  const contradiction = contradictionOf(process, mappings);
  return processAnswer(answer, answer.processes[0]!, mappings, {
    complete: answer.complete && contradiction === undefined,
    warnings: [...answer.warnings, ...(contradiction ? [contradiction] : [])],
  });
}

/** Checks that the sums over all lines of smaps equal the sums over mappings. */
function contradictionOf({ sums }: ProcessMemoryRecord, mappings: readonly Mapping[]): Warning | undefined {
  if (sums === null) return undefined;
  const { privateCleanBytes: clean, privateDirtyBytes: dirty, ...total } = sumOfMappings(mappings);
  const added = {
    rss: total.rssBytes,
    pss: total.pssBytes,
    uss: clean === null || dirty === null ? null : clean + dirty,
    anonymous: total.anonBytes,
    swap: total.swapBytes,
    swapPss: total.swapPssBytes,
    locked: total.lockedBytes,
  };
  const wrong = (Object.keys(added) as (keyof typeof added)[]).filter((size) => added[size] !== sums[size]);
  if (wrong.length === 0) return undefined;
  return {
    code: 'unreadable',
    message: `unsupported or malformed smaps: ${wrong.join(', ')} of the mappings do not add up`,
  };
}

function pssByKindOf({ pss, pssAnonymous, pssShmem }: SmapsSums): PssByKind | null {
  if (pssAnonymous === null || pssShmem === null) return null;
  // Each is rounded down to KiB separately: a negative result is a contradiction.
  const file = pss - pssAnonymous - pssShmem;
  return file < 0 ? null : { anonBytes: pssAnonymous, shmemBytes: pssShmem, fileBytes: file };
}

/**
 * VmPin counts pages of io_uring, RDMA, vdpa and iommufd. VFIO counts its pages in VmLck instead: what smaps shows none of is
 * not mlocked. AF_XDP counts in neither. Null: smaps of a process with locked pages was not read.
 */
function pinnedOf({ status, sums }: ProcessMemoryRecord): number | null {
  const [pinned, locked] = [status?.pinned ?? null, status?.locked ?? 0];
  if (pinned === null || locked === 0) return pinned;
  if (sums === null) return pinned === locked ? pinned : null;
  return sums.locked === 0 ? pinnedOrLocked(pinned, locked) : pinned;
}

function figuresOf(record: ProcessMemoryRecord): ProcessFigures {
  const { status, sums } = record;
  const sizes = {
    rssBytes: sums?.rss ?? status?.rss ?? null,
    pssBytes: sums?.pss ?? null,
    ussBytes: sums?.uss ?? null,
    anonBytes: sums?.anonymous ?? status?.anonymous ?? null,
    fileBytes: status?.file ?? null,
    shmemBytes: status?.shmem ?? null,
    swapBytes: sums?.swap ?? status?.swap ?? null,
    swapPssBytes: sums?.swapPss ?? null,
    hugetlbBytes: sums?.hugetlb ?? status?.hugetlb ?? null,
    pageTableBytes: status?.pageTables ?? null,
    lockedBytes: sums?.locked ?? status?.locked ?? null,
    pinnedBytes: pinnedOf(record),
    networkPinnedBytes: null,
  };
  // One by one: for thousands of them this takes a fifth of the time of a spread.
  return {
    pid: record.pid,
    comm: record.comm,
    uid: record.uid,
    nsPids: record.nsPids,
    ...cgroupFields(record.cgroup),
    ...sizes,
    freedIfKilledBytes: ownBytes(sizes, ownSwap(sizes)),
    pssUnknown: sums !== null ? null : record.isLarge ? 'large' : record.blocked ? 'blocked' : 'unreadable',
    pssByKind: sums === null ? null : pssByKindOf(sums),
    networkEstimate: null,
    threads: record.threads,
    oomScore: record.oomScore,
    oomScoreAdj: record.oomScoreAdj,
    ageSeconds: record.ageSeconds,
    startTicks: record.started,
    sharedWith: record.sharedWith ?? [],
    complete: sums !== null && status !== null,
  };
}
