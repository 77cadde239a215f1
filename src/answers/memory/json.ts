import { type MemoryAnswer, pageSizeOf, type SocketEstimate } from '../../account/memory/answer.js';
import type { CgroupsAnswer, ChargedPart } from '../../account/memory/cgroups.js';
import { cacheBytes, hasOverlays, residentBytes } from '../../account/memory/details.js';
import type { FilesAnswer } from '../../account/memory/files.js';
import type { SiteSource } from '../../account/memory/sites.js';
import type { Category, MemorySample } from '../../account/memory/tree.js';
import type { CategoryJson, CgroupsJson, FilesJson, MemoryEndJson, MemoryJson } from '../../contracts/memory.js';
import { kernelIdentity } from '../../kernel/identity.js';
import type { CachedFiles } from '../../records/files.js';
import { freePages } from '../../records/machine-sample.js';
import { siteFrameJson } from '../leaks/site-words.js';
import { capturedJson, originJson } from '../origin.js';

/** Returns the answer to `memory` according to the JSON contract. */
export function memoryJson(answer: MemoryAnswer): MemoryJson {
  const { kernel, source, memory, loose, unflagged, caches, callers, complete, warnings } = answer;
  const pageSize = pageSizeOf(answer);
  const { host = null } = answer;
  return {
    schema: 'kdump-mem.memory/1',
    kernel: kernel === undefined ? null : kernelIdentity(kernel),
    host: host && { release: host.release, pageSize: host.pageSize, pageSizeKnown: host.hasPageSize !== false },
    origin: originJson(answer.origin),
    source,
    captured: capturedJson(answer.captured),
    unavailable: answer.unavailable ?? [],
    memory: categoryJson(memory, pageSize),
    unattributed: loose
      ? {
          sizes: loose.sizes,
          zones: loose.zones,
          chargedBytes: loose.charged * pageSize,
          largeKmallocBytes: loose.largeKmallocs === undefined ? null : loose.largeKmallocs * pageSize,
        }
      : null,
    unflagged: unflagged
      ? {
          bytes: unflagged.frames * pageSize,
          sizes: unflagged.sizes,
          zones: unflagged.zones,
          chargedBytes: unflagged.charged === null ? null : unflagged.charged * pageSize,
          mappedBytes: unflagged.mapped * pageSize,
          counters: unflagged.counters,
        }
      : null,
    notes: (answer.notes ?? []).map(({ note, category, frames }) => ({ note, category, bytes: frames * pageSize })),
    freeConflict: answer.freeConflict ?? null,
    driftBytes: answer.drift,
    caches,
    callers: callers.map(({ name, bytes, category }) => ({ caller: name, bytes, category })),
    zones: answer.zones.map((zone) => ({
      node: zone.nodeId,
      zone: zone.name,
      presentPages: zone.present,
      managedPages: zone.managed,
      freePages: zone.freeBlocks.length === 0 ? null : freePages(zone.freeBlocks),
      freeBlocks: zone.freeBlocks,
      watermarks: zone.watermarks,
    })),
    files: answer.files === undefined ? null : filesJson(answer.files),
    pipes: answer.pipes?.map((program) => ({ ...program, processes: program.processes ?? 1 })) ?? null,
    named: answer.named?.map((one) => ({ nodes: null, processes: null, ...one })) ?? null,
    notRead: answer.notRead ?? [],
    socketEstimate: answer.socketEstimate ? socketEstimateJson(answer.socketEstimate) : null,
    cachedFiles: answer.cachedFiles ? cachedFilesJson(answer, answer.cachedFiles) : null,
    figures: answer.figures ?? null,
    sample: answer.sample ? sampleJson(answer.sample) : null,
    noDetails: answer.noDetails ?? {},
    noDetailCodes: answer.noDetailCodes ?? {},
    cgroups: answer.cgroups === undefined ? null : cgroupsJson(answer.cgroups),
    sites: answer.sites === undefined ? null : answer.sites.map(siteSourceJson),
    hugePages: answer.hugePages ?? null,
    complete,
    warnings,
  };
}

