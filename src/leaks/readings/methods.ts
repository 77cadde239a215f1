import { HostError, isHostError } from '../../base/errors.js';
import type { LeakMethodsJson } from '../../contracts/leaks.js';
import type { AllocationType } from '../recording.js';
import { isSwitchOn, PROFILING } from './page-owner.js';
import { liveReadings, type ReadingSource } from './reading-source.js';
import { READING_PATHS, type ReadingMethod, STACKS_THRESHOLD, slabTraceFiles } from './take.js';

/** Methods for each allocation type, the best first: those with stacks. */
const METHODS: Readonly<Record<AllocationType, readonly ReadingMethod[]>> = {
  page: ['page-owner-stacks', 'page-owner', 'allocinfo'],
  slab: ['slab-traces', 'allocinfo'],
  vmalloc: ['vmallocinfo', 'allocinfo'],
};

/** The kernel's own records for a kind of allocation, in order of preference. */
export function offeredReadings(
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

function refusalOf(method: ReadingMethod, source: Source): MethodRefusal | null {
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
  }
}

function ofError(error: HostError): MethodRefusal {
  if (error.code === 'denied') return 'denied';
  return error.code === 'gone' ? 'absent' : 'not-readable';
}

/** If profiling is off the file exists, with constant counts or without lines. */
function allocinfoRefusal(source: Source): MethodRefusal | null {
  const first = source.readFirst(READING_PATHS.allocinfo);
  const isOn = isSwitchOn(source, PROFILING);
  if (isOn === false || !/^ *[1-9]/m.test(first)) return 'off';
  return null;
}

const DEBUGFS = '/sys/kernel/debug';

/** kdump-mem mounts nothing, and only root may read debugfs. */
function debugfsRefusal(source: Source): MethodRefusal | null {
  return source.list(DEBUGFS).length === 0 ? 'not-mounted' : null;
}

/** If the file is absent, it was not enabled at boot: the kernel may support it. */
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

/** Tracking may be enabled for some caches only. */
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

/** A recording method, and whether this kernel offers it. */
export type OfferedMethod = Pick<LeakMethodsJson['methods'][number], 'method' | 'refusal' | 'why'>;

export type MethodRefusal = NonNullable<OfferedMethod['refusal']>;

/** Returns the first available method. Methods that start another program are used on request only (`--engine`). */
export function defaultMethod(
  offered: readonly OfferedMethod[],
): Exclude<OfferedMethod['method'], 'bpftrace'> | undefined {
  for (const { method, refusal } of offered) if (refusal === null && method !== 'bpftrace') return method;
  return undefined;
}
