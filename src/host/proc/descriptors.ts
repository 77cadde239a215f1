import { isHostError } from '../../base/errors.js';
import type { HostSource } from '../host-source.js';
import { optionalText } from './process.js';

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
  /** Memory of memfds, dma-bufs and BPF maps, each object once; null: the kernel does not report it. */
  readonly bytes: number | null;
  /** Watched files of epoll and inotify; null: not of that kind. */
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
  /** Of these, not readable; those that were closed meanwhile are left out. */
  readonly unreadable: number;
}

const MAX_NAMES = 5;
/** Different names of a kind: further ones are not counted by name. */
const MAX_DIFFERENT = 100_000;

/** Kinds of anonymous inodes; the kernel omits brackets for some. */
const ANONYMOUS: Readonly<Record<string, DescriptorKind>> = {
  eventpoll: 'epoll',
  inotify: 'inotify',
  eventfd: 'eventfd',
  timerfd: 'timerfd',
  signalfd: 'signalfd',
  io_uring: 'io-uring',
  'bpf-map': 'bpf',
  'bpf-prog': 'bpf',
  'bpf-link': 'bpf',
  perf_event: 'perf-event',
};

/** Which line of fdinfo counts an item. */
const ITEMS: Partial<Record<DescriptorKind, RegExp>> = {
  epoll: /^tfd:/gm,
  inotify: /^inotify wd:/gm,
};

/**
 * Reads the descriptors of a process: its links, and fdinfo of kinds that report memory or items. No
 * file is opened or asked for its size, except memfds, so that an unresponsive file system cannot block.
 *
 * @throws {HostError} `gone`, `denied`
 */
export function readDescriptors(source: HostSource, pid: number): Descriptors {
  const directory = `/proc/${pid}/fd`;
  const kinds = new Map<DescriptorKind, Counted>();
  let [count, unreadable] = [0, 0];
  for (const fd of source.list(directory)) {
    try {
      const link = source.readLink(`${directory}/${fd}`);
      const [kind, name] = kindOf(link);
      const group = kinds.get(kind) ?? { count: 0, items: 0, bytes: new Map(), names: new Map() };
      kinds.set(kind, group);
      count++;
      group.count++;
      if (group.names.size < MAX_DIFFERENT || group.names.has(name))
        group.names.set(name, (group.names.get(name) ?? 0) + 1);
      readDetails(source, { pid, fd, kind, link }, group);
    } catch (error) {
      if (!isHostError(error)) throw error;
      if (error.code !== 'gone') unreadable++;
    }
  }
  const limit = /^Max open files +(\d{1,15}) /m.exec(
    optionalText(source, `/proc/${pid}/limits`),
  )?.[1];
  return {
    pid,
    comm: optionalText(source, `/proc/${pid}/comm`).trimEnd() || null,
    count: count + unreadable,
    limit: limit === undefined ? null : Number(limit),
    groups: [...kinds].map(groupOf).toSorted((a, b) => b.count - a.count),
    unreadable,
  };
}

/** Sums of one kind. Bytes by object: several descriptors may share one. */
interface Counted {
  count: number;
  items: number;
  readonly bytes: Map<string, number>;
  readonly names: Map<string, number>;
}

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

interface Opened {
  readonly pid: number;
  readonly fd: string;
  readonly kind: DescriptorKind;
  readonly link: string;
}

function readDetails(source: HostSource, { pid, fd, kind, link }: Opened, group: Counted): void {
  const path = `/proc/${pid}/fd/${fd}`;
  const info = () => source.readText(`/proc/${pid}/fdinfo/${fd}`);
  const figure = (text: string, name: string) =>
    Number(new RegExp(`^${name}:\\s*(\\d{1,15})$`, 'm').exec(text)?.[1] ?? Number.NaN);
  const items = ITEMS[kind];
  if (items) group.items += info().match(items)?.length ?? 0;
  if (kind === 'memfd' && source.file) {
    const { device, inode, bytes } = source.file(path);
    group.bytes.set(`${device}:${inode}`, bytes);
  } else if (kind === 'dma-buf' || link === 'anon_inode:bpf-map') {
    const text = info();
    const bytes = figure(text, kind === 'bpf' ? 'memlock' : 'size');
    const id = kind === 'bpf' ? figure(text, 'map_id') : figure(text, 'ino');
    if (!Number.isNaN(bytes)) group.bytes.set(Number.isNaN(id) ? fd : `${id}`, bytes);
  }
}

function groupOf([kind, { count, items, bytes, names }]: [
  DescriptorKind,
  Counted,
]): DescriptorGroup {
  return {
    kind,
    count,
    bytes: bytes.size === 0 ? null : [...bytes.values()].reduce((sum, one) => sum + one, 0),
    items: ITEMS[kind] ? items : null,
    names: [...names]
      .map(([name, times]) => ({ name, count: times }))
      .toSorted((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1))
      .slice(0, MAX_NAMES),
  };
}
