import type { FreeBlocks, SiteShown, SlabShown, ZoneShown } from '../../contracts/log-reports.js';
import type { LogMessage } from './lines.js';

/** The kernel's memory report (`show_mem`, mm/show_mem.c; mm/page_alloc.c before 6.4). */
export interface MemInfoShown {
  /** `active_anon`, `slab_unreclaimable`, …: pages of the whole machine. */
  readonly pages: ReadonlyMap<string, number>;
  readonly zones: readonly ZoneShown[];
  /** Free blocks of all zones; null: some are truncated, or contradict their sum. */
  readonly freeBlocks: readonly FreeBlocks[] | null;
  /** Sum of a field such as `kernel_stack` over nodes or zones, bytes; undefined: a line is truncated. */
  readonly sums: (name: string) => number | undefined;
  /** Size of an order-0 block; null: none were printed. */
  readonly pageSize: number | null;
  /** Pages on per-CPU free lists, from kernels that print no `free_pcp`; null: not printed. */
  readonly perCpu: number | null;
  /** `pages RAM`, `pages reserved`, …: pages. */
  readonly totals: ReadonlyMap<string, number>;
  /** Bytes. */
  readonly hugePages: number;
  readonly swapTotal: number | null;
  readonly swapFree: number | null;
  readonly slabs: readonly SlabShown[];
  readonly sites: readonly SiteShown[];
}

/** Maximum number of names in an untrusted log. */
const MAX_NAMES = 64;
const MAX_ZONES = 4096;
const MAX_ROWS = 100;

const COUNTS = /^(?:[a-z_]+:\d+ ?)+$/;
// Without CONFIG_NUMA a zone's line does not name the node (show_node).
const ZONE =
  /^(?:Node (\d+) )?([A-Z]\w{2,8}) free:(\d+)kB (?:boost:\d+kB )?min:(\d+)kB(?: low:(\d+)kB)?(?: high:(\d+)kB)?/;
const NODE = /^Node (\d+) active_anon:/;
const FIELD = / ([A-Za-z_]+):(\d+)kB(?= |$)/g;
const BLOCKS = /^(?:Node (\d+) )?([A-Z]\w{2,8}): ((?:\d+\*\d+kB (?:\(\w+\) )?)+)= (\d+)kB$/;
const HUGE = /^Node \d+ hugepages_total=(\d+) .*hugepages_size=(\d+)kB$/;
const PER_CPU = /^CPU +\d+: hi: +\d+, btch: +\d+ usd: +(\d+)$/;
const TOTAL =
  /^(\d+) (pages RAM|pages of RAM|pages reserved|reserved pages|pages HighMem|pages cma reserved|pages hwpoisoned|pages in pagetable cache|pages in swap cache|total pagecache pages)(?:\/MovableOnly)?$/;
/** Names in arch/arm/mm/init.c before 3.16. */
const ALIASES = new Map([
  ['pages of RAM', 'pages RAM'],
  ['reserved pages', 'pages reserved'],
]);
const SLAB = /^(\S.{0,63}?) +(\d+)KB +(\d+)KB$/;
const SITE = /^([\d.]+) ?(|[kKMGTP]i?)B +(\d+) (\S+:\d+ .*func:\S+)$/;
const UNITS = ['', 'K', 'M', 'G', 'T', 'P'];

/** Fields on the lines of nodes, or of zones before 5.9: a line that lacks one is truncated. */
type Fields = ReadonlyMap<string, number>;

type Zone = { -readonly [K in keyof ZoneShown]: ZoneShown[K] };

/** Parses the memory report, line by line. */
export class MemInfoReader {
  readonly #pages = new Map<string, number>();
  readonly #zones = new Map<string, Zone>();
  readonly #fields: { readonly node: Fields[]; readonly zone: Fields[] } = { node: [], zone: [] };
  #blocks: FreeBlocks[] | null = [];
  readonly #totals = new Map<string, number>();
  readonly #slabs: SlabShown[] = [];
  readonly #sites: SiteShown[] = [];
  #last: Zone | undefined;
  #pageSize: number | null = null;
  #perCpu: number | null = null;
  #huge = 0;
  #swapTotal: number | null = null;
  #swapFree: number | null = null;
  #ofSlabs = false;

  /**
   * Whether a message belongs to the memory report. If its first line does, its further lines do as well:
   * they contain no name.
   */
  takeMessage({ text, further }: Pick<LogMessage, 'text' | 'further'>): boolean {
    const isOwn = this.take(text);
    if (isOwn) for (const line of further) this.take(line);
    return isOwn;
  }

