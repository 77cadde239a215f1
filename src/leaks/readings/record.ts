import { setTimeout as delay } from 'node:timers/promises';
import type { AllocationType, Recording } from '../recording.js';
import type { KernelArea } from './kernel-areas.js';
import { liveReadings, type ReadingSource } from './reading-source.js';
import { READING_PATHS, type ReadingMethod, takeReading } from './take.js';
import { Takes } from './takes.js';

/** What is to be recorded by readings. */
export interface ReadingsOrder {
  readonly type: AllocationType;
  readonly method: ReadingMethod;
  /** From the first reading to the last. */
  readonly seconds: number;
  /** One reading more than these is taken. */
  readonly windows: number;
  /** Of the kernel, bytes. */
  readonly pageSize: number;
  readonly maxSurvivors: number;
  /** Ends it early: what was read until then counts, with a last reading now. */
  readonly stop: AbortSignal;
  /** Told after each reading. */
  readonly progress: (figures: ReadingsProgress) => void;
  /** The running kernel where it is left out. */
  readonly source?: ReadingSource;
  /** Areas of vmalloc by the kernel's own list; missing: it cannot be read; null: not now. */
  readonly areas?: () => readonly KernelArea[] | null;
}

/** How far it is. */
export interface ReadingsProgress {
  readonly readings: number;
  readonly of: number;
  /** Milliseconds that the last one took. */
  readonly took: number;
}

/**
 * Reads what the kernel keeps by itself, at the beginning and at the end of each window. Nothing is traced.
 *
 * @throws {HostError} `gone`, `denied`, `unreadable`
 */
export async function recordReadings(order: ReadingsOrder): Promise<Recording> {
  const { type, method, seconds, windows, stop, progress } = order;
  const { pageSize, maxSurvivors, source = liveReadings, areas } = order;
  const takes = new Takes({ source: READING_PATHS[method], pageSize, maxSurvivors });
  const began = performance.now();
  let endedEarly = false;
  for (let window = 0; window <= windows; window++) {
    const due = began + (seconds * 1000 * window) / windows;
    if (window > 0) endedEarly = await waited(due, stop);
    const at = performance.now() - began;
    // Who ends it early waits for one more reading.
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
