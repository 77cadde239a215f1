import { formatSize } from '../../base/size.js';
import type { CaptureOrigin } from '../../records/machine-sample.js';
import type { Mapping } from '../../records/mappings.js';
import {
  type ProcessMemoryRecord,
  type ProcessRecords,
  refusalWords,
  type SmapsSums,
} from '../../records/processes.js';
import { LARGE_BYTES } from '../../records/pss.js';
import { type Warning, Warnings } from '../../walk/warnings.js';
import { type ProcessAnswer, sumOfMappings } from './mappings.js';
import {
  type NetworkEstimate,
  ownBytes,
  ownSwap,
  type ProcessFigures,
  type ProcsAnswer,
  type PssByKind,
} from './process.js';

/** Sockets of processes as observed. */
interface SeenSockets {
  /** Returns null without permission. */
  of(pid: number): NetworkEstimate | null;
  readonly lost: readonly string[];
}

/** Facts about a captured /proc. */
export interface Capture {
  readonly captured?: CaptureOrigin | undefined;
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
  { captured, warnings: damage, why, whyMemory }: Capture = LIVE,
): ProcsAnswer {
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
  if (large.length > 0) warnings.add('pss-not-read', largeWords(large, captured !== undefined));
  const others = new Set([...blocked, ...unread, ...large].map(({ pid }) => pid));
  const rest = figures.filter(({ complete, pid }) => !complete && !others.has(pid));
  const partial = rest.filter(({ pss }) => pss !== null);
  const refused = rest.filter(({ pss }) => pss === null);
  if (refused.length > 0)
    warnings.add('unreadable', `PSS and USS of ${which(refused)} ${lacks}: ${whyMemory ?? advice}`);
  if (partial.length > 0)
    warnings.add('unreadable', `page tables of ${which(partial)} ${lacks}: no memory in /proc/PID/status`);
  if (hidden) warnings.add('unreadable', `/proc hides processes of other users (hidepid): ${advice}`);
  const processes = sockets ? figures.map((process) => withSockets(process, sockets)) : figures;
  const unseen = sockets ? processes.filter(({ network }) => network === null).length : 0;
  if (unseen > 0)
    warnings.add('unreadable', `sockets of ${unseen} ${unseen === 1 ? 'process' : 'processes'} ${lacks}: ${advice}`);
  for (const message of sockets?.lost ?? []) warnings.add('unreadable', message);
  const all = notShown + unseen + (sockets?.lost.length ?? 0) + damage.length === 0;
  return {
    kernel: undefined,
    ...(captured ? { captured } : {}),
    processes,
    kernelThreads,
    zombies,
    zombieParents: host.zombieParents,
    gone,
    notShown,
    hidden,
    warnings: warnings.list(),
    complete: all && !hidden,
  };
}

/** One process by its name, several by their number. */
function which(all: readonly Pick<ProcessFigures, 'pid' | 'comm'>[]): string {
  const [first] = all;
  return first && all.length === 1 ? `pid ${first.pid} (${first.comm})` : `${all.length} processes`;
}

const MOST_NAMED = 5;

