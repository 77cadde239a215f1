import { KernelError, ReadError, readOrNot, unsupportedLayout } from '../../base/errors.js';
import type { ProcessFigures, ProcsAnswer, PssByKind } from '../../contracts/procs.js';
import { kernelIdentity } from '../../kernel/identity.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cgroupFields, placeOf } from '../../records/cgroups.js';
import { KINDS, type PageKind } from '../../records/page-kinds.js';
import { type ClockFacts, readClock } from '../../walk/machine/clock.js';
import { type FrameScan, scanFrames, withoutKernelPages } from '../../walk/memory/frame-scan.js';
import { FrameMap } from '../../walk/memory/page-array.js';
import { KIND } from '../../walk/memory/page-kinds.js';
import { onlineRanges, ramRanges } from '../../walk/memory/ram.js';
import { cpuListFrames, FreeLists, zones } from '../../walk/memory/zones.js';
import {
  type AddressSpace,
  addressSpaces,
  LockedPageReader,
  ResidentCountReader,
  spaceName,
} from '../../walk/processes/address-spaces.js';
import { ProcessFactReader } from '../../walk/processes/process-facts.js';
import { CgroupReader } from '../../walk/tasks/cgroup.js';
import { reportedTasks, taskTable } from '../../walk/tasks/task-table.js';
import { Warnings } from '../../walk/warnings.js';
import type { KilledWith } from '../kill-impact.js';
import { kernelCounts } from '../memory/counters.js';
import { checkFrames } from '../memory/frame-checks.js';
import { hugePages, type MappedBy } from '../memory/huge-pages.js';
import { codeOf } from '../memory/missed.js';
import { accountAll, type CensusOptions } from '../sockets.js';
import { type KillBounds, type KilledTogether, killedByShares } from './groups.js';
import { checkMapcounts, countsAgree, UnmappedPages } from './map-checks.js';
import { type MappedPages, MappingCounts, type ResidentPages } from './mapped-pages.js';
import type { Mapped } from './mappings.js';
import { type FoundProcesses, ownBytes } from './process.js';

/** All processes of a kernel, and their mappings. */
export interface ProcessSurvey extends Mapped {
  readonly answer: FoundProcesses;
  /** Computed from page tables and sockets, in another pass over both. */
  readonly killedTogether: KilledTogether;
}

/** What to count beside the figures that page tables have. */
export interface SurveyOptions {
  /** Zeros in transparent huge pages, whose content is read. */
  readonly huge?: boolean | undefined;
}

/** Memory of each process. @throws as surveyProcesses */
export function kernelProcesses(kernel: Kernel, progress: (part: number) => void = () => {}): FoundProcesses {
  return surveyProcesses(kernel, progress).answer;
}

/**
 * Memory of each process by its page tables, and memory pinned by its sockets by the census.
 *
 * @param progress called with the completed part, 0 to 1
 * @param options what to count beside
 * @throws {KernelError} `unsupported-layout` if the engine walks no page tables; `no-symbols`, `damaged`;
 * {@link ReadError}: processes, RAM or its struct pages cannot be found
 */
