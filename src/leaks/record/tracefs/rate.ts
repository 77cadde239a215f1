import { closeSync, openSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { ALLOCATED, FREED, POOLED, type StreamPlan } from './cpu-stream.js';
import type { TraceInstance } from './instance.js';
import type { TracedEvents } from './kinds.js';
import { InstanceReader } from './reader.js';

/** Rate of events of a kind, without a filter. */
export interface EventRate {
  readonly perSecond: number;
  /** Number of examined events by order; objects have order 0. */
  readonly orders: readonly number[];
}

export interface EventRates {
  readonly allocations: EventRate;
  readonly frees: EventRate;
  /** Seconds of one write to `trace_marker`: the speed of the machine. */
  readonly markerSeconds: number;
}

/** Per CPU: only the newest events are examined. */
const BUFFER_KILOBYTES = 64;
/** More pages than such a buffer has. */
const PAGES = 64;
const PROBE_MS = 500;

const MARKER_ROUNDS = 10;
const MARKERS_IN_ROUND = 50;

/**
 * Measures event rates for half a second, with a small overwriting buffer and without stacks. The kernel
 * counts overwritten events.
 */
export async function measureRates(
  instance: TraceInstance,
  events: TracedEvents,
  plan: StreamPlan,
  stop: AbortSignal,
): Promise<EventRates> {
  instance.write('buffer_size_kb', String(BUFFER_KILOBYTES));
  const markerSeconds = timeMarkers(instance);
  instance.write('trace', '');
  const enabled = process.hrtime.bigint();
  for (const { system, name } of events.all) instance.write(`events/${system}/${name}/enable`, '1');
  await delay(PROBE_MS, undefined, { signal: stop }).catch(() => undefined);
  instance.write('events/enable', '0');
  const seconds = Number(process.hrtime.bigint() - enabled) / 1e9;
  const reader = new InstanceReader(instance, plan);
  try {
    return { ...ratesOf(instance, reader, seconds), markerSeconds };
  } finally {
    reader.close();
  }
}

function ratesOf(
  instance: TraceInstance,
  reader: InstanceReader,
  seconds: number,
): Pick<EventRates, 'allocations' | 'frees'> {
  const written = instance.cpus.reduce((sum, cpu) => {
    const stats = instance.stats(cpu);
    return sum + (stats === null ? 0 : stats.entries + stats.overrun + stats.dropped);
  }, 0);
  const orders: Readonly<Record<number, number[]>> = { [ALLOCATED]: [], [FREED]: [] };
  let looked = 0;
  reader.read(PAGES, 0);
  for (const { queue } of reader.streams)
    while (queue.size > 0)
      queue.shift((kind, _time, _place, length) => {
        const counts = orders[kind === POOLED ? ALLOCATED : kind];
        if (counts === undefined) return;
        looked++;
        const order = length >= 1 ? Math.floor(Math.log2(length)) : 0;
        for (let at = counts.length; at <= order; at++) counts[at] = 0;
        counts[order] = (counts[order] ?? 0) + 1;
      });
  const rateOf = (kind: number) => {
    const counts = orders[kind] ?? [];
    const count = counts.reduce((sum, one) => sum + one, 0);
    const share = looked === 0 ? 0.5 : count / looked;
    return { perSecond: (written * share) / seconds, orders: counts };
  };
  return { allocations: rateOf(ALLOCATED), frees: rateOf(FREED) };
}

/** The fastest of several rounds: other load must not count. */
function timeMarkers(instance: TraceInstance): number {
  const marker = openSync(`${instance.path}/trace_marker`, 'w');
  try {
    let least = Number.POSITIVE_INFINITY;
    for (let round = 0; round < MARKER_ROUNDS; round++) {
      const from = process.hrtime.bigint();
      for (let write = 0; write < MARKERS_IN_ROUND; write++) writeSync(marker, 'x');
      least = Math.min(least, Number(process.hrtime.bigint() - from));
    }
    return least / MARKERS_IN_ROUND / 1e9;
  } finally {
    closeSync(marker);
  }
}
