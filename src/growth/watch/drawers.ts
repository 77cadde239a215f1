import type { MemorySource } from '../../account/memory/answer.js';
import { type DrawerGroup, type DrawerName, drawerFacts } from '../../account/memory/drawers.js';
import { DaySeries } from '../day-series.js';
import { dayTrendOf } from '../day-trend.js';
import type { Points } from '../points.js';
import type { Trend } from '../trend.js';
import type { LedgerSample } from './sample.js';

/** How fast a drawer grows. */
export interface GrownDrawer {
  readonly drawer: DrawerName;
  readonly group: DrawerGroup;
  readonly bytes: number;
  /** The kernel takes it back itself where memory is short. */
  readonly reclaimable: boolean;
  /** Null: too few samples. */
  readonly trend: Trend | null;
  /** Bytes over time; seconds after the boot. */
  readonly points: Points;
}

/** Bytes of a group of drawers over time. */
export interface GroupHistory {
  readonly group: DrawerGroup;
  readonly points: Points;
}

const RECLAIMABLE: ReadonlySet<DrawerName> = new Set(['page-cache', 'slab-reclaimable']);

/** Follows the drawers of a machine, in memory that is bounded by how many drawers there are. */
export class DrawerGrowth {
  #source: MemorySource | undefined;
  readonly #drawers = new Map<DrawerName, DaySeries>();
  readonly #groups = new Map<DrawerGroup, DaySeries>();
  /** How often another source told: what it tells is other figures. */
  sourceChanges = 0;
  samples = 0;

  get source(): MemorySource | undefined {
    return this.#source;
  }

  /** @param uptime seconds after the boot, later than before */
  add({ source, drawers }: LedgerSample, uptime: number): void {
    if (this.#source !== undefined && this.#source !== source) {
      this.sourceChanges++;
      this.#drawers.clear();
      this.#groups.clear();
      this.samples = 0;
    }
    this.#source = source;
    this.samples++;
    const groups = new Map<DrawerGroup, number>();
    for (const [drawer, bytes] of drawers) {
      const { group } = drawerFacts(drawer);
      groups.set(group, (groups.get(group) ?? 0) + bytes);
      seriesOf(this.#drawers, drawer).add(uptime, bytes);
    }
    for (const [group, bytes] of groups) seriesOf(this.#groups, group).add(uptime, bytes);
  }

  /** What grows for sure first, the fastest of it first; then by how much there is. */
  drawers(): GrownDrawer[] {
    const found = [...this.#drawers].map(([drawer, series]) => ({
      ...{ drawer, group: drawerFacts(drawer).group, bytes: series.last?.value ?? 0 },
      ...{ reclaimable: RECLAIMABLE.has(drawer), trend: dayTrendOf(series) },
      points: series.points(),
    }));
    const rate = ({ trend }: GrownDrawer) =>
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
