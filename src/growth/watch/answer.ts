import type { MemorySource } from '../../account/memory/answer.js';
import type { UnavailableCode } from '../../base/errors.js';
import type {
  DeviceSample,
  EarlierBoot,
  GrownDevice,
  WatchCategory,
  WatchDoubtCode,
  WatchJson,
} from '../../contracts/watch.js';
import { type CategoryGroup, type CategoryName, categoryFacts } from '../../records/categories.js';
import type { DeviceKind } from '../../records/named-memory.js';
import type { GrowthAnswer } from '../answer.js';
import { DaySeries, dayTrendOf } from '../day-trend.js';
import type { ProcessesAtTime } from '../processes.js';
import type { Points } from '../series.js';
import { NO_TREND } from '../trend.js';

/** Facts about a machine since its last boot. */
export interface WatchFacts {
  readonly growth: GrowthAnswer;
  /** Wall-clock time of the first sample of this boot. */
  readonly from: string;
  readonly seconds: number;
  /** Null: no sample has a memory breakdown. */
  readonly source: MemorySource | null;
  readonly sourceChanges: number;
  /** Number of times the sum of all categories changed, but not the memory of the machine. */
  readonly sumChanges: number;
  readonly categories: readonly GrownCategory[];
  readonly groups: readonly GroupHistory[];
  /** Rings, pins and buffers of devices in the last sample, the largest first; categories contain them. */
  readonly devices: readonly GrownDevice[];
  /** Kinds of these that the last sample could not read. */
  readonly unreadDevices: readonly DeviceKind[];
  /**
   * Samples between which the wall clock and the uptime advanced differently, and the sum of the differences
   * in seconds.
   */
  readonly clockSteps: { readonly count: number; readonly seconds: number };
  readonly gaps: WatchJson['gaps'];
  readonly lostSamples: number;
  /** Number of samples without a memory breakdown, and the reason of the last one. */
  readonly withoutLedger: { readonly count: number; readonly why: string | null };
  /** Some processes are missing. */
  readonly hidden: boolean;
}

/** Growth of a watched machine. */
export interface WatchAnswer extends WatchFacts, Judgement {
  /** The latest earlier boots; at most a few. */
  readonly earlierBoots: readonly EarlierBoot[];
}

export interface WatchDoubt {
  readonly code: WatchDoubtCode;
  /** Number of gaps, samples or boots. */
  readonly count?: number;
  readonly seconds?: number;
  readonly category?: GrownCategory;
  readonly why?: string;
}

export interface Judgement {
  readonly verdict: WatchJson['verdict'];
  readonly doubts: readonly WatchDoubt[];
  /** Maximum growth of a category, bytes per second; null: unknown for some. */
  readonly atMostPerSecond: number | null;
}

/** Growth of a category. */
export interface GrownCategory extends WatchCategory {
  /** Bytes over time, in seconds since boot. */
  readonly points: Points;
}

/** @param unread kinds that could not be read, or only in part */
export interface DeviceSamples {
  readonly devices: readonly DeviceSample[];
  readonly unread: readonly DeviceKind[];
}

/** Bytes of a group of categories over time. */
export interface GroupHistory {
  readonly group: CategoryGroup;
  readonly points: Points;
}

/** The kernel uses a part of hot-plugged memory before MemTotal includes it: mainly struct pages. */
const OWN_SHARE = 0.05;

const RECLAIMABLE: ReadonlySet<CategoryName> = new Set(['page-cache', 'slab-reclaimable']);

/** Follows the categories of a machine, in memory limited by their number. */
export class CategoryGrowth {
  #source: MemorySource | undefined;
  readonly #categories = new Map<CategoryName, DaySeries>();
  readonly #groups = new Map<CategoryGroup, DaySeries>();
  /** Number of source changes: figures of different sources differ. */
  sourceChanges = 0;
  /**
   * Number of times the sum of categories changed, but not the memory of the machine: a category is wrong.
   */
  sumChanges = 0;
  samples = 0;
  #sum: { readonly categories: number; readonly total: number | null } | undefined;

  get source(): MemorySource | undefined {
    return this.#source;
  }

