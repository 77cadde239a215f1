import type { NamedMemory } from '../../records/named-memory.js';

/** The link of a descriptor of a BPF map. */
export const BPF_MAP_LINK = 'anon_inode:bpf-map';

/** BPF_F_NO_PREALLOC, BPF_MAP_TYPE_RINGBUF and BPF_MAP_TYPE_USER_RINGBUF of include/uapi/linux/bpf.h. */
const NO_PREALLOC = 1;
const RINGS: readonly number[] = [27, 31];
const MAX_MAPS = 1_000_000;
/** A map that allocates on use changes by less between two reads of it. Bytes. */
const MAX_CHANGE = 16 * 2 ** 20;

interface BpfMap {
  readonly bytes: number;
  readonly isLazy: boolean;
  readonly isRing: boolean;
  readonly pids: Set<number>;
}

const fieldOf = (text: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s*(\\w{1,18})$`, 'm').exec(text)?.[1] ?? Number.NaN);

/**
 * Bytes of a map by its fdinfo, NaN: unknown. Of a ring buffer `memlock` is 0 from 5.11 to 6.3 (bpf_map_memory_footprint), and
 * later contains the table of its pages: its data has max_entries bytes (bpf_ringbuf_area_alloc, kernel/bpf/ringbuf.c).
 */
export function bytesOfMap(text: string): number {
  return fieldOf(text, isRing(text) ? 'max_entries' : 'memlock');
}

const isRing = (text: string): boolean => RINGS.includes(fieldOf(text, 'map_type'));

/**
 * BPF maps that processes have open, each once by its id (bpf_map_show_fdinfo, kernel/bpf/syscall.c). `memlock` is what a map
 * takes; kernels before 6.4 report the limit of a map that allocates its entries on use.
 */
export class BpfMaps {
  readonly #maps = new Map<number, BpfMap>();
  readonly #most: number;
  /** Whether there were more maps than these. */
  isCut = false;
  /** Descriptors whose fdinfo is malformed, or contradicts that of another descriptor of the map. */
  unread = 0;

  constructor(most = MAX_MAPS) {
    this.#most = most;
  }

  /** @param isMap whether the link says so; of a capture only the text does @returns whether it is the fdinfo of a map */
  add(pid: number, text: string, isMap: boolean): boolean {
    if (!isMap && !/^(?:map_id|memlock):/m.test(text)) return false;
    const [id, bytes] = [fieldOf(text, 'map_id'), bytesOfMap(text)];
    const map = this.#maps.get(id);
    if (!(Number.isSafeInteger(id) && Number.isSafeInteger(bytes))) this.unread++;
    else if (map) {
      map.pids.add(pid);
      if (Math.abs(map.bytes - bytes) > MAX_CHANGE) this.unread++;
    } else if (this.#maps.size >= this.#most) this.isCut = true;
    else {
      const isLazy = (fieldOf(text, 'map_flags') & NO_PREALLOC) !== 0;
      this.#maps.set(id, { bytes, isLazy, isRing: isRing(text), pids: new Set([pid]) });
    }
    return true;
  }

  /**
   * Maps, and apart from them ring buffers, whose pages are in no counter.
   *
   * @param largest processes that have most of these open
   * @param least below it there is no row
   */
  rows(least: number, largest: (maps: readonly BpfMap[]) => NonNullable<NamedMemory['processes']>): NamedMemory[] {
    const all = [...this.#maps.values()];
    const sum = (some: readonly BpfMap[]) => some.reduce((bytes, map) => bytes + map.bytes, 0);
    const rowOf = (maps: readonly BpfMap[], kind: Pick<NamedMemory, 'kind' | 'category'>): NamedMemory[] => {
      const bytes = sum(maps);
      if (bytes < least) return [];
      const figures = { maps: maps.length, lazyBytes: sum(maps.filter(({ isLazy }) => isLazy)) };
      return [{ ...kind, name: 'BPF', bytes, source: '/proc/PID/fdinfo', figures, processes: largest(maps) }];
    };
    return [
      ...rowOf(
        all.filter((map) => !map.isRing),
        { kind: 'bpf-maps', category: null },
      ),
      ...rowOf(
        all.filter((map) => map.isRing),
        { kind: 'trace-rings', category: 'rings' },
      ),
    ];
  }
}
