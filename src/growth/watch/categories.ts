import type { MemorySource } from '../../account/memory/answer.js';
import {
  type CategoryGroup,
  type CategoryName,
  categoryFacts,
} from '../../account/memory/categories.js';
import { DaySeries } from '../day-series.js';
import { dayTrendOf } from '../day-trend.js';
import type { Points } from '../points.js';
import type { Trend } from '../trend.js';
import type { LedgerSample } from './sample.js';

/** How fast a category grows. */
export interface GrownCategory {
  readonly category: CategoryName;
  readonly group: CategoryGroup;
  readonly bytes: number;
  /** The kernel takes it back itself where memory is short. */
  readonly reclaimable: boolean;
  /** Null: too few samples. */
  readonly trend: Trend | null;
  /** Bytes over time; seconds after the boot. */
  readonly points: Points;
}

/** Bytes of a group of categories over time. */
export interface GroupHistory {
  readonly group: CategoryGroup;
  readonly points: Points;
}

/** Of memory that is plugged in the kernel takes some for itself, before MemTotal has it: struct pages above all. */
const OWN_SHARE = 0.05;

const RECLAIMABLE: ReadonlySet<CategoryName> = new Set(['page-cache', 'slab-reclaimable']);

/** Follows the categories of a machine, in memory that is bounded by how many categories there are. */
export class CategoryGrowth {
  #source: MemorySource | undefined;
  readonly #categories = new Map<CategoryName, DaySeries>();
  readonly #groups = new Map<CategoryGroup, DaySeries>();
  /** How often another source told: what it tells is other figures. */
  sourceChanges = 0;
  /** How often categories had another sum than before, and the machine no other memory: one of them is wrong. */
  sumChanges = 0;
  samples = 0;
  #sum: { readonly categories: number; readonly total: number | null } | undefined;

  get source(): MemorySource | undefined {
    return this.#source;
  }

  /**
   * @param uptime seconds after the boot, later than before
   * @param total MemTotal, of which categories know nothing
   */
  add({ source, categories }: LedgerSample, uptime: number, total: number | null): void {
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
    this.#hold(
      [...groups.values()].reduce((sum, bytes) => sum + bytes, 0),
      total,
    );
  }

  /** Every frame is in one category: their sum is another one where memory was plugged in or out, and only there. */
  #hold(categories: number, total: number | null): void {
    const before = this.#sum;
    this.#sum = { categories, total };
    if (!before || categories === before.categories) return;
    const plugged = (total ?? 0) - (before.total ?? 0);
    const rest = Math.abs(categories - before.categories - plugged);
    if (plugged === 0 || rest > OWN_SHARE * Math.abs(plugged)) this.sumChanges++;
  }

  /** What grows for sure first, the fastest of it first; then by how much there is. */
  categories(): GrownCategory[] {
    const found = [...this.#categories].map(([category, series]) => ({
      category,
      group: categoryFacts(category).group,
      bytes: series.last?.value ?? 0,
      reclaimable: RECLAIMABLE.has(category),
      trend: dayTrendOf(series),
      points: series.points(),
    }));
    const rate = ({ trend }: GrownCategory) =>
      trend?.course === 'grows' ? trend.growth.perSecond : 0;
    return found.sort((a, b) => rate(b) - rate(a) || b.bytes - a.bytes);
  }

  groups(): GroupHistory[] {
    return [...this.#groups].map(([group, series]) => ({ group, points: series.points() }));
  }
}

function seriesOf<Key>(all: Map<Key, DaySeries>, key: Key): DaySeries {
  const known = all.get(key);
  if (known) return known;
  const series = new DaySeries();
  all.set(key, series);
  return series;
}
