import { type ChosenProcs, type ProcessGroup, totalOf } from '../../account/processes/groups.js';
import type {
  KindOfPages,
  MachinePages,
  NetworkEstimate,
  ProcessFigures,
  ProcessSizes,
  PssByKind,
} from '../../account/processes/process.js';
import type { CgroupMemory } from '../../records/cgroups.js';
import type { PressureLine } from '../../records/machine-sample.js';
import { kernelJson } from '../kernel-json.js';
import { capturedJson, originJson } from '../origin.js';
import type { ProcsJson } from './schema.js';

export function procsJson(answer: ChosenProcs): ProcsJson {
  const { kernel, processes, groups, cgroups, kernelThreads, zombies, gone, notShown } = answer;
  const { processes: many, complete: summed, networkEstimated, withoutPss, ...total } = totalOf(processes);
  return {
    schema: 'kdump-mem.procs/1',
    kernel: kernel === undefined ? null : kernelJson(kernel),
    source: kernel === undefined ? 'proc' : kernel.source,
    captured: capturedJson(answer.captured),
    origin: originJson(answer.origin),
    allListed: answer.whole,
    processes: processes.map(processJson),
    total: {
      processes: many,
      ...sizesJson(total),
      withoutPss: withoutPssJson(withoutPss),
      networkEstimated,
      complete: summed,
    },
    ...(groups === undefined
      ? {}
      : {
          groups: groups.map((group) => ({
            key: group.key,
            processes: group.processes,
            ...sizesJson(group),
            withoutPss: withoutPssJson(group.withoutPss),
            freedIfKilledMostBytes: group.freedMost,
            networkEstimated: group.networkEstimated,
            complete: group.complete,
            ...(cgroups === undefined ? {} : { cgroup: cgroupJson(cgroups.get(group.key ?? '')) }),
          })),
        }),
    kernelThreads,
    zombies,
    zombieParents: zombieParentsJson(answer),
    exited: gone,
    omitted: notShown,
    pages: pagesJson(answer.pages),
    complete: answer.complete,
    warnings: answer.warnings,
  };
}

/** Parents of zombies, with their names. */
export function zombieParentsJson({ processes, zombieParents }: Pick<ChosenProcs, 'processes' | 'zombieParents'>) {
  if (zombieParents === undefined) return null;
  const names = new Map(processes.map(({ pid, comm }) => [pid, comm]));
  return zombieParents.slice(0, MOST_PARENTS).map((one) => ({ ...one, comm: names.get(one.pid) ?? null }));
}

const MOST_PARENTS = 20;

function cgroupJson(memory: CgroupMemory | null | undefined) {
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

function pagesJson(pages: MachinePages | undefined): ProcsJson['pages'] {
  if (!pages) return null;
  const of = ({ mapped, unmapped }: KindOfPages) => ({ mappedBytes: mapped, unmappedBytes: unmapped });
  return {
    anonymous: of(pages.anonymous),
    swapCache: of(pages.swapCache),
    pageCache: of(pages.pageCache),
    shared: of(pages.shared),
    hugetlb: of(pages.hugetlb),
    otherMappedBytes: pages.otherMapped,
  };
}

/** Returns one process, as an element of `processes` and as a line of --ndjson. */
export function processJson(process: ProcessFigures): ProcsJson['processes'][number] {
  const { pid, comm, uid, nsPids, cgroup, threads, oomScore, oomScoreAdj, ageSeconds } = process;
  return {
    pid,
    comm,
    uid,
    nsPids,
    cgroup: cgroup?.path ?? null,
    pod: cgroup?.pod ?? null,
    container: cgroup?.container ?? null,
    ...sizesJson(process),
    pssUnknown: process.pss === null ? (process.pssUnknown ?? 'unreadable') : null,
    pssByKind: pssByKindJson(process.pssByKind),
    networkEstimate: estimateJson(process.networkEstimate),
    threads,
    oomScore,
    oomScoreAdj,
    ageSeconds,
    startTicks: process.started,
    sharedWith: process.sharedWith,
    complete: process.complete,
  };
}

function pssByKindJson(kinds: PssByKind | undefined) {
  if (!kinds) return null;
  return { anonBytes: kinds.anonymous, shmemBytes: kinds.shmem, fileBytes: kinds.file };
}

function withoutPssJson({ processes, rss }: ProcessGroup['withoutPss']) {
  return { processes, rssBytes: rss };
}

function estimateJson(estimate: NetworkEstimate | undefined) {
  if (!estimate) return null;
  return { leastBytes: estimate.low, likelyBytes: estimate.likely, mostBytes: estimate.atMost };
}

function sizesJson(sizes: ProcessSizes) {
  return {
    rssBytes: sizes.rss,
    pssBytes: sizes.pss,
    ussBytes: sizes.uss,
    anonBytes: sizes.anonymous,
    fileBytes: sizes.file,
    shmemBytes: sizes.shmem,
    swapBytes: sizes.swap,
    swapPssBytes: sizes.swapPss,
    hugetlbBytes: sizes.hugetlb,
    pageTableBytes: sizes.pageTables,
    lockedBytes: sizes.locked,
    pinnedBytes: sizes.pinned,
    networkPinnedBytes: sizes.network,
    freedIfKilledBytes: sizes.freed,
  };
}
