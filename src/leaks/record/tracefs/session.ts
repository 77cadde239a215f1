import { TraceError } from '../../../base/errors.js';
import { liveHost } from '../../../host/live.js';
import { readPageSize } from '../../../host/proc/memory.js';
import type { Follower } from '../../follow/follower.js';
import { FrameFollower } from '../../follow/frame-follower.js';
import { ObjectFollower } from '../../follow/object-follower.js';
import type { Losses, Reading, Recording, Sample, Unseen } from '../../recording.js';
import { StackSites, StackTable } from '../../site-frames.js';
import { LiveSymbols } from '../symbols.js';
import { Commands, ofThreads, ownThreads } from './commands.js';
import { affordable, type EventRates, measureRates, Pacing, type ReadEvents, Spending } from './cost.js';
import type { StreamPlan } from './cpu-stream.js';
import { Drain, gapsOf, lostEvents } from './drain.js';
import { findTracefs, sizeBuffers, type TraceInstance } from './instance.js';
import { cacheUse, eventFilter, KeptSettings, removeOrphans, TraceInstances } from './instances.js';
import {
  ALL,
  type EventName,
  MAX_ONE_IN,
  narrowed,
  PAGE_LOW_BIT,
  readAllocatedFrames,
  SLAB_LOW_BIT,
  sampleOf,
  TracedEvents,
  type TracedType,
  type TraceOrder,
} from './kinds.js';
import { InstanceReader } from './reader.js';

/** One recording: two instances, their readers, and the follower. */
export class TraceSession {
  readonly #order: TraceOrder;
  readonly #type: TracedType;
  readonly #instances: TraceInstances;
  readonly #allocations: TraceInstance;
  readonly #frees: TraceInstance;
  readonly #events: TracedEvents;
  readonly #lowBit: number;
  readonly #stacks = new StackTable();
  readonly #symbols = new LiveSymbols();
  readonly #settings: readonly KeptSettings[];
  /** Paths of our settings that another program changed. */
  #changed: readonly string[] = [];