export function surveyProcesses(
  kernel: Kernel,
  progress: (part: number) => void,
  options: SurveyOptions = {},
): ProcessSurvey {
  if (!kernel.userPages) throw unsupportedLayout('this engine does not walk page tables of processes');
  const warnings = new Warnings(kernel.doubts);
  const lost = (message: string) => warnings.add('unreadable', message);
  const ram = ramRanges(kernel, lost);
  const frames = new FrameMap(onlineRanges(kernel, ram, lost));
  const scan = scanFrames(kernel, frames, (part) => progress(part / 2), FreeLists.of(kernel));
  if (scan.unread + scan.torn > 0)
    lost(`the struct pages of ${scan.unread + scan.torn} page frames are unreadable or inconsistent`);
  const places = readOrNot(() => zones(kernel)) ?? [];
  const counted = kernelCounts(kernel, undefined, scan.deferred);
  checkFrames(kernel, { scan, frames: frames.size, counts: counted, places }, warnings);
  // Figures of free memory that contradict each other are no verdict.
  const machine = warnings.complete ? freeMemory(kernel, scan) : undefined;
  let missing = 0;
  const { lost: lostTasks } = reportedTasks(kernel, warnings);
  const spaces = addressSpaces(kernel, ({ pid }, error) => {
    missing++;
    warnings.add(codeOf(error), `pid ${pid} is not listed: ${(error as Error).message}`);
  });
  const counts = new MappingCounts(kernel, frames, scan);
  const whole = new Map<AddressSpace, ResidentPages>();
  const alone = options.huge ? new SoleOwners(frames.size, spaces) : undefined;
  for (const [at, space] of spaces.entries()) {
    try {
      whole.set(space, counts.add(space, alone && ((index) => alone.note(index, at))));
    } catch (error) {
      warnings.add(codeOf(error), `${spaceName(space)}: ${(error as Error).message}`);
    }
  }
  // If one process is missing or unreadable, shares of the others are unknown.
  const shares = whole.size === spaces.length && missing === 0 && lostTasks === undefined;
  checkMapcounts(kernel, counts, shares ? spaces : undefined, warnings);
  const zeros = alone && zerosByPid(kernel, { frames, scan }, alone, warnings);
  const network = networkOf(kernel, warnings, {
    progress: (part) => progress((1 + part) / 2),
    isKnown: withoutKernelPages(kernel, frames, scan),
  });
  const reader = new Reader(kernel, (counted.get('all-locked') ?? 0) > 0, new UnmappedPages(kernel, counts), warnings);
  // Shared entries are freed with their last user: this needs one more pass over all page tables.
  const numbers = new Map(spaces.map((space, at) => [space, at]));
  const swapped = [...whole.values()].some(({ swapped }) => swapped !== 0);
  const swappedAlone =
    shares && swapped ? counts.together(spaces, spaces.length, (space) => numbers.get(space)) : undefined;
  const processes = spaces.map((space, at) => {
    const own = network?.get(space.processes[0]?.pid ?? 0);
    const pages = whole.get(space);
    const figures = reader.figures(space, pages && { ...pages, ...counts.of(space) }, {
      // A process without sockets pins nothing.
      pinned: network && (own?.pinned ?? 0),
      freed: network && (own?.freed ?? 0),
      shares,
      ...(swappedAlone && { swapAlone: swappedAlone[at]?.swapped ?? 0 }),
    });
    return zeros ? { ...figures, zeroHugeBytes: pages ? zeros(figures.pid) : null } : figures;
  });
  const answer: FoundProcesses = {
    kernel: kernelIdentity(kernel.facts),
    source: kernel.facts.source,
    captured: null,
    origin: null,
    hidden: false,
    processes,
    ...othersOf(kernel, spaces, missing),
    ...(machine && { machine }),
    zombieParents: null,
    exited: 0,
    omitted: missing,
    pages: shares ? counts.machine() : null,
    complete: warnings.complete && processes.every(({ complete }) => complete),
    warnings: warnings.list(),
  };
  const killedTogether: KilledTogether = (groups) =>
    shares ? togetherBounds(kernel, answer.processes, groups, { spaces, counts }) : killedByShares(answer)(groups);
  return { answer, spaces, counts, whole: shares, killedTogether };
}

/** All memory, and what of it is free or can be reclaimed; undefined: its per-CPU free lists cannot be followed. */
function freeMemory(kernel: Kernel, { kinds }: FrameScan): ProcsAnswer['machine'] {
  const frames = new Float64Array(256);
  for (const kind of kinds) frames[kind]!++;
  const bytes = (of: readonly PageKind[], more = 0) =>
    of.reduce((sum, kind) => sum + frames[KIND[kind]]!, more) * kernel.facts.pageSize;
  let listed = 0;
  try {
    for (const _ of cpuListFrames(kernel)) listed++;
  } catch (error) {
    // A panic can stop a CPU amid a change of its list.
    if (!(error instanceof ReadError || error instanceof KernelError)) throw error;
    return undefined;
  }
  return {
    totalBytes: bytes(KINDS),
    availableBytes: null,
    freeBytes: bytes(['free', 'unaccepted', 'uninitialized'], listed),
    reclaimableBytes: bytes(['file', 'slab-reclaimable']),
  };
}

/** The address space that alone maps a frame. */
class SoleOwners {
  /** 0: none, 1: several, otherwise the number of the address space, from 2 on. */
  readonly #owners: Uint32Array;
  readonly #processes: readonly MappedBy[];

  constructor(frames: number, spaces: readonly AddressSpace[]) {
    this.#owners = new Uint32Array(frames);
    this.#processes = spaces.map((space) => ({ name: spaceName(space), pid: space.processes[0]?.pid ?? 0 }));
  }

  note(index: number, space: number): void {
    const known = this.#owners[index];
    this.#owners[index] = known === 0 || known === space + 2 ? space + 2 : 1;
  }

  readonly of = (index: number): MappedBy | undefined => {
    const owner = this.#owners[index] ?? 0;
    return owner === 1 ? SEVERAL : this.#processes[owner - 2];
  };
}

const SEVERAL: MappedBy = { name: 'several processes' };

