import { HostError, hostOrNull, isHostError } from '../../base/errors.js';
import {
  AllocinfoParser,
  isSwitchOn,
  PageOwnerParser,
  PageOwnerStacksParser,
  PROFILING,
  SlabTracesParser,
} from './page-owner.js';
import type { ReadingSource } from './reading-source.js';
import type { Tally, TallyParser } from './tally.js';
import { type KernelArea, VmallocinfoParser } from './vmallocinfo.js';

/** Records that the kernel itself keeps. */
export const READING_METHODS = ['allocinfo', 'page-owner', 'page-owner-stacks', 'slab-traces', 'vmallocinfo'] as const;
export type ReadingMethod = (typeof READING_METHODS)[number];

export const ALLOCINFO = '/proc/allocinfo';
export const PAGE_OWNER = '/sys/kernel/debug/page_owner';
export const PAGE_OWNER_STACKS = '/sys/kernel/debug/page_owner_stacks/show_stacks';
export const STACKS_THRESHOLD = '/sys/kernel/debug/page_owner_stacks/count_threshold';
export const SLAB_TRACES = '/sys/kernel/debug/slab';
export const SLAB_ATTRIBUTES = '/sys/kernel/slab';
export const VMALLOCINFO = '/proc/vmallocinfo';

/** Path that each method reads. */
export const READING_PATHS: Readonly<Record<ReadingMethod, string>> = {
  allocinfo: ALLOCINFO,
  'page-owner': PAGE_OWNER,
  'page-owner-stacks': PAGE_OWNER_STACKS,
  'slab-traces': SLAB_TRACES,
  vmallocinfo: VMALLOCINFO,
};

/**
 * Reads the kernel's record once.
 *
 * @param areas vmalloc areas by the kernel's own list: for addresses that /proc/vmallocinfo hides
 * @returns number of parts that could not be read (caches)
 * @throws {HostError} `gone`, `denied`, `unreadable`
 */
export async function takeReading(
  method: ReadingMethod,
  source: ReadingSource,
  tally: Tally,
  areas?: () => readonly KernelArea[] | null,
): Promise<number> {
  const unreadable = await tallyOf(method, source, tally, areas);
  tally.check(READING_PATHS[method]);
  return unreadable;
}

async function tallyOf(
  method: ReadingMethod,
  source: ReadingSource,
  tally: Tally,
  areas: (() => readonly KernelArea[] | null) | undefined,
): Promise<number> {
  if (method === 'slab-traces') return takeSlabTraces(source, tally);
  if (method === 'page-owner-stacks') checkThreshold(source);
  if (method === 'allocinfo') checkProfiling(source, tally);
  await parsed(READING_PATHS[method], parserOf(method, tally, areas), source, tally);
  return 0;
}

/** Parser of a single-file record. */
export function parserOf(
  method: Exclude<ReadingMethod, 'slab-traces'>,
  tally: Tally,
  areas?: () => readonly KernelArea[] | null,
): TallyParser {
  switch (method) {
    case 'allocinfo':
      return new AllocinfoParser(tally);
    case 'page-owner':
      return new PageOwnerParser(tally);
    case 'page-owner-stacks':
      return new PageOwnerStacksParser(tally);
    case 'vmallocinfo':
      return new VmallocinfoParser(tally, areas);
  }
}

/** If profiling is off, the file still exists with constant counts. */
function checkProfiling(source: ReadingSource, tally: Tally): void {
  if (isSwitchOn(source, PROFILING) !== false) return;
  // Profiling was turned off meanwhile.
  if (tally.known.sites.size > 0) tally.cut++;
  else
    throw new HostError('unreadable', '/proc/allocinfo: allocation profiling is turned off', {
      next: 'Turn it on: sysctl vm.mem_profiling=1',
    });
}

async function parsed(path: string, parser: TallyParser, source: ReadingSource, tally: Tally): Promise<void> {
  const overlong = await source.lines(path, (text) => parser.line(text));
  tally.strange += overlong;
  parser.end();
}

/** A kernel has about 200 caches, more with modules. */
const MAX_CACHES = 65_536;

/** Caches without user tracking: `slub_debug=U,CACHE` enables it for named caches only. */
function untracked(source: ReadingSource, tracked: readonly string[]): number {
  try {
    const known = new Set(tracked);
    return source.list(SLAB_ATTRIBUTES).filter((cache) => !known.has(cache)).length;
  } catch (error) {
    if (!isHostError(error)) throw error;
    return 0;
  }
}

async function takeSlabTraces(source: ReadingSource, tally: Tally): Promise<number> {
  const files = slabTraceFiles(source);
  let unreadable = untracked(
    source,
    files.map(([cache]) => cache),
  );
  let read = 0;
  for (const [cache, path] of files) {
    const size = objectSize(source, cache);
    if (size === null) {
      unreadable++;
      continue;
    }
    try {
      const parser = new SlabTracesParser(tally, size);
      await parsed(path, parser, source, tally);
      if (parser.isCut) tally.cut++;
      read++;
    } catch (error) {
      // Caches may be created and destroyed meanwhile.
      if (!isHostError(error)) throw error;
      if (error.code !== 'gone') unreadable++;
    }
  }
  if (read === 0) throw new HostError('unreadable', 'SLUB tracks no callers (boot without slub_debug=U)');
  return unreadable;
}

/** Files with the allocation sites of a cache: in debugfs with stacks since 5.14, in sysfs before. */
export function slabTraceFiles(source: Pick<ReadingSource, 'list'>): [string, string][] {
  for (const [folder, file] of [
    [SLAB_TRACES, 'alloc_traces'],
    [SLAB_ATTRIBUTES, 'alloc_calls'],
  ] as const) {
    try {
      const caches = source.list(folder).slice(0, MAX_CACHES);
      return caches.map((cache) => [cache, `${folder}/${cache}/${file}`]);
    } catch (error) {
      if (!isHostError(error, 'gone')) throw error;
    }
  }
  return [];
}

function objectSize(source: ReadingSource, cache: string): number | null {
  return hostOrNull(() => {
    const text = source.readText(`${SLAB_ATTRIBUTES}/${cache}/object_size`).trim();
    return /^\d{1,9}$/.test(text) ? Number(text) : null;
  });
}

function checkThreshold(source: ReadingSource): void {
  let text: string;
  try {
    text = source.readText(STACKS_THRESHOLD).trim();
  } catch (error) {
    if (!isHostError(error, 'gone')) throw error;
    return;
  }
  if (text !== '0')
    throw new HostError(
      'unreadable',
      `page_owner_stacks omits stacks below ${text.slice(0, 20)} pages (count_threshold)`,
      { next: `Write 0 to ${STACKS_THRESHOLD}.` },
    );
}
