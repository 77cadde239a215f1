import { type MemoryAnswer, pageSizeOf } from '../../account/memory/answer.js';
import { cacheBytes, hasOverlays, residentBytes } from '../../account/memory/details.js';
import type { Category } from '../../account/memory/tree.js';
import type { CategoryJson, MemoryEndJson, MemoryJson } from '../../contracts/memory.js';
import { kernelIdentity } from '../../kernel/identity.js';
import type { CachedFiles } from '../../records/files.js';
import { freePages } from '../../records/machine-sample.js';

/** Returns the answer to `memory` according to the JSON contract. */
export function memoryJson(answer: MemoryAnswer): MemoryJson {
  const { kernel, source, memory, loose, unflagged, caches, callers, complete, warnings } = answer;
  const pageSize = pageSizeOf(answer);
  const { host = null } = answer;
  return {
    schema: 'kdump-mem.memory/1',
    kernel: kernel === undefined ? null : kernelIdentity(kernel),
    host: host && { release: host.release, pageSize: host.pageSize, pageSizeKnown: host.hasPageSize !== false },
    origin: answer.origin ?? null,
    source,
    captured: answer.captured ?? null,
    unavailable: answer.unavailable ?? [],
    memory: categoryJson(memory, pageSize),
    unattributed: loose ?? null,
    unflagged: unflagged ?? null,
    notes: answer.notes ?? [],
    freeConflict: answer.freeConflict ?? null,
    driftBytes: answer.driftBytes,
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
    files: answer.files ?? null,
    pipes: answer.pipes ?? null,
    named: answer.named?.map((one) => ({ nodes: null, processes: null, ...one })) ?? null,
    notRead: answer.notRead ?? [],
    socketEstimate: answer.socketEstimate ?? null,
    cachedFiles: answer.cachedFiles ? cachedFilesJson(answer, answer.cachedFiles) : null,
    figures: answer.figures ?? null,
    sample: answer.sample ? { ...answer.sample, at: answer.sample.at.toISOString() } : null,
    noDetails: answer.noDetails ?? {},
    noDetailCodes: answer.noDetailCodes ?? {},
    cgroups: answer.cgroups ?? null,
    sites: answer.sites ?? null,
    hugePages: answer.hugePages ?? null,
    complete,
    warnings,
  };
}

function cachedFilesJson(answer: MemoryAnswer, cached: CachedFiles): MemoryJson['cachedFiles'] {
  const bytes = residentBytes(cached);
  return {
    source: 'fincore',
    bytes,
    elsewhereBytes: hasOverlays(cached) ? null : cacheBytes(answer) - bytes,
    files: cached.files,
    leftOut: cached.leftOut,
  };
}

/** Returns the last line of `--watch --json`. */
export function memoryWatchEnd(samples: number, interrupted: boolean): MemoryEndJson {
  return { schema: 'kdump-mem.memory-end/1', samples, interrupted };
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