function blockedWords(blocked: readonly ProcessMemoryRecord[]): string {
  const named = blocked.slice(0, MOST_NAMED).map(({ pid, comm }) => `pid ${pid} (${comm})`);
  const more = blocked.length - named.length;
  const list = `${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  return `PSS and USS of ${list}: reads of smaps are blocked (mmap_lock held)`;
}

function largeWords(large: readonly ProcessFigures[], isCaptured: boolean): string {
  const rss = large.reduce((sum, one) => sum + (one.rss ?? 0), 0);
  const how = isCaptured ? 'kdump-mem snapshot --pss all' : '--pss all';
  return `PSS and USS of ${which(large)} not read (more than ${formatSize(LARGE_BYTES)}; RSS ${formatSize(rss)}): ${how} reads them, and blocks the process meanwhile`;
}

function withSockets(process: ProcessFigures, sockets: SeenSockets): ProcessFigures {
  const networkEstimate = sockets.of(process.pid) ?? undefined;
  const network = networkEstimate?.likely ?? null;
  return { ...process, network, networkEstimate, complete: process.complete && networkEstimate !== undefined };
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
  return {
    ...(capture.captured ? { captured: capture.captured } : {}),
    kernel: undefined,
    process: answer.processes[0]!,
    mappings,
    warnings: [...answer.warnings, ...(contradiction ? [contradiction] : [])],
    complete: answer.complete && contradiction === undefined,
  };
}

const HELD_AGAINST = ['rss', 'pss', 'uss', 'anonymous', 'swap', 'swapPss', 'locked'] as const;

/** Checks that the sums over all lines of smaps equal the sums over mappings. */
function contradictionOf({ sums }: ProcessMemoryRecord, mappings: readonly Mapping[]): Warning | undefined {
  if (sums === null) return undefined;
  const { privateClean, privateDirty, ...total } = sumOfMappings(mappings);
  const uss = privateClean === null || privateDirty === null ? null : privateClean + privateDirty;
  const wrong = HELD_AGAINST.filter((size) => (size === 'uss' ? uss : total[size]) !== sums[size]);
  if (wrong.length === 0) return undefined;
  return {
    code: 'unreadable',
    message: `unsupported or malformed smaps: ${wrong.join(', ')} of the mappings do not add up`,
  };
}

function pssByKindOf({ pss, pssAnonymous, pssShmem }: SmapsSums): PssByKind | undefined {
  if (pssAnonymous === null || pssShmem === null) return undefined;
  // Each is rounded down to KiB separately: a negative result is a contradiction.
  const file = pss - pssAnonymous - pssShmem;
  return file < 0 ? undefined : { anonymous: pssAnonymous, shmem: pssShmem, file };
}

/**
 * VmPin counts pages of io_uring, RDMA and vdpa. VFIO counts its pages in VmLck instead: what smaps shows none of is not
 * mlocked. iommufd counts in either, AF_XDP in neither.
 */
function pinnedOf({ status, sums }: ProcessMemoryRecord): number | null {
  const pinned = status?.pinned ?? null;
  return pinned === null || sums?.locked !== 0 ? pinned : pinned + (status?.locked ?? 0);
}

function figuresOf(found: ProcessMemoryRecord): ProcessFigures {
  const { status, sums } = found;
  const sizes = {
    rss: sums?.rss ?? status?.rss ?? null,
    pss: sums?.pss ?? null,
    uss: sums?.uss ?? null,
    anonymous: sums?.anonymous ?? status?.anonymous ?? null,
    file: status?.file ?? null,
    shmem: status?.shmem ?? null,
    swap: sums?.swap ?? status?.swap ?? null,
    swapPss: sums?.swapPss ?? null,
    hugetlb: sums?.hugetlb ?? status?.hugetlb ?? null,
    pageTables: status?.pageTables ?? null,
    locked: sums?.locked ?? status?.locked ?? null,
    pinned: pinnedOf(found),
    network: null,
  };
  // One by one: for thousands of them this takes a fifth of the time of a spread.
  return {
    pid: found.pid,
    comm: found.comm,
    uid: found.uid,
    nsPids: found.nsPids,
    cgroup: found.cgroup,
    threads: found.threads,
    ageSeconds: found.ageSeconds,
    started: found.started,
    oomScore: found.oomScore,
    oomScoreAdj: found.oomScoreAdj,
    ...sizes,
    pssByKind: sums === null ? undefined : pssByKindOf(sums),
    pssUnknown: sums !== null ? undefined : found.isLarge ? 'large' : found.blocked ? 'blocked' : 'unreadable',
    freed: ownBytes(sizes, ownSwap(sizes)),
    sharedWith: found.sharedWith ?? [],
    complete: sums !== null && status !== null,
  };
}