  /**
   * @param uptime seconds since boot, later than before
   * @param total MemTotal, which is not part of the categories
   */
  add({ source, categories }: CategorySample, uptime: number, total: number | null): void {
    if (this.#source !== undefined && this.#source !== source) {
      this.sourceChanges++;
      this.#categories.clear();
      this.#groups.clear();
      this.samples = 0;
      this.#sum = undefined;
    }
    this.#source = source;
    this.samples++;
    const groups = new Map<CategoryGroup, number>();
    for (const [category, bytes] of categories) {
      const { group } = categoryFacts(category);
      groups.set(group, (groups.get(group) ?? 0) + bytes);
      seriesOf(this.#categories, category).add(uptime, bytes);
    }
    for (const [group, bytes] of groups) seriesOf(this.#groups, group).add(uptime, bytes);
    this.#checkSum(
      [...groups.values()].reduce((sum, bytes) => sum + bytes, 0),
      total,
    );
  }

  /** Each frame is in exactly one category: their sum changes only if memory is plugged in or removed. */
  #checkSum(categories: number, total: number | null): void {
    const before = this.#sum;
    this.#sum = { categories, total };
    if (!before || categories === before.categories) return;
    const plugged = (total ?? 0) - (before.total ?? 0);
    const rest = Math.abs(categories - before.categories - plugged);
    if (plugged === 0 || rest > OWN_SHARE * Math.abs(plugged)) this.sumChanges++;
  }

  /** Categories with significant growth first, fastest first, then by size. */
  categories(): GrownCategory[] {
    const grown = [...this.#categories].map(([category, series]) => ({
      category,
      group: categoryFacts(category).group,
      bytes: series.last?.value ?? 0,
      reclaimable: RECLAIMABLE.has(category),
      ...(dayTrendOf(series) ?? NO_TREND),
      points: series.points(),
    }));
    const rate = ({ growth, course }: GrownCategory) => (course === 'grows' ? (growth?.perSecond ?? 0) : 0);
    return grown.sort((a, b) => rate(b) - rate(a) || b.bytes - a.bytes);
  }

  groups(): GroupHistory[] {
    return [...this.#groups].map(([group, series]) => ({ group, points: series.points() }));
  }
}

/** Names of kinds that stay unread may change without end. */
const MAX_DEVICE_SERIES = 64;

/** Follows rings, pins and buffers of devices. One that is missing from a list was closed: it starts again. */
export class DeviceGrowth {
  #series = new Map<string, DaySeries>();
  #last: DeviceSamples = { devices: [], unread: [] };

  /** @param uptime seconds since boot, later than before */
  add(samples: DeviceSamples, uptime: number): void {
    this.#last = samples;
    const listed = new Set(samples.devices.map(deviceKey));
    const isUnreadKey = (key: string) => samples.unread.some((kind) => key.startsWith(`${kind} `));
    for (const key of this.#series.keys()) {
      const isUnread = isUnreadKey(key) && this.#series.size <= MAX_DEVICE_SERIES;
      if (!(listed.has(key) || isUnread)) this.#series.delete(key);
    }
    // A list that was read in part would show a decline, and growth afterwards.
    for (const device of samples.devices)
      if (device.bytes !== null && !samples.unread.includes(device.kind))
        seriesOf(this.#series, deviceKey(device)).add(uptime, device.bytes);
  }

  get unread(): readonly DeviceKind[] {
    return this.#last.unread;
  }

  devices(): GrownDevice[] {
    return this.#last.devices.map((device) => {
      const series = device.bytes === null ? undefined : this.#series.get(deviceKey(device));
      return { ...device, ...((series && dayTrendOf(series)) ?? NO_TREND) };
    });
  }
}

const deviceKey = ({ kind, name }: DeviceSample): string => `${kind} ${name}`;

function seriesOf<Key>(all: Map<Key, DaySeries>, key: Key): DaySeries {
  const known = all.get(key);
  if (known) return known;
  const series = new DaySeries();
  all.set(key, series);
  return series;
}

/** Memory breakdown at one time. */
export interface CategorySample {
  readonly source: MemorySource;
  /** Bytes; unknown categories are absent. */
  readonly categories: ReadonlyMap<CategoryName, number>;
}

/** One sample of a watch: the machine, its memory breakdown, its processes. */
export interface WatchSample {
  readonly look: ProcessesAtTime;
  /** Null: unknown, for the given reason. */
  readonly ledger: CategorySample | null;
  /** Null or absent: not read. */
  readonly devices?: DeviceSamples | null;
  readonly noCategories: string | null;
  readonly noCategoriesCode?: UnavailableCode | null;
  /** /proc hides some processes. */
  readonly hidden: boolean;
  /** Expected seconds until the next sample. */
  readonly interval: number;
  /** Samples since the previous one that failed or could not be stored. */
  readonly lost: number;
}
