import type { LogMessage } from './lines.js';

/** Free memory of a zone when the kernel ran out, in bytes. */
export interface ZoneShown {
  readonly node: number;
  readonly zone: string;
  readonly free: number;
  readonly min: number;
}

/** What the kernel prints of memory when it has none (`show_mem`, mm/show_mem.c; mm/page_alloc.c before 6.4). */
export interface MemInfoShown {
  /** `active_anon`, `slab_unreclaimable`, …: pages, of the whole machine. */
  readonly pages: ReadonlyMap<string, number>;
  readonly zones: readonly ZoneShown[];
  /** Free bytes in blocks of so many bytes, over all zones. */
  readonly freeBlocks: ReadonlyMap<number, number>;
  /** Pages. Null: not printed. */
  readonly ram: number | null;
  readonly reserved: number | null;
  /** Bytes. */
  readonly hugePages: number;
  readonly swapTotal: number | null;
  readonly swapFree: number | null;
}

/** Names that kernels print; of a hostile log no more are kept. */
const MOST_NAMES = 64;
const MOST_ZONES = 4096;

const COUNTS = /^(?:[a-z_]+:\d+ ?)+$/;
const ZONE = /^Node (\d+) (\w+) free:(\d+)kB (?:boost:\d+kB )?min:(\d+)kB /;
const BLOCKS = /^Node \d+ \w+: ((?:\d+\*\d+kB (?:\(\w+\) )?)+)= \d+kB$/;
const HUGE = /^Node \d+ hugepages_total=(\d+) .*hugepages_size=(\d+)kB$/;

/** Puts it together, line by line. */
export class MemInfoReader {
  readonly #pages = new Map<string, number>();
  readonly #zones: ZoneShown[] = [];
  readonly #blocks = new Map<number, number>();
  #ram: number | null = null;
  #reserved: number | null = null;
  #huge = 0;
  #swapTotal: number | null = null;
  #swapFree: number | null = null;

  /** Whether a message is of it. Further lines are its own where the first is: no name stands in them. */
  takeMessage({ text, further }: Pick<LogMessage, 'text' | 'further'>): boolean {
    const isOwn = this.take(text);
    if (isOwn) for (const line of further) this.take(line);
    return isOwn;
  }

  /** Whether the line is of it. */
  take(line: string): boolean {
    if (COUNTS.test(line)) {
      for (const pair of line.split(' ')) {
        const [name = '', count] = pair.split(':');
        if (this.#pages.size < MOST_NAMES) this.#pages.set(name, Number(count));
      }
      return true;
    }
    const zone = ZONE.exec(line);
    if (zone) {
      const [, node, name = '', free, min] = zone;
      if (this.#zones.length < MOST_ZONES)
        this.#zones.push({
          ...{ node: Number(node), zone: name },
          ...{ free: Number(free) * 1024, min: Number(min) * 1024 },
        });
      return true;
    }
    const blocks = BLOCKS.exec(line)?.[1];
    if (blocks !== undefined) {
      for (const [, count, size] of blocks.matchAll(/(\d+)\*(\d+)kB/g)) {
        const bytes = Number(size) * 1024;
        if (this.#blocks.size < MOST_NAMES)
          this.#blocks.set(bytes, (this.#blocks.get(bytes) ?? 0) + Number(count) * bytes);
      }
      return true;
    }
    const huge = HUGE.exec(line);
    if (huge) {
      this.#huge += Number(huge[1]) * Number(huge[2]) * 1024;
      return true;
    }
    return this.#takeTotal(line);
  }

  #takeTotal(line: string): boolean {
    const swap = /^(Free|Total) swap {1,2}= (\d+)kB$/.exec(line);
    const pages = /^(\d+) pages (RAM|reserved)$/.exec(line);
    if (swap?.[1] === 'Free') this.#swapFree = Number(swap[2]) * 1024;
    else if (swap) this.#swapTotal = Number(swap[2]) * 1024;
    else if (pages?.[2] === 'RAM') this.#ram = Number(pages[1]);
    else if (pages) this.#reserved = Number(pages[1]);
    return swap !== null || pages !== null;
  }

  /** Undefined: nothing of it was printed. */
  shown(): MemInfoShown | undefined {
    if (this.#pages.size === 0 && this.#zones.length === 0) return undefined;
    return {
      ...{ pages: this.#pages, zones: this.#zones, freeBlocks: this.#blocks },
      ...{ ram: this.#ram, reserved: this.#reserved, hugePages: this.#huge },
      ...{ swapTotal: this.#swapTotal, swapFree: this.#swapFree },
    };
  }
}

/** What the machine's memory was when it ran out, in bytes; null: it was not printed. */
export function memoryThen(shown: MemInfoShown | undefined, pageSize: number) {
  const sum = (...names: readonly string[]): number | null => {
    if (!shown || names.every((name) => !shown.pages.has(name))) return null;
    return names.reduce((all, name) => all + (shown.pages.get(name) ?? 0), 0) * pageSize;
  };
  const managed =
    shown?.ram == null || shown.reserved === null ? null : (shown.ram - shown.reserved) * pageSize;
  const free = sum('free', 'free_pcp');
  // Shared memory lies on the lists of anonymous memory; what is mapped, dirty or written back is of files.
  const applications = sum(
    ...['active_anon', 'inactive_anon', 'isolated_anon', 'active_file', 'inactive_file'],
    ...['isolated_file', 'unevictable'],
  );
  const slab = sum('slab_reclaimable', 'slab_unreclaimable');
  const tables = sum('pagetables', 'sec_pagetables');
  const parts = [free, applications, slab, tables];
  const counted = parts.reduce<number>((all, part) => all + (part ?? 0), shown?.hugePages ?? 0);
  return {
    managedBytes: managed,
    freeBytes: free,
    anonBytes: sum('active_anon', 'inactive_anon', 'isolated_anon'),
    fileBytes: sum('active_file', 'inactive_file', 'isolated_file'),
    unevictableBytes: sum('unevictable'),
    sharedBytes: sum('shmem'),
    slabBytes: slab,
    pageTableBytes: tables,
    hugePageBytes: shown === undefined ? null : shown.hugePages,
    /** In no counter that was printed: vmalloc, stacks, per-CPU memory, and what drivers took. */
    uncountedBytes: managed === null || parts.includes(null) ? null : managed - counted,
    swapTotalBytes: shown?.swapTotal ?? null,
    swapFreeBytes: shown?.swapFree ?? null,
  };
}
