import { setTimeout as delay } from 'node:timers/promises';
import type { AllocationType, Recording } from '../recording.js';
import { liveReadings, type ReadingSource } from './reading-source.js';
import { READING_PATHS, type ReadingMethod, takeReading } from './take.js';
import { ReadingCollector } from './takes.js';
import type { KernelArea } from './vmallocinfo.js';

/** Parameters of a recording by readings. */
export interface ReadingsOrder {
  readonly type: AllocationType;
  readonly method: ReadingMethod;
  /** Seconds from the first reading to the last. */
  readonly seconds: number;
  /** Number of windows; there is one reading more. */
  readonly windows: number;
  /** Page size of the kernel, bytes. */
  readonly pageSize: number;
  readonly maxSurvivors: number;
  /** Stops it early: previous readings count, with a last reading now. */
  readonly stop: AbortSignal;
  /** Called after each reading. */
  readonly progress: (figures: ReadingsProgress) => void;
  /** Default: the running kernel. */
  readonly source?: ReadingSource;
  /** vmalloc areas from the kernel's own list; absent: it cannot be read; null: it cannot be read now. */
  readonly areas?: () => readonly KernelArea[] | null;
}

/** Progress of a recording. */
export interface ReadingsProgress {
  readonly readings: number;
  readonly of: number;
  /** Duration of the last reading, milliseconds. */
  readonly took: number;
}

/**
 * Reads the kernel's own records at the beginning and at the end of each window. Nothing is traced.
 *
 * @throws {HostError} `gone`, `denied`, `unreadable`
 */
export async function recordReadings(order: ReadingsOrder): Promise<Recording> {
  const { type, method, seconds, windows, stop, progress } = order;
  const { pageSize, maxSurvivors, source = liveReadings, areas } = order;
  const takes = new ReadingCollector({ source: READING_PATHS[method], pageSize, maxSurvivors });
  const began = performance.now();
  let endedEarly = false;
  for (let window = 0; window <= windows; window++) {
    const due = began + (seconds * 1000 * window) / windows;
    if (window > 0) endedEarly = await waited(due, stop);
    const at = performance.now() - began;
    // Stopping early takes one more reading.
    await takes.one(at, (tally) => takeReading(method, source, tally, areas));
    progress({ readings: window + 1, of: windows + 1, took: performance.now() - began - at });
    if (endedEarly) break;
  }
  return takes.recording(type, method, endedEarly);
}

/** @returns whether it was stopped */
async function waited(due: number, stop: AbortSignal): Promise<boolean> {
  const left = Math.max(0, due - performance.now());
  return delay(left, false, { signal: stop }).catch(() => true);
}