/** Zeros in huge pages, by pid; null: not known, since some are not readable. */
function zerosByPid(
  kernel: Kernel,
  found: Parameters<typeof hugePages>[1],
  alone: SoleOwners,
  warnings: Warnings,
): (pid: number) => number | null {
  const pages = hugePages(kernel, found, alone.of, () => undefined, warnings);
  const known = new Map(pages?.owners.map((owner) => [owner.pid, owner.unreadBytes > 0 ? null : owner.zeroBytes]));
  return (pid) => (pages ? (known.has(pid) ? (known.get(pid) ?? null) : 0) : null);
}

/** Memory freed with each group, by the page tables of all processes and by all sockets. */
function togetherBounds(
  kernel: Kernel,
  processes: readonly ProcessFigures[],
  groups: readonly (readonly ProcessFigures[])[],
  { spaces, counts }: Pick<Mapped, 'spaces' | 'counts'>,
): KillBounds[] {
  const { pageSize } = kernel.facts;
  const groupOf = new Map<ProcessFigures, number>();
  for (const [group, members] of groups.entries()) for (const member of members) groupOf.set(member, group);
  const bySpace = new Map(spaces.map((space, at) => [space, groupOf.get(processes[at]!)]));
  const byPid = new Map(
    spaces.flatMap((space) => space.processes.map(({ pid }) => [pid, bySpace.get(space)] as const)),
  );
  const pages = counts.together(spaces, groups.length, (space) => bySpace.get(space));
  const killedWith: KilledWith = (pid) => {
    const group = byPid.get(pid);
    // Negative numbers cannot collide with pids.
    return group === undefined ? pid : -1 - group;
  };
  const network = networkOf(kernel, new Warnings(), { killedWith });
  return groups.map((members, group): KillBounds => {
    const { least, most, swapped } = pages[group]!;
    const known = members.filter(({ freedIfKilledBytes }) => freedIfKilledBytes !== null);
    if (known.length === 0) return { least: null, most: null };
    const sum = (size: 'swapBytes' | 'pageTableBytes') =>
      known.reduce((total, process) => total + (process[size] ?? 0), 0);
    const sockets = known.map(({ pid }) => network?.get(pid)).find((own) => own !== undefined);
    const tables = sum('pageTableBytes');
    const swap = swapped === undefined ? undefined : swapped * pageSize;
    const largest = known.reduce((most, process) => Math.max(most, process.swapBytes ?? 0), 0);
    const whole = network !== undefined && known.length === members.length;
    const mostOfSockets = sockets === undefined ? 0 : sockets.most;
    return {
      least: least * pageSize + tables + (swap ?? largest) + (sockets?.freed ?? 0),
      most:
        whole && mostOfSockets !== null ? most * pageSize + tables + (swap ?? sum('swapBytes')) + mostOfSockets : null,
    };
  });
}

interface Network {
  readonly pinned: number | undefined;
  readonly freed: number | undefined;
  readonly shares: boolean;
  /** Lower bound of the swap entries that no other process has; absent: nothing is swapped. */
  readonly swapAlone?: number;
}

/** Reads an address space, and compares its counters with its page tables. */
class Reader {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #facts: ProcessFactReader;
  readonly #counts: ResidentCountReader;
  readonly #cgroups: CgroupReader;
  readonly #locked: LockedPageReader;
  readonly #someLocked: boolean;
  readonly #unmapping: UnmappedPages;

  /** @param someLocked whether the machine has locked pages */
  constructor(kernel: Kernel, someLocked: boolean, unmapping: UnmappedPages, warnings: Warnings) {
    this.#kernel = kernel;
    this.#warnings = warnings;
    this.#unmapping = unmapping;
    this.#facts = new ProcessFactReader(kernel, this.#clock());
    this.#counts = new ResidentCountReader(kernel);
    this.#cgroups = new CgroupReader(kernel);
    this.#locked = new LockedPageReader(kernel);
    this.#someLocked = someLocked;
  }

