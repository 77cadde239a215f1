import type { FreeBlocks, ZoneShown } from '../oom-report.js';

/** Zones in the kernel's order (include/linux/mmzone.h); no page of `Device` is ever free. */
const ZONES = ['DMA', 'DMA32', 'Normal', 'HighMem', 'Movable'];

/** Bits that choose the zone: the same in every kernel since 2.6.32. */
const [DMA, HIGHMEM, DMA32, MOVABLE] = [0x1, 0x2, 0x4, 0x8];

/** What kept the page allocator from a request. */
export interface Shortage {
  /**
   * `watermark`: in no zone that it could use was more free than the high watermark and the reserve, which the
   * last attempt before the OOM killer asks for (`__alloc_pages_may_oom`). `fragmentation`: there was, but in
   * blocks that are too small. Null: neither is proved.
   */
  readonly cause: 'watermark' | 'fragmentation' | null;
  /** The best zone for the request, of the node that was shortest. */
  readonly zone: ZoneShown;
  /** The largest order of which a zone that it could use had a block for it; null: none, or not printed. */
  readonly largestOrder: number | null;
}

/** @param mask the request's gfp_mask. @returns undefined: no zone was printed, or nothing was requested */
export function shortageOf(
  zones: readonly ZoneShown[],
  { order, mask, pageSize }: { order: number; mask: number; pageSize: number },
): Shortage | undefined {
  const isMovable = (mask & MOVABLE) !== 0;
  const highest =
    mask & DMA ? 0 : mask & DMA32 ? 1 : mask & HIGHMEM ? (isMovable ? 4 : 3) : isMovable ? 4 : 2;
  const usable = zones.filter(({ zone }) => ZONES.includes(zone) && rank(zone) <= highest);
  const best = [...usable.filter((zone) => zone === highestOf(usable, zone.node))].sort(
    (a, b) => a.freeBytes / (a.highBytes ?? 1) - b.freeBytes / (b.highBytes ?? 1),
  )[0];
  if (best === undefined || order < 0) return undefined;
  const orders = usable.map(({ freeBlocks }) => largest(freeBlocks, isMovable));
  const isShort = usable.map((zone) => {
    const bound = zone.highBytes;
    const reserve = reserveFor(zone, highestOf(usable, zone.node), zones);
    if (bound === null || reserve === undefined) return undefined;
    return zone.freeBytes - (2 ** order - 1) * pageSize <= bound + reserve * pageSize;
  });
  const has = usable.map((_, at) => orders[at] !== undefined && orders[at] >= order);
  const isFragmented = usable.every(
    (_, at) => isShort[at] === true || (orders[at] !== undefined && !has[at]),
  );
  return {
    cause: isShort.every((short) => short === true)
      ? 'watermark'
      : order > 0 && isFragmented && isShort.includes(false)
        ? 'fragmentation'
        : null,
    zone: best,
    largestOrder: orders.includes(undefined) ? null : maximum(orders as number[]),
  };
}

const rank = (zone: string): number => ZONES.indexOf(zone);

function highestOf(zones: readonly ZoneShown[], node: number): ZoneShown | undefined {
  return zones.filter((zone) => zone.node === node).sort((a, b) => rank(b.zone) - rank(a.zone))[0];
}

/** Pages that the zone keeps from a request whose best zone is `highest`; undefined: not known. */
function reserveFor(
  zone: ZoneShown,
  highest: ZoneShown | undefined,
  all: readonly ZoneShown[],
): number | undefined {
  if (highest === zone) return 0;
  // The reserve grows with every zone above that has pages: as many values as there are such zones.
  const above = all
    .filter((other) => other.node === zone.node && rank(other.zone) > rank(zone.zone))
    .sort((a, b) => rank(a.zone) - rank(b.zone));
  const values = [...new Set(zone.reserves.filter((pages) => pages > 0))];
  const at = highest === undefined ? -1 : above.indexOf(highest);
  return values.length === above.length ? values[at] : undefined;
}

/** The largest order with a block for the request; -1: none. Undefined: not printed. */
function largest(blocks: readonly FreeBlocks[] | null, isMovable: boolean): number | undefined {
  // Reserves for atomic requests and isolated blocks are for nobody else, those of CMA for movable pages.
  const kept = isMovable ? /^[HI]+$/ : /^[HIC]+$/;
  const usable = blocks?.filter(({ count, types }) => count > 0 && !kept.test(types));
  return usable?.reduce((most, { order }) => Math.max(most, order), -1);
}

function maximum(orders: readonly number[]): number | null {
  const most = Math.max(...orders);
  return most < 0 ? null : most;
}
