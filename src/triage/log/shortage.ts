import type { FreeBlocks, ZoneShown } from '../../contracts/log-reports.js';

/** Zones in the kernel's order (include/linux/mmzone.h); pages of `Device` are never free. */
const ZONES = ['DMA', 'DMA32', 'Normal', 'HighMem', 'Movable'];

/** Bits of gfp_mask that select the zone: the same in every kernel since 2.6.32. */
const [DMA, HIGHMEM, DMA32, MOVABLE] = [0x1, 0x2, 0x4, 0x8];

/** Why the page allocator could not satisfy a request. */
export interface Shortage {
  /**
   * `watermark`: no usable zone had more free memory than the high watermark plus the reserve, which the last
   * attempt before the OOM killer requires (`__alloc_pages_may_oom`). `fragmentation`: a zone had more, but
   * in blocks that are too small. Null: neither is proven.
   */
  readonly cause: 'watermark' | 'fragmentation' | null;
  /** The highest usable zone of the node with the least free memory relative to the high watermark. */
  readonly zone: ZoneShown;
  /** The largest order of a free block that the request could use; null: none, or not printed. */
  readonly largestOrder: number | null;
  /** Free memory that the request could not use: that of higher zones, and CMA. */
  readonly unusable: { readonly names: readonly string[]; readonly bytes: number };
}

/** A request of the page allocator. */
interface Request {
  readonly order: number;
  /** Its gfp_mask. */
  readonly mask: number;
  readonly pageSize: number;
  /**
   * Free memory that the request must leave, as a part of a zone's watermark: a failed allocation was refused
   * at min, of which urgent requests may use most (`__zone_watermark_ok`).
   */
  readonly mark?: 'highBytes' | 'minBytes';
}

/** ___GFP_HIGH: the request may use at least half of the min watermark, and with others up to seven eighths. */
const HIGH = 0x20;
const LEFT_BY_HIGH = 1 / 8;

/** @returns undefined: no usable zone was printed, or nothing was requested */
function shortageOf(
  zones: readonly ZoneShown[],
  { order, mask, pageSize, mark = 'highBytes' }: Request,
): Shortage | undefined {
  const isMovable = (mask & MOVABLE) !== 0;
  const highest = mask & DMA ? 0 : mask & DMA32 ? 1 : mask & HIGHMEM ? (isMovable ? 4 : 3) : isMovable ? 4 : 2;
  const usable = zones.filter(({ zone }) => ZONES.includes(zone) && rank(zone) <= highest);
  const best = [...usable.filter((zone) => zone === highestOf(usable, zone.node))].sort(
    (a, b) => a.freeBytes / (a.highBytes ?? 1) - b.freeBytes / (b.highBytes ?? 1),
  )[0];
  if (best === undefined || order < 0) return undefined;
  // A report that is cut has only low zones, which such a request uses last.
  if (
    usable.some((zone) => zone === highestOf(usable, zone.node) && rank(zone.zone) < highest && hasHigher(zone, zones))
  )
    return undefined;
  const higher = zones.filter(({ zone }) => rank(zone) > highest);
  const cma = (zone: ZoneShown) => (isMovable ? 0 : (zone.cmaFreeBytes ?? 0));
  const cmaBytes = usable.reduce((sum, zone) => sum + cma(zone), 0);
  const orders = usable.map(({ freeBlocks }) => largest(freeBlocks, isMovable));
  const isShort = usable.map((zone) => {
    const isUrgent = mark === 'minBytes' && (mask & HIGH) !== 0;
    const level = zone[mark];
    const bound = level === null ? null : level * (isUrgent ? LEFT_BY_HIGH : 1);
    const reserve = reserveFor(zone, highestOf(usable, zone.node), zones);
    if (bound === null || reserve === undefined) return undefined;
    return zone.freeBytes - cma(zone) - (2 ** order - 1) * pageSize <= bound + reserve * pageSize;
  });
  const has = usable.map((_, at) => orders[at] !== undefined && orders[at] >= order);
  const isFragmented = usable.every((_, at) => isShort[at] === true || (orders[at] !== undefined && !has[at]));
  return {
    cause: isShort.every((short) => short === true)
      ? 'watermark'
      : order > 0 && isFragmented && isShort.includes(false)
        ? 'fragmentation'
        : null,
    zone: best,
    largestOrder: orders.includes(undefined) ? null : maximum(orders as number[]),
    unusable: {
      names: [...new Set(higher.map(({ zone }) => `zone ${zone}`)), ...(cmaBytes > 0 ? ['CMA'] : [])],
      bytes: higher.reduce((sum, { freeBytes }) => sum + freeBytes, cmaBytes),
    },
  };
}

const rank = (zone: string): number => ZONES.indexOf(zone);

function highestOf(zones: readonly ZoneShown[], node: number): ZoneShown | undefined {
  return zones.filter((zone) => zone.node === node).sort((a, b) => rank(b.zone) - rank(a.zone))[0];
}