  figures(
    space: AddressSpace,
    mapped: (MappedPages & ResidentPages) | undefined,
    { pinned, freed, shares, swapAlone = 0 }: Network,
  ): ProcessFigures {
    const { pageSize } = this.#kernel.facts;
    const [first, ...others] = space.processes;
    const counted = this.#orWarn(space, () => this.#counts.read(space));
    const facts = first && this.#orWarn(space, () => this.#facts.read(first));
    const path = first && this.#orWarn(space, () => this.#cgroups.path(first.address));
    const locked = this.#orWarn(space, () => this.#locked.read(space, this.#someLocked));
    const agree =
      mapped !== undefined &&
      counted !== undefined &&
      countsAgree(this.#kernel, space, { found: mapped, counted, unmapping: this.#unmapping }, this.#warnings);
    const bytes = (pages: number | undefined) => (pages === undefined ? null : Math.round(pages * pageSize));
    const sizes = {
      rssBytes: bytes(mapped && mapped.anonymous + mapped.file + mapped.shmem),
      pssBytes: shares ? bytes(mapped?.proportional) : null,
      ussBytes: shares ? bytes(mapped?.alone) : null,
      anonBytes: bytes(mapped?.anonymous),
      fileBytes: bytes(mapped?.file),
      shmemBytes: bytes(mapped?.shmem),
      swapBytes: bytes(counted?.swapped),
      // Other users of a page in swap are not read.
      swapPssBytes: counted?.swapped === 0 ? 0 : null,
      hugetlbBytes: bytes(mapped?.hugetlb),
      pageTableBytes: bytes(mapped?.tables),
      lockedBytes: bytes(locked),
      pinnedBytes: null,
      networkPinnedBytes: pinned ?? null,
    };
    const own = ownBytes(sizes, bytes(counted && swapAlone));
    return {
      pid: first?.pid ?? 0,
      comm: first?.comm ?? '',
      uid: facts?.uid ?? null,
      nsPids: facts?.nsPids ?? [],
      ...cgroupFields(path === undefined ? null : placeOf(path)),
      ...sizes,
      freedIfKilledBytes: own === null ? null : own + (freed ?? 0),
      pssUnknown: sizes.pssBytes === null ? 'unreadable' : null,
      pssByKind: shares && mapped ? pssByKind(mapped, pageSize) : null,
      networkEstimate: null,
      threads: facts?.threads ?? null,
      oomScore: null,
      oomScoreAdj: facts?.oomScoreAdj ?? null,
      ageSeconds: facts?.ageSeconds ?? null,
      startTicks: facts?.started ?? null,
      sharedWith: others.map(({ pid }) => pid),
      complete: agree && sizes.pssBytes !== null && pinned !== undefined && facts !== undefined,
    };
  }

  /**
   * Returns undefined for a kernel without a known clock: it is not damaged, but its processes have no age.
   */
  #clock(): ClockFacts | undefined {
    try {
      return readClock(this.#kernel);
    } catch (error) {
      const code = codeOf(error);
      if (code !== 'unsupported-layout') this.#warnings.add(code, `the kernel’s clock: ${(error as Error).message}`);
      return undefined;
    }
  }

  #orWarn<T>(space: AddressSpace, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      this.#warnings.add(codeOf(error), `${spaceName(space)}: ${(error as Error).message}`);
      return undefined;
    }
  }
}

function pssByKind(mapped: MappedPages, pageSize: number): PssByKind {
  const all = Math.round(mapped.proportional * pageSize);
  const anonymous = Math.floor(mapped.proportionalAnonymous * pageSize);
  const shmem = Math.floor(mapped.proportionalShmem * pageSize);
  return { anonBytes: anonymous, shmemBytes: shmem, fileBytes: all - anonymous - shmem };
}

/**
 * Returns the memory that the sockets of each process pin, and the part without another holder; undefined if
 * unknown.
 */
function networkOf(
  kernel: Kernel,
  warnings: Warnings,
  options: CensusOptions,
): ReadonlyMap<number, { pinned: number; freed: number; most: number | null }> | undefined {
  try {
    const census = accountAll(kernel, options);
    for (const { code, message } of census.warnings) warnings.add(code, message);
    const known = new Map<number, { pinned: number; freed: number; most: number | null }>();
    for (const { key, total, freedIfKilled } of census.processes) {
      const pid = /^\d+(?= )/.exec(key)?.[0];
      if (pid !== undefined)
        known.set(Number(pid), {
          pinned: total.pinnedBytes,
          freed: freedIfKilled?.low ?? 0,
          most: freedIfKilled?.high ?? null,
        });
    }
    return known;
  } catch (error) {
    warnings.add(codeOf(error), `memory pinned by sockets: ${(error as Error).message}`);
    return undefined;
  }
}

/** Counts tasks without memory of their own. */
function othersOf(
  kernel: Kernel,
  spaces: readonly AddressSpace[],
  missing: number,
): { kernelThreads: number; zombies: number } {
  const own = new Set(spaces.flatMap(({ processes }) => processes.map(({ address }) => address)));
  let [kernelThreads, zombies] = [0, 0];
  for (const { kernelThread, address } of taskTable(kernel).processes) {
    if (kernelThread) kernelThreads++;
    else if (!own.has(address)) zombies++;
  }
  return { kernelThreads, zombies: zombies - missing };
}
