import { HostError, isHostError } from '../../host/error.js';
import type { AllocationType, MethodCode } from '../recording.js';
import { liveReadings, type ReadingSource } from './reading-source.js';
import { READING_PATHS, type ReadingMethod, STACKS_THRESHOLD, slabTraceFiles } from './take.js';

/**
 * Why a method cannot be had. `absent`: this kernel was built without it, or is too old. `off`: it must be asked
 * for when the kernel starts. `not-mounted`: debugfs or tracefs. `denied`: only root may. `threshold`: it leaves
 * out what is small. `not-readable`: see `why`.
 */
export type MethodRefusal =
  | 'absent'
  | 'off'
  | 'not-mounted'
  | 'denied'
  | 'threshold'
  | 'not-readable';

/** A way to learn what is held, and whether this kernel offers it. */
export interface OfferedMethod {
  readonly method: Extract<MethodCode, ReadingMethod | 'tracefs'>;
  /** Null: it can be had. */
  readonly refusal: MethodRefusal | null;
  /** In words of the host; hostile. */
  readonly why: string | null;
}

/** Those that tell one kind of allocation, the best first: what needs no tracing, and tells stacks. */
const METHODS: Readonly<Record<AllocationType, readonly OfferedMethod['method'][]>> = {
  page: ['page-owner-stacks', 'page-owner', 'allocinfo', 'tracefs'],
  slab: ['slab-traces', 'allocinfo', 'tracefs'],
  vmalloc: ['vmallocinfo', 'allocinfo'],
};

/** All that can be asked about a kind of allocation on this machine, in order of preference. */
export function offeredMethods(
  type: AllocationType,
  source: Pick<ReadingSource, 'list' | 'readText' | 'readFirst'> = liveReadings,
): OfferedMethod[] {
  return METHODS[type].map((method) => {
    try {
      return { method, refusal: refusalOf(method, source), why: null };
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      return { method, refusal: ofError(error), why: error.message };
    }
  });
}

type Source = Pick<ReadingSource, 'list' | 'readText' | 'readFirst'>;

function refusalOf(method: OfferedMethod['method'], source: Source): MethodRefusal | null {
  switch (method) {
    case 'allocinfo':
      return allocinfoRefusal(source);
    case 'page-owner':
      return debugfsRefusal(source) ?? fileRefusal(READING_PATHS[method], source);
    case 'page-owner-stacks':
      return debugfsRefusal(source) ?? stacksRefusal(source);
    case 'slab-traces':
      return slabRefusal(source);
    case 'vmallocinfo':
      return fileRefusal(READING_PATHS[method], source);
    case 'tracefs':
      return tracefsRefusal(source);
  }
}

function ofError(error: HostError): MethodRefusal {
  if (error.code === 'denied') return 'denied';
  return error.code === 'gone' ? 'absent' : 'not-readable';
}

/** With profiling off the file is there, with counts that do not change, or without lines. */
function allocinfoRefusal(source: Source): MethodRefusal | null {
  const first = source.readFirst(READING_PATHS.allocinfo);
  const isOn = isHeldOn(source, '/proc/sys/vm/mem_profiling');
  if (isOn === false || !/^ *[1-9]/m.test(first)) return 'off';
  return null;
}

function isHeldOn(source: Source, path: string): boolean | null {
  try {
    return source.readText(path).trim() === '1';
  } catch (error) {
    if (!isHostError(error)) throw error;
    return null;
  }
}

const DEBUGFS = '/sys/kernel/debug';

/** Nothing is mounted by us; root alone may look there. */
function debugfsRefusal(source: Source): MethodRefusal | null {
  return source.list(DEBUGFS).length === 0 ? 'not-mounted' : null;
}

/** What is not there was not asked for at the start: the kernel may have it all the same. */
function fileRefusal(path: string, source: Source): MethodRefusal | null {
  try {
    return source.readFirst(path) === '' ? 'off' : null;
  } catch (error) {
    if (isHostError(error, 'gone')) return 'absent';
    throw error;
  }
}

function stacksRefusal(source: Source): MethodRefusal | null {
  const refusal = fileRefusal(READING_PATHS['page-owner-stacks'], source);
  if (refusal !== null) return refusal;
  return source.readText(STACKS_THRESHOLD).trim() === '0' ? null : 'threshold';
}

/** Tracking may be on for some caches alone. */
function slabRefusal(source: Source): MethodRefusal | null {
  const files = slabTraceFiles(source);
  if (files.length === 0) return 'absent';
  let denied: HostError | undefined;
  for (const [, path] of files) {
    try {
      const first = source.readFirst(path);
      if (first !== '' && !first.startsWith('No data')) return null;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      if (error.code === 'denied') denied = error;
    }
  }
  if (denied) throw denied;
  return 'off';
}

const TRACEFS = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'];

function tracefsRefusal(source: Source): MethodRefusal | null {
  let refusal: MethodRefusal = 'absent';
  for (const root of TRACEFS) {
    try {
      if (source.list(root).length === 0) refusal = 'not-mounted';
      else if (source.list(`${root}/events/kmem`).includes('mm_page_alloc')) return null;
    } catch (error) {
      if (!isHostError(error, 'gone')) throw error;
    }
  }
  return refusal;
}