/** Why a request was refused, in figures; none: not printed. */
export function shortageFigures(zones: readonly ZoneShown[], request: Request) {
  const shortage = shortageOf(zones, request);
  if (shortage === undefined) return {};
  const { cause, zone, largestOrder, unusable } = shortage;
  return {
    shortage: cause,
    zone: zone.zone,
    node: zone.node,
    largestFreeOrder: largestOrder,
    zoneFreeBytes: zone.freeBytes,
    zoneMinBytes: zone.minBytes,
    zoneLowBytes: zone.lowBytes,
    zoneHighBytes: zone.highBytes,
    zoneCmaFreeBytes: zone.cmaFreeBytes,
    unusable: unusable.names.join(', ') || null,
    unusableFreeBytes: unusable.bytes,
  };
}

const zonesAbove = ({ node, zone }: ZoneShown, all: readonly ZoneShown[]): ZoneShown[] =>
  all
    .filter((other) => other.node === node && rank(other.zone) > rank(zone))
    .sort((a, b) => rank(a.zone) - rank(b.zone));

/** The lowmem reserve has a value for every higher zone with pages. */
const reservesOf = ({ reserves }: ZoneShown): number[] => [...new Set(reserves.filter((pages) => pages > 0))];

/** Whether its node has higher zones that the report does not show. */
const hasHigher = (zone: ZoneShown, all: readonly ZoneShown[]): boolean =>
  reservesOf(zone).length > zonesAbove(zone, all).length;

/** Pages that the zone reserves from a request whose highest zone is `highest`; undefined: unknown. */
function reserveFor(zone: ZoneShown, highest: ZoneShown | undefined, all: readonly ZoneShown[]): number | undefined {
  if (highest === zone) return 0;
  const [above, values] = [zonesAbove(zone, all), reservesOf(zone)];
  const at = highest === undefined ? -1 : above.indexOf(highest);
  return values.length === above.length ? values[at] : undefined;
}

/** The largest order of a block that the request can use; -1: none. Undefined: not printed. */
function largest(blocks: readonly FreeBlocks[] | null, isMovable: boolean): number | undefined {
  // Atomic reserves and isolated blocks are not available; CMA blocks are available only for movable pages.
  const kept = isMovable ? /^[HI]+$/ : /^[HIC]+$/;
  const usable = blocks?.filter(({ count, types }) => count > 0 && !kept.test(types));
  return usable?.reduce((most, { order }) => Math.max(most, order), -1);
}

function maximum(orders: readonly number[]): number | null {
  const most = Math.max(...orders);
  return most < 0 ? null : most;
}

/** The OOM victim, and the scope of the kill. Null: not printed. */
export interface Choice {
  /** `NONE`, `CPUSET`, `MEMORY_POLICY`, `MEMCG`. */
  readonly constraint: string;
  readonly nodemask: string | null;
  readonly cpuset: string | null;
  readonly memsAllowed: string | null;
  /** The cgroup that reached its limit; undefined: the machine ran out of memory. Untrusted, as is `own`. */
  readonly group: string | undefined;
  /** The cgroup of the victim; undefined: the kernel has no memcgs. */
  readonly own: string | undefined;
  /** Pid of the victim, in decimal. */
  readonly pid: string;
  readonly comm: string;
  /** Null: not printed. */
  readonly uid: string | null;
}

const START = /^oom-kill:constraint=CONSTRAINT_(\w+),/;
const END = /,pid=(\d+),uid=(\d+)$/;

/**
 * Parses the line of `dump_oom_summary` (mm/oom_kill.c). Paths may contain commas, so later fields are
 * searched from the end; a single expression would be slow on a crafted line.
 */
export function readChoice(line: string): Choice | undefined {
  const constraint = START.exec(line)?.[1];
  const end = END.exec(line);
  if (constraint === undefined || end === null) return undefined;
  const [, pid = '', uid = ''] = end;
  const task = line.lastIndexOf(',task=', end.index);
  if (task < 0) return undefined;
  const who = { pid, uid, comm: line.slice(task + ',task='.length, end.index) };
  const own = line.lastIndexOf(',task_memcg=', task);
  const where = line.slice(0, own < 0 ? task : own);
  const group = /,oom_memcg=(.*)/s.exec(where)?.[1];
  const isMachine = group === undefined && where.endsWith(',global_oom');
  const [all = '', nodemask = null, cpuset = null, memsAllowed = null] =
    /,nodemask=(\(null\)|[\d,-]*),cpuset=(.*?),mems_allowed=([\d-]+(?:,[\d-]+)*)/s.exec(where) ?? [];
  // Without CONFIG_MEMCG there are no fields in between.
  if (own < 0 ? all === '' || !where.endsWith(all) : group === undefined && !isMachine) return undefined;
  return {
    constraint,
    nodemask,
    cpuset,
    memsAllowed,
    group,
    ...who,
    own: own < 0 ? undefined : line.slice(own + ',task_memcg='.length, task),
  };
}
