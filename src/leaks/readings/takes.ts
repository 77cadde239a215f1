import { setTimeout as delay } from 'node:timers/promises';
import type { AllocationType, Gap, Reading, Recording, Survivor } from '../recording.js';
import { liveReadings, type ReadingSource } from './reading-source.js';
import { READING_PATHS, type ReadingMethod, takeReading } from './take.js';
import { KnownSites, type ReportedBlock, Tally } from './tally.js';
import type { KernelArea } from './vmallocinfo.js';

/** Common part of all readings. */
export interface TakesOrder {
  /** File named in messages about missing data. */
  readonly source: string;
  /** Bytes. */
  readonly pageSize: number;
  readonly maxSurvivors: number;
}

/** Collects readings and combines them into a recording. */
export class ReadingCollector {
  readonly #order: TakesOrder;
  readonly #known = new KnownSites();
  readonly #readings: Reading[] = [];
  readonly #survivors: SurvivorList;
  #withoutStack = 0;
  #strange = 0;
  #cut = 0;
  #inaccurate = 0;
  #unreadable = 0;

  constructor(order: TakesOrder) {
    this.#order = order;
    this.#survivors = new SurvivorList(order.maxSurvivors);
  }

  /**
   * @param at milliseconds since the first
   * @param read adds the current amounts to a tally; resolves to the number of parts that could not be read
   */
  async one(at: number, read: (tally: Tally) => Promise<number>): Promise<void> {
    const isLater = this.#readings.length > 0;
    const survivors = this.#survivors;
    if (isLater) survivors.again();
    const tally = new Tally(this.#known, this.#order.pageSize, (block) => {
      if (isLater) survivors.last(block);
      else survivors.first(block);
    });
    const unreadable = await read(tally);
    this.#readings.push({ at, held: tally.held() });
    if (tally.blocksUnknown) survivors.unknown = true;
    this.#withoutStack = tally.withoutStack;
    this.#strange = Math.max(this.#strange, tally.strange);
    this.#cut = Math.max(this.#cut, tally.cut);
    this.#inaccurate = Math.max(this.#inaccurate, tally.inaccurate);
    this.#unreadable = Math.max(this.#unreadable, unreadable);
  }

  recording(type: AllocationType, method: Recording['method'], endedEarly: boolean): Recording {
    const survivors = this.#survivors;
    const { source } = this.#order;
    const gaps: readonly Gap[] = [
      { code: 'truncated' as const, source, count: this.#cut },
      { code: 'malformed' as const, source, count: this.#strange },
      { code: 'inaccurate' as const, source, count: this.#inaccurate },
      { code: 'unreadable' as const, source, count: this.#unreadable },
      { code: 'sites' as const, source, count: this.#known.others },
    ].filter(({ count }) => count > 0);
    return {
      type,
      method,
      gaps,
      endedEarly,
      sample: { oneIn: 1, mask: 0n, residue: 0n },
      sites: this.#known.sites,
      readings: this.#readings,
      survivors: survivors.listsBlocks ? survivors.survivors : [],
      survivorsLeftOut: survivors.listsBlocks ? survivors.leftOut : null,
      // Without events nothing can be lost.
      losses: { overrun: 0, unknownFrees: 0, missedFrees: 0, withoutStack: this.#withoutStack, dropped: 0 },
      unseen: null,
    };
  }
}

/** Maximum for one site. */
const MAX_OF_SITE = 500;
const MAX_PLACES = 4_000_000;

/** Blocks present at the end but not at the beginning, for sources that list single blocks. */
class SurvivorList {
  /** Some blocks may have existed at the beginning. */
  unknown = false;
  leftOut = 0;
  readonly survivors: Survivor[] = [];
  /** Addresses at the beginning; not kept for blocks with an allocation time. */
  readonly #before = new Set<bigint>();
  readonly #ofSite = new Map<string, number>();
  /** Nanoseconds on the kernel's clock. */
  #began = 0;
  #listedBlocks = 0;

  constructor(readonly max: number) {}

  /** A block of the first reading. */
  first({ place, time }: ReportedBlock): void {
    if (time !== null) {
      this.#began = Math.max(this.#began, time);
      return;
    }
    if (this.#before.size < MAX_PLACES) this.#before.add(place);
    else this.unknown = true;
  }

  /** Discards the blocks of the previous last reading. */
  again(): void {
    this.survivors.length = 0;
    this.#ofSite.clear();
    this.leftOut = 0;
    this.#listedBlocks = 0;
  }

  /** A block of the last reading. */
  last({ site, place, bytes, order, time, tid, command }: ReportedBlock): void {
    this.#listedBlocks++;
    const isNew = time === null ? !this.#before.has(place) : time > this.#began;
    if (!isNew) return;
    const count = this.#ofSite.get(site) ?? 0;
    this.#ofSite.set(site, count + 1);
    if (count >= MAX_OF_SITE || this.survivors.length >= this.max) {
      this.leftOut++;
      return;
    }
    const since = time === null ? null : (time - this.#began) / 1e6;
    this.survivors.push({ site, place, bytes, order, since, tid, command });
  }

  /** Whether the source lists single blocks. */
  get listsBlocks(): boolean {
    return this.#listedBlocks > 0 && !this.unknown;
  }
}

/** Parameters of a recording by readings. */
interface ReadingsOrder {
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
interface ReadingsProgress {
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
