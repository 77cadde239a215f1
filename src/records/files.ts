/** Kinds of open files, by the link of a descriptor (Documentation/filesystems/proc.rst, 3.8). */
export const DESCRIPTOR_KINDS = [
  'file',
  'deleted-file',
  'device',
  'memfd',
  'dma-buf',
  'socket',
  'pipe',
  'epoll',
  'inotify',
  'fanotify',
  'eventfd',
  'timerfd',
  'signalfd',
  'io-uring',
  'bpf',
  'perf-event',
  'other',
] as const;
export type DescriptorKind = (typeof DESCRIPTOR_KINDS)[number];

/** Descriptors of one kind. */
export interface DescriptorGroup {
  readonly kind: DescriptorKind;
  readonly count: number;
  /**
   * Memory of memfds, dma-bufs and BPF maps, and of pipes in a dump, each object once; null: unknown, or the kernel
   * does not report it.
   */
  readonly bytes: number | null;
  /** Watched files of epoll and inotify, marks of fanotify; null: not of that kind. */
  readonly items: number | null;
  /** Most frequent names, with the number of descriptors. Untrusted. */
  readonly names: readonly { readonly name: string; readonly count: number }[];
}

/** Open descriptors of a process. */
export interface Descriptors {
  readonly pid: number;
  /** Untrusted; null: unknown. */
  readonly comm: string | null;
  /** All of them, also unreadable ones. */
  readonly count: number;
  /** RLIMIT_NOFILE; null: unlimited or unknown. */
  readonly limit: number | null;
  /** Most descriptors first. */
  readonly groups: readonly DescriptorGroup[];
  /** Descriptors that its unix sockets were passed (SCM_RIGHTS) and it has not received; null: unknown (before 5.6, a dump). */
  readonly passed: number | null;
  /** Of all, not readable; those that were closed meanwhile are left out. */
  readonly unreadable: number;
}

const MAX_NAMES = 5;
/** Different names of a kind: further ones are not counted by name. */
const MAX_DIFFERENT = 100_000;

/** Kinds of anonymous inodes; the kernel omits brackets for some. */
const ANONYMOUS: Readonly<Record<string, DescriptorKind>> = {
  eventpoll: 'epoll',
  inotify: 'inotify',
  fanotify: 'fanotify',
  eventfd: 'eventfd',
  timerfd: 'timerfd',
  signalfd: 'signalfd',
  io_uring: 'io-uring',
  'bpf-map': 'bpf',
  'bpf-prog': 'bpf',
  'bpf-link': 'bpf',
  perf_event: 'perf-event',
};

/** Kinds that watch files. */
const WATCHES: readonly DescriptorKind[] = ['epoll', 'inotify', 'fanotify'];

/** Kind and name of a link. Numbers of sockets and pipes are not part of the name. */
function kindOf(link: string): readonly [DescriptorKind, string] {
  const anonymous = /^anon_inode:\[?([\w-]{1,40})\]?$/.exec(link)?.[1];
  if (anonymous !== undefined) return [ANONYMOUS[anonymous] ?? 'other', anonymous];
  if (link.startsWith('socket:[')) return ['socket', 'socket'];
  if (link.startsWith('pipe:[')) return ['pipe', 'pipe'];
  if (link.startsWith('/memfd:')) return ['memfd', link.slice(1).replace(/ \(deleted\)$/, '')];
  if (link.startsWith('/dmabuf:')) return ['dma-buf', link.slice(1)];
  if (link.endsWith(' (deleted)')) return ['deleted-file', link];
  if (link.startsWith('/dev/') && !link.startsWith('/dev/shm/')) return ['device', link];
  return link.startsWith('/') ? ['file', link] : ['other', link];
}

/** Sums of one kind. */
interface Counted {
  count: number;
  items: number;
  readonly bytes: Map<string, number>;
  readonly names: Map<string, number>;
}

/** Groups the descriptors of a process by kind while they are read. */
export class DescriptorGroups {
  readonly #kinds = new Map<DescriptorKind, Counted>();
  /** Number of descriptors added. */
  count = 0;

  /** Adds a descriptor. @param link as /proc/PID/fd has it; untrusted */
  add(link: string): { readonly kind: DescriptorKind; readonly group: Counted } {
    const [kind, name] = kindOf(link);
    const group = this.#kinds.get(kind) ?? { count: 0, items: 0, bytes: new Map(), names: new Map() };
    this.#kinds.set(kind, group);
    this.count++;
    group.count++;
    if (group.names.size < MAX_DIFFERENT || group.names.has(name))
      group.names.set(name, (group.names.get(name) ?? 0) + 1);
    return { kind, group };
  }

  /** Most descriptors first. */
  list(): DescriptorGroup[] {
    return [...this.#kinds].map(groupOf).toSorted((a, b) => b.count - a.count);
  }
}

function groupOf([kind, { count, items, bytes, names }]: [DescriptorKind, Counted]): DescriptorGroup {
  return {
    kind,
    count,
    bytes: bytes.size === 0 ? null : [...bytes.values()].reduce((sum, size) => sum + size, 0),
    items: WATCHES.includes(kind) ? items : null,
    names: [...names]
      .map(([name, times]) => ({ name, count: times }))
      .toSorted((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1))
      .slice(0, MAX_NAMES),
  };
}

/** A file with resident pages, which a process has open or mapped. */
export interface CachedFile {
  /** As the process sees it; untrusted. */
  readonly path: string;
  /** A process that has it open or mapped. */
  readonly pid: number;
  readonly deleted: boolean;
  readonly mapped: boolean;
  /** Such as `ext4`. */
  readonly fsType: string;
  readonly inode: string;
  /** Resident pages. */
  readonly bytes: number;
  readonly sizeBytes: number;
}

/** Files that processes have open or mapped. */
export interface CachedFiles {
  /** Largest first, without files that have no resident pages. */
  readonly files: readonly CachedFile[];
  /**
   * What was not read. `processes`: beyond the limits of number and time; `descriptors`, `maps`: of processes;
   * `file-system`: files of a network, FUSE or unknown file system; `gone`: closed meanwhile; `time`: fincore
   * did not report them in time.
   */
  readonly leftOut: readonly { readonly reason: LeftOutReason; readonly count: number }[];
}

export const LEFT_OUT_REASONS = ['processes', 'descriptors', 'maps', 'file-system', 'gone', 'time'];
export type LeftOutReason = (typeof LEFT_OUT_REASONS)[number];