function socketEstimateJson({ sockets, low, likely, atMost, lost }: SocketEstimate): MemoryJson['socketEstimate'] {
  return {
    sockets,
    leastBytes: low,
    likelyBytes: likely,
    mostBytes: atMost,
    unread: lost.map((why) => ({ code: 'unreadable', why })),
  };
}

function cachedFilesJson(answer: MemoryAnswer, cached: CachedFiles): MemoryJson['cachedFiles'] {
  const bytes = residentBytes(cached);
  return {
    source: 'fincore',
    bytes,
    elsewhereBytes: hasOverlays(cached) ? null : cacheBytes(answer) - bytes,
    files: cached.files.map(({ size, ...file }) => ({ ...file, sizeBytes: size })),
    leftOut: cached.leftOut,
  };
}

function siteSourceJson({ sites, ...source }: SiteSource): NonNullable<MemoryJson['sites']>[number] {
  return { ...source, sites: sites.map((site) => ({ ...site, frames: site.frames.map(siteFrameJson) })) };
}

/** Returns the last line of `--watch --json`. */
export function memoryWatchEnd(samples: number, interrupted: boolean): MemoryEndJson {
  return { schema: 'kdump-mem.memory-end/1', samples, interrupted };
}

function sampleJson({ number, at, changes }: MemorySample): MemoryJson['sample'] {
  return {
    number,
    at: at.toISOString(),
    changes: changes.map(({ category, sinceFirst, sinceLast }) => ({
      category,
      sinceFirstBytes: sinceFirst,
      sinceLastBytes: sinceLast,
    })),
  };
}

function categoryJson(category: Category, pageSize: number): CategoryJson {
  const { bytes, counterBytes, next, why } = category;
  return {
    category: category.category,
    bytes,
    frames: category.frames,
    known: category.known,
    counterBytes,
    differenceBytes: counterBytes === null ? null : bytes - counterBytes,
    ...(category.flagBytes === undefined ? {} : { flagBytes: category.flagBytes }),
    owners: category.owners,
    children: category.children.map((child) => categoryJson(child, pageSize)),
    next: next === undefined ? null : `kdump-mem ${next}`,
    complete: category.complete,
    why: why ?? null,
    range: category.range ?? null,
    elsewhere: category.elsewhere.map((one) => ({ ...one, bytes: one.frames * pageSize })),
  };
}

/** Returns the files that have page frames, according to the JSON contract. */
function filesJson({ files, unnamed }: FilesAnswer): FilesJson {
  return {
    files: files.map((file) => ({
      bytes: file.bytes,
      pageCacheBytes: file.cacheBytes,
      sharedBytes: file.sharedBytes,
      dirtyBytes: file.dirtyBytes,
      writebackBytes: file.writebackBytes,
      path: file.path?.path ?? null,
      mounts: file.path?.mounts ?? null,
      blockDevice: file.blockDevice ?? null,
      deleted: file.deleted,
      mapped: file.mapped,
      fsType: file.fsType,
      device: file.device,
      inode: `${file.inode}`,
      sizeBytes: file.size,
      activeBytes: file.activeBytes ?? null,
      cgroups:
        file.cgroups?.map(({ path, dying, bytes, activeBytes = null }) => ({
          path: path ?? null,
          known: path !== undefined,
          dying,
          bytes,
          activeBytes,
        })) ?? null,
    })),
    unnamed: unnamed.map(({ why, ...one }) => ({ ...one, why: why ?? null })),
  };
}

/** Returns memory cgroups with their charges. */
function cgroupsJson(answer: CgroupsAnswer): CgroupsJson {
  return {
    cgroups: answer.cgroups.map((cgroup) => ({
      path: cgroup.path,
      dying: cgroup.dying,
      ...charged(cgroup),
      slabObjects: cgroup.slabObjects,
      slabObjectBytes: cgroup.slabBytes,
      usageBytes: cgroup.usageBytes ?? null,
    })),
    uncharged: charged(answer.uncharged),
    slabs: charged(answer.slabs),
    unnamed: answer.unnamed.map((one) => ({ reason: one.reason, ...charged(one), why: one.why ?? null })),
    empty: answer.empty,
  };
}

function charged({ bytes, categories }: ChargedPart) {
  return { bytes, categories };
}