  constructor(order: TraceOrder, type: TracedType, instances: TraceInstances) {
    this.#order = order;
    this.#type = type;
    this.#instances = instances;
    this.#allocations = this.#instance('allocations');
    this.#frees = this.#instance('frees');
    this.#events = new TracedEvents(this.#allocations, type);
    this.#lowBit = type === 'page' ? Math.max(PAGE_LOW_BIT, order.minOrder) : SLAB_LOW_BIT;
    this.#settings = [
      new KeptSettings(this.#allocations, this.#events.allocations),
      new KeptSettings(this.#frees, this.#events.frees),
    ];
  }

  async run(): Promise<Recording> {
    const { stop, threads } = this.#order;
    const sites = new StackSites(this.#stacks, this.#symbols);
    const rates = await this.#rates();
    const follower = this.#follower(this.#firstSample(rates));
    this.#allocations.write('options/stacktrace', '1');
    this.#filter(follower.sample);
    const { origin, now } = clockOf(this.#allocations);
    const { decoders, layout } = this.#events;
    const plan = { layout, decoders, stacks: this.#stacks, origin };
    const [allocations, frees] = [this.#reader(this.#allocations, plan), this.#reader(this.#frees, plan)];
    const drain = new Drain([allocations, frees], threads === null ? follower : ofThreads(follower, threads), {
      now,
      pagesOfBuffer: pagesOf(this.#allocations, layout.pageBytes),
    });
    const read = () => ({ allocations: allocations.events, frees: frees.events });
    const commands = new Commands();
    // Frees first, so that no free of a recorded allocation is missed.
    this.#enable(this.#frees, this.#events.frees);
    const before = readAllocatedFrames();
    const began = now();
    this.#enable(this.#allocations, this.#events.allocations);
    for (const setting of this.#settings) setting.keep();
    const spending = new Spending(rates, this.#lowBit, began);
    const readings = await this.#windows({ rates, drain, follower, spending, read, sites, began, now });
    this.#checkSettings();
    silence(this.#allocations);
    const ended = now();
    const after = readAllocatedFrames();
    silence(this.#frees);
    drain.finish();
    readings.push(this.#reading(follower, (ended - began) / 1e6, sites));
    // Objects with hashed addresses would be looked up at wrong addresses.
    const upper = allocations.upper === undefined ? 0 : allocations.upper;
    const listed = follower.survivors({
      max: this.#order.maxSurvivors,
      siteOf: sites.of,
      began,
      upper: BigInt(upper ?? 0) << 52n,
      commandOf: commands.of,
    });
    const { oneIn } = follower.sample;
    const budget = this.#order.sample === 'auto' ? this.#order.budget : null;
    return {
      type: this.#type,
      method: 'tracefs',
      sample: follower.sample,
      sites: sites.sites,
      readings,
      survivors: upper === null ? [] : listed.survivors,
      survivorsLeftOut: upper === null ? null : listed.leftOut,
      losses: this.#losses(follower.losses, [allocations, frees]),
      unseen: this.#unseen(follower, before === null || after === null ? null : after - before),
      gaps: gapsOf(this.#stacks.others, this.#symbols.areKnown),
      endedEarly: stop.aborted,
      tracing: {
        ...spending.whole(ended, read(), oneIn, budget),
        lateEvents: drain.late,
        orphansRemoved: [],
        leftBehind: [],
        settingsChanged: this.#changed,
        unmatchedEvents: sumOf([allocations.unmatched(), frees.unmatched()]),
      },
    };
  }

  /**
   * Reads until the recording ends. @returns readings at the beginning and at the end of each window except
   * the last
   */
  async #windows({ rates, drain, follower, spending, read, sites, began, now }: Running) {
    const { seconds, windows, progress, stop } = this.#order;
    const readings: Reading[] = [this.#reading(follower, 0, sites)];
    const pacing = new Pacing(this.#order, rates);
    for (let window = 1; window <= windows; window++) {
      const end = began + (seconds * 1e9 * window) / windows;
      while (now() < end && !this.#isOver) {
        await drain.rest(end, stop);
        drain.round();
        const figures = spending.measure(now(), read(), follower.sample.oneIn);
        if (figures === null) continue;
        const current = { ...figures, kept: follower.kept };
        progress({ seconds: (now() - began) / 1e9, ...current });
        this.#checkSettings();
        this.#narrow(follower, pacing.halvings(current));
      }
      if (window === windows || this.#isOver) break;
      await drain.upTo(end);
      readings.push(this.#reading(follower, (end - began) / 1e6, sites));
    }
    return readings;
  }

  #reading(follower: Follower, at: number, { of }: StackSites): Reading {
    this.#symbols.refresh();
    const caches = this.#type === 'slab' ? cacheUse() : null;
    return { ...follower.reading(at, of), ...(caches === null ? {} : { caches }) };
  }

  /** The recording was stopped, or changed settings would falsify further events. */
  get #isOver(): boolean {
    return this.#order.stop.aborted || this.#changed.length > 0;
  }

  #checkSettings(): void {
    if (this.#changed.length === 0) this.#changed = this.#settings.flatMap((setting) => setting.changed());
  }

  #instance(purpose: 'allocations' | 'frees'): TraceInstance {
    const instance = this.#instances.make(purpose);
    sizeBuffers(instance, purpose);
    instance.takeMonotonicClock();
    return instance;
  }

  #reader(instance: TraceInstance, plan: StreamPlan): InstanceReader {
    const reader = new InstanceReader(instance, plan);
    this.#instances.closeBefore(instance, () => reader.close());
    // The first read of each pipe makes the kernel allocate a page, which must not be recorded.
    reader.read(1, 0);
    return reader;
  }

  async #rates(): Promise<EventRates> {
    const instance = this.#instances.make('rate');
    const { decoders, layout } = this.#events;
    const plan = { layout, decoders, stacks: this.#stacks, origin: 0n };
    const rates = await measureRates(instance, this.#events, plan, this.#order.stop);
    this.#instances.remove(instance);
    return rates;
  }

  #firstSample(rates: EventRates): Sample {
    const { sample, budget } = this.#order;
    if (sample === 'auto') return affordable(rates, budget, this.#lowBit);
    return sample === 1 ? ALL : sampleOf(sample, this.#lowBit);
  }

  #follower(sample: Sample): FrameFollower | ObjectFollower {
    const { maxBlocks } = this.#order;
    return this.#type === 'page'
      ? new FrameFollower(sample, { maxBlocks, frameBytes: readPageSize(liveHost), isOwn: ownThreads() })
      : new ObjectFollower(sample, { maxBlocks });
  }

  #narrow(follower: Follower, halvings: number): void {
    if (this.#isOver) return;
    let sample = follower.sample;
    for (let times = 0; times < halvings && sample.oneIn < MAX_ONE_IN; times++) sample = narrowed(sample, this.#lowBit);
    if (sample === follower.sample) return;
    // Filters may temporarily pass more than is followed, but never less.
    follower.narrow(sample);
    this.#filter(sample);
    for (const setting of this.#settings) setting.keep();
  }

  #filter(sample: Sample): void {
    for (const { system, name, kind } of this.#events.allocations)
      this.#allocations.write(`events/${system}/${name}/filter`, eventFilter(kind, sample, this.#order.minOrder));
    // Blocks may be freed in parts, of any order.
    for (const { system, name, kind } of this.#events.frees)
      this.#frees.write(`events/${system}/${name}/filter`, eventFilter(kind, sample, 0));
  }

  #enable(instance: TraceInstance, events: readonly EventName[]): void {
    for (const { system, name } of events) instance.write(`events/${system}/${name}/enable`, '1');
  }

  /** If only some allocations are followed, frees of others are not losses. */
  #losses(losses: Losses, readers: readonly InstanceReader[]): Losses {
    const overrun = sumOf(readers.map((reader) => reader.overrun()));
    const isChosen = this.#order.threads !== null || this.#order.minOrder > 0;
    return {
      ...losses,
      overrun: lostEvents(losses.overrun, overrun),
      unknownFrees: isChosen ? null : losses.unknownFrees,
    };
  }

  #unseen(follower: Follower, allocated: number | null): Unseen | null {
    const { threads, minOrder } = this.#order;
    if (allocated === null || threads !== null || minOrder > 0) return null;
    const traced = follower instanceof FrameFollower ? follower.allocatedFrames : null;
    if (traced === null) return null;
    return { allocated, ...traced };
  }
}

/** Parts of a running recording. */
interface Running {
  readonly rates: EventRates;
  readonly drain: Drain;
  readonly follower: Follower;
  readonly spending: Spending;
  readonly read: () => ReadEvents;
  readonly sites: StackSites;
  /** Nanoseconds since the origin. */
  readonly began: number;
  readonly now: () => number;
}

function sumOf(counts: readonly (number | null)[]): number | null {
  return counts.reduce((sum, count) => (sum === null || count === null ? null : sum + count), 0);
}

function silence(instance: TraceInstance): void {
  instance.write('events/enable', '0');
}

function pagesOf(instance: TraceInstance, pageBytes: number): number {
  const kilobytes = Number(/^(\d{1,9})/.exec(instance.read('buffer_size_kb'))?.[1] ?? 0);
  return Math.max(1, Math.floor((kilobytes * 1024) / pageBytes));
}

/** Time 0, and how long ago it was, in nanoseconds. */
function clockOf(instance: TraceInstance): { readonly origin: bigint; readonly now: () => number } {
  const before = process.hrtime.bigint();
  const origin = instance.now;
  const middle = (before + process.hrtime.bigint()) / 2n;
  return { origin, now: () => Number(process.hrtime.bigint() - middle) };
}

/**
 * Records allocations and frees through private tracefs instances, which are removed in any case.
 *
 * @throws {TraceError} `trace-no-root`, `trace-not-mounted`, `trace-locked-down`, `trace-unsupported`,
 * `trace-over-budget`, `trace-failed`
 */
export async function recordTraced(order: TraceOrder): Promise<Recording> {
  const { type } = order;
  if (type === 'vmalloc')
    throw new TraceError('trace-unsupported', 'vmalloc areas have no trace events', {
      next: 'Use --method vmallocinfo',
    });
  const root = findTracefs();
  const removed = removeOrphans(root);
  const instances = new TraceInstances(root);
  let recording: Recording;
  try {
    recording = await new TraceSession(order, type, instances).run();
  } finally {
    instances.removeAll();
  }
  const { left } = instances;
  const tracing = recording.tracing && { ...recording.tracing, orphansRemoved: removed, leftBehind: left };
  return { ...recording, ...(tracing ? { tracing } : {}) };
}
