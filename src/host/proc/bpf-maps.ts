import type { NamedMemory } from '../../records/named-memory.js';

/** The link of a descriptor of a BPF map. */
export const BPF_MAP_LINK = 'anon_inode:bpf-map';

/** BPF_F_NO_PREALLOC of include/uapi/linux/bpf.h. */
const NO_PREALLOC = 1;
const MAX_MAPS = 1_000_000;
/** A map that allocates on use changes by less between two reads of it. Bytes. */
const MAX_CHANGE = 16 * 2 ** 20;

interface BpfMap {
  readonly bytes: number;
  readonly isLazy: boolean;
  readonly pids: Set<number>;
}

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
    const field = (name: string) => Number(new RegExp(`^${name}:\\t(\\w{1,18})$`, 'm').exec(text)?.[1] ?? Number.NaN);
    const [id, bytes] = [field('map_id'), field('memlock')];
    const map = this.#maps.get(id);
    if (!(Number.isSafeInteger(id) && Number.isSafeInteger(bytes))) this.unread++;
    else if (map) {
      map.pids.add(pid);
      if (Math.abs(map.bytes - bytes) > MAX_CHANGE) this.unread++;
    } else if (this.#maps.size >= this.#most) this.isCut = true;
    else this.#maps.set(id, { bytes, isLazy: (field('map_flags') & NO_PREALLOC) !== 0, pids: new Set([pid]) });
    return true;
  }

  /** @param largest processes that have most of these open @param least below it there is no row */
  rows(least: number, largest: (maps: readonly BpfMap[]) => NonNullable<NamedMemory['processes']>): NamedMemory[] {
    const maps = [...this.#maps.values()];
    const sum = (some: readonly BpfMap[]) => some.reduce((all, one) => all + one.bytes, 0);
    const bytes = sum(maps);
    if (bytes < least) return [];
    const figures = { maps: maps.length, lazyBytes: sum(maps.filter(({ isLazy }) => isLazy)) };
    const source = '/proc/PID/fdinfo';
    return [{ kind: 'bpf-maps', name: 'BPF', category: null, bytes, source, figures, processes: largest(maps) }];
  }
}