  /** Whether the line belongs to the memory report. */
  take(line: string): boolean {
    if (COUNTS.test(line)) {
      for (const pair of line.split(' ')) {
        const [name = '', count] = pair.split(':');
        if (this.#pages.size < MAX_NAMES) this.#pages.set(name, Number(count));
      }
      return true;
    }
    return this.#takeZone(line) || this.#takeTotal(line) || this.#takeRow(line);
  }

  #takeZone(line: string): boolean {
    const zone = ZONE.exec(line);
    if (zone) {
      const [, node, name = '', free, min, low, high] = zone;
      const fields = fieldsIn(line);
      this.#last = {
        node: Number(node ?? 0),
        zone: name,
        freeBytes: Number(free) * 1024,
        minBytes: Number(min) * 1024,
        lowBytes: low === undefined ? null : Number(low) * 1024,
        highBytes: high === undefined ? null : Number(high) * 1024,
        presentBytes: fields.get('present') ?? null,
        managedBytes: fields.get('managed') ?? null,
        cmaFreeBytes: fields.get('free_cma') ?? null,
        reserves: [],
        freeBlocks: null,
      };
      if (this.#zones.size >= MAX_ZONES) return true;
      this.#zones.set(`${node ?? 0} ${name}`, this.#last);
      this.#fields.zone.push(fields);
      return true;
    }
    if (NODE.test(line)) {
      if (this.#fields.node.length < MAX_ZONES) this.#fields.node.push(fieldsIn(line));
      return true;
    }
    const reserves = /^lowmem_reserve\[\]:((?: \d+){1,16})$/.exec(line)?.[1];
    if (reserves !== undefined) {
      if (this.#last) this.#last.reserves = reserves.trim().split(' ').map(Number);
      return true;
    }
    return this.#takeBlocks(line);
  }

  #takeBlocks(line: string): boolean {
    const [, node, zone, text, total] = BLOCKS.exec(line) ?? [];
    if (text === undefined) return false;
    const blocks: (FreeBlocks & { readonly kib: number })[] = [];
    for (const [, count, kib, types = ''] of text.matchAll(/(\d+)\*(\d+)kB(?: \((\w+)\))?/g))
      blocks.push({ order: blocks.length, count: Number(count), types, kib: Number(kib) });
    const first = blocks[0]?.kib ?? 0;
    const isWhole =
      blocks.every(({ order, kib }) => kib === first * 2 ** order) &&
      blocks.reduce((sum, { count, kib }) => sum + count * kib, 0) === Number(total);
    if (!isWhole) this.#blocks = null;
    if (!isWhole || (this.#blocks?.length ?? 0) > MAX_ZONES) return true;
    this.#pageSize ??= first * 1024;
    const freeBlocks = blocks.map(({ kib: _, ...block }) => block);
    this.#blocks?.push(...freeBlocks);
    const known = this.#zones.get(`${node ?? 0} ${zone}`);
    if (known) known.freeBlocks = freeBlocks;
    return true;
  }

  #takeTotal(line: string): boolean {
    const perCpu = PER_CPU.exec(line);
    if (perCpu) {
      this.#perCpu = (this.#perCpu ?? 0) + Number(perCpu[1]);
      return true;
    }
    const huge = HUGE.exec(line);
    if (huge) {
      this.#huge += Number(huge[1]) * Number(huge[2]) * 1024;
      return true;
    }
    const swap = /^(Free|Total) swap {1,2}= (\d+)kB$/.exec(line);
    if (swap?.[1] === 'Free') this.#swapFree = Number(swap[2]) * 1024;
    else if (swap) this.#swapTotal = Number(swap[2]) * 1024;
    const total = TOTAL.exec(line);
    const name = total?.[2] ?? '';
    if (total) this.#totals.set(ALIASES.get(name) ?? name, Number(total[1]));
    return swap !== null || total !== null;
  }

  #takeRow(line: string): boolean {
    if (line === 'Unreclaimable slab info:') this.#ofSlabs = true;
    const slab = this.#ofSlabs ? SLAB.exec(line) : null;
    if (slab) {
      const [, cache = '', used, total] = slab;
      const bytes = { usedBytes: Number(used) * 1024, totalBytes: Number(total) * 1024 };
      keepLargest(this.#slabs, { cache, ...bytes }, ({ totalBytes }) => totalBytes);
      return true;
    }
    const site = SITE.exec(line);
    if (site) {
      const [, size, unit = '', calls, place = ''] = site;
      const power = UNITS.indexOf(unit.charAt(0).toUpperCase());
      const aboutBytes = Math.round(Number(size) * 1024 ** power);
      if (this.#sites.length < MAX_ROWS) this.#sites.push({ site: place, calls: Number(calls), aboutBytes });
    }
    return site !== null;
  }

  /** Returns the memory report; undefined: none was printed. */
  shown(): MemInfoShown | undefined {
    if (this.#pages.size === 0 && this.#zones.size === 0 && this.#slabs.length === 0) return undefined;
    const zones = [...this.#zones.values()];
    const isCut = zones.some(({ freeBlocks }) => freeBlocks === null);
    return {
      pages: this.#pages,
      zones,
      totals: this.#totals,
      freeBlocks: isCut || this.#blocks?.length === 0 ? null : this.#blocks,
      pageSize: this.#pageSize,
      perCpu: this.#perCpu,
      hugePages: this.#huge,
      swapTotal: this.#swapTotal,
      swapFree: this.#swapFree,
      slabs: this.#slabs,
      sites: this.#sites,
      sums: (name) => {
        const { node, zone } = this.#fields;
        const from = node.some((fields) => fields.has(name)) ? node : zone;
        if (from.some((fields) => !fields.has(name))) return undefined;
        return from.reduce((sum, fields) => sum + (fields.get(name) ?? 0), 0);
      },
    };
  }
}

function fieldsIn(line: string): Fields {
  return new Map([...line.matchAll(FIELD)].map(([, name = '', kib]) => [name, Number(kib) * 1024]));
}

function keepLargest<T>(list: T[], item: T, size: (item: T) => number): void {
  list.push(item);
  if (list.length > 2 * MAX_ROWS) list.sort((a, b) => size(b) - size(a)).splice(MAX_ROWS);
}

/** Counters of pages that are part of MemTotal and of no other counter used here. */
const APPLICATIONS = [
  'active_anon',
  'inactive_anon',
  'isolated_anon',
  'active_file',
  'inactive_file',
  'isolated_file',
  'unevictable',
];

/** Memory of the machine when it ran out, in bytes; null: not printed. */
export function memoryThen(shown: MemInfoShown | undefined, pageSize: number) {
  const sum = (...names: readonly string[]): number | null => {
    if (!shown || names.every((name) => !shown.pages.has(name))) return null;
    return names.reduce((all, name) => all + (shown.pages.get(name) ?? 0), 0) * pageSize;
  };
  const total = (name: string): number | null => {
    const pages = shown?.totals.get(name);
    return pages === undefined ? null : pages * pageSize;
  };
  const [ram, reserved] = [total('pages RAM'), total('pages reserved')];
  const managed = ram === null || reserved === null ? null : ram - reserved;
  const perCpu = sum('free_pcp') ?? (shown?.perCpu == null ? null : shown.perCpu * pageSize);
  const free = sum('free');
  const slab = sum('slab_reclaimable', 'slab_unreclaimable');
  const tables = sum('pagetables', 'sec_pagetables');
  // Zones of nodes that the request could not use are not printed: sums over zones do not cover the machine.
  const present = shown?.zones.reduce((all, zone) => all + (zone.presentBytes ?? 0), 0);
  const isWhole = shown?.zones.some((zone) => zone.managedBytes !== null) ? present === ram : true;
  const field = (name: string) => (isWhole ? shown?.sums(name) : undefined);
  const stacks = field('kernel_stack') ?? null;
  // Shared memory is on the anonymous lists; mapped, dirty and writeback pages are file pages.
  const parts = [free, isWhole ? perCpu : null, sum(...APPLICATIONS), slab, tables, stacks];
  const others = [
    field('shadow_call_stack'),
    field('gpu_active'),
    field('gpu_reclaim'),
    sum('kernel_misc_reclaimable'),
    sum('bounce'),
  ];
  const counted = [...parts, ...others].reduce<number>((all, part) => all + (part ?? 0), 0) + (shown?.hugePages ?? 0);
  const [largest] = shown?.slabs.toSorted((a, b) => b.totalBytes - a.totalBytes) ?? [];
  const [swapTotal, swapFree] = [shown?.swapTotal ?? null, shown?.swapFree ?? null];
  const swapCache = total('pages in swap cache');
  return {
    pageSizeBytes: shown === undefined ? null : pageSize,
    ramBytes: ram,
    reservedBytes: reserved,
    managedBytes: managed,
    highMemBytes: total('pages HighMem'),
    freeBytes: free === null ? null : free + (perCpu ?? 0),
    anonBytes: sum('active_anon', 'inactive_anon', 'isolated_anon'),
    fileBytes: sum('active_file', 'inactive_file', 'isolated_file'),
    unevictableBytes: sum('unevictable'),
    sharedBytes: sum('shmem'),
    mappedBytes: sum('mapped'),
    dirtyBytes: sum('dirty'),
    writebackBytes: sum('writeback'),
    pageCacheBytes: total('total pagecache pages'),
    slabBytes: slab,
    slabUnreclaimableBytes: sum('slab_unreclaimable'),
    pageTableBytes: tables,
    kernelStackBytes: stacks,
    hugePageBytes: shown === undefined ? null : shown.hugePages,
    mlockedBytes: field('mlocked') ?? null,
    bounceBytes: sum('bounce'),
    /** Partly included in `reservedBytes`: some drivers take the balloon's pages from managed memory. */
    balloonBytes: field('Balloon') ?? null,
    cmaBytes: total('pages cma reserved'),
    cmaFreeBytes: sum('free_cma'),
    hardwarePoisonedBytes: total('pages hwpoisoned'),
    slabCache: largest?.cache ?? null,
    slabCacheBytes: largest?.totalBytes ?? null,
    /** Memory in no printed counter: vmalloc, per-CPU memory, and memory that drivers allocated. */
    unattributedBytes: managed === null || parts.includes(null) ? null : managed - counted,
    swapTotalBytes: swapTotal,
    swapFreeBytes: swapFree,
    swapCacheBytes: swapCache,
    /** Without pages that are also in the swap cache. */
    swapUsedBytes:
      swapTotal === null || swapFree === null || swapCache === null ? null : swapTotal - swapFree - swapCache,
  };
}
