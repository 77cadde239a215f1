import type { MemoryAnswer } from '../../account/memory/answer.js';
import { escapeText } from '../../base/escape.js';
import { count, formatCount, formatSize } from '../../base/size.js';
import { grouped } from '../../base/util.js';
import type { NamedKind, NamedMemory } from '../../records/named-memory.js';

/** A smaller share of memory is only mentioned with -v. */
const NOTABLE = 0.01;
/** Maximum number of lines of a kind. */
const MAX_LINES = 10;

/** Describes what sources beside /proc/meminfo name, and which were not read. */
export function namedWords({ named, notRead, memory }: MemoryAnswer, verbose: boolean): string[] {
  const sizeOf = ({ bytes, figures }: NamedMemory) => bytes ?? figures.mostBytes ?? memory.bytes;
  const shown = (named ?? []).filter((part) => verbose || sizeOf(part) >= NOTABLE * memory.bytes || isSuspect(part));
  return [
    ...[...grouped(shown, ({ kind }) => kind)].flatMap(([kind, all]) => linesOf(kind, all)),
    ...notRead.map(({ kind, why }) => `Not read: ${NAMES[kind]} (${escapeText(why)}).`),
  ];
}

/** A detached pool is worth a line whatever its size. */
const isSuspect = ({ figures }: NamedMemory): boolean => (figures.detachedPools ?? 0) > 0;

function linesOf(kind: NamedKind, all: readonly NamedMemory[]): string[] {
  const [first, rest] = [all.filter(isSuspect), all.filter((memory) => !isSuspect(memory))];
  const listed = [...first, ...rest];
  const others = listed.splice(MAX_LINES);
  const bytes = others.reduce((sum, other) => sum + (other.bytes ?? 0), 0);
  const least = others.some((other) => other.bytes === null) ? 'at least ' : '';
  return [
    ...listed.flatMap((memory) => WORDS[kind](memory) ?? []),
    ...(others.length === 0
      ? []
      : [
          `Not listed: ${count(others.length, 'more row')} of ${NAMES[kind]}${bytes > 0 ? `, ${least}${formatSize(bytes)}` : ''}.`,
        ]),
  ];
}

const NAMES: Readonly<Record<NamedKind, string>> = {
  'huge-pages': 'pools of huge pages',
  balloon: 'the size of the balloon',
  zram: 'zram devices',
  zswap: 'zswap',
  'zfs-arc': 'the cache of ZFS',
  'dying-cgroups': 'removed cgroups',
  gpu: 'memory of GPUs',
  'dma-buf': 'buffers of GPUs, and dma-bufs',
  'page-pools': 'page pools, and rings of network interfaces',
  'nic-rings': 'rings of network interfaces',
  'bpf-maps': 'BPF maps',
  'trace-rings': 'buffers of ftrace, and rings of perf and BPF',
  pinned: 'pinned memory',
};

const usedBy = ({ pid, comm, bytes }: NonNullable<NamedMemory['processes']>[number]): string =>
  `pid ${pid} (${escapeText(comm ?? 'name unknown')}) ${formatSize(bytes)}`;

const openedBy = ({ figures, processes = [] }: NamedMemory): string[] =>
  processes.length === 0
    ? []
    : [
        `Open in ${processes.map(usedBy).join(', ')} (${figures.maps != null ? 'shared maps' : 'shared buffers'} count for each).`,
      ];

const size = (bytes: number | null | undefined): string => (bytes == null ? '?' : formatSize(bytes));

/** `ratio 2.5`; empty: unknown. */
function ratioWords(data: number | null | undefined, bytes: number | null): string {
  return !data || !bytes ? '' : ` (ratio ${(data / bytes).toFixed(1)})`;
}

/** Pages of a memfd (drivers/dma-buf/udmabuf.c); when it is closed, they leave the page cache, and stay pinned. */
const UDMABUF = ', pages of memfds: shared memory while the memfd is open, then in no counter';

const WORDS: Readonly<Record<NamedKind, (memory: NamedMemory) => string | undefined>> = {
  'huge-pages': ({ name, bytes, figures, nodes = [], processes = [] }) => {
    const { pages, free, reserved, surplus } = figures;
    const byNode = nodes.map((node) => `node ${node.node}: ${formatCount(node.pages)}, ${formatCount(node.free)} free`);
    const users = processes.map(usedBy);
    return [
      `Huge pages of ${name}: ${formatCount(pages ?? 0)} (${size(bytes)}), ${formatCount(free ?? 0)} free,`,
      `${formatCount(reserved ?? 0)} of these reserved by mappings, ${surplus === null ? 'surplus unknown' : `${formatCount(surplus ?? 0)} surplus`}.`,
      ...(byNode.length > 1 ? [`By node: ${byNode.join('; ')}.`] : []),
      ...(users.length > 0 ? [`Mapped by ${users.join(', ')} (shared pages count for each).`] : []),
    ].join(' ');
  },
  balloon: ({ name, bytes, figures: { isInMemTotal, leastBytes } }) => {
    const total =
      isInMemTotal == null
        ? 'whether MemTotal includes it is unknown'
        : `MemTotal ${isInMemTotal === 0 ? 'excludes' : 'includes'} it`;
    const least = leastBytes != null && bytes !== null && leastBytes < bytes ? `between ${size(leastBytes)} and ` : '';
    return `Balloon: ${name} has ${least}${size(bytes)} of this guest; ${total}.`;
  },
  zram: ({ name, bytes, figures }) =>
    `${escapeText(name)}: ${size(figures.dataBytes)} of data in ${size(bytes)}${ratioWords(figures.dataBytes, bytes)}.`,
  zswap: ({ name, bytes, category, figures }) => {
    if (name.startsWith('/')) return `zswap of cgroup ${escapeText(name)}: ${size(bytes)}.`;
    const where =
      category === null ? '; its pool (zbud, z3fold) has no mark and is in other rows, mostly unattributed' : '';
    return `zswap: ${size(figures.dataBytes)} of data in ${size(bytes)}${ratioWords(figures.dataBytes, bytes)}${where}.`;
  },
  'zfs-arc': ({ bytes, figures }) =>
    `ZFS ARC: ${size(bytes)}; ZFS can free up to ${size(figures.reclaimableBytes)} of it when memory is short (minimum ${size(figures.minBytes)}, maximum ${size(figures.maxBytes)}).`,
  'dying-cgroups': ({ name, figures }) =>
    `Removed cgroups that memory still keeps: ${formatCount(figures.dying ?? 0)}${figures.dyingInside == null || name === '/' ? '' : `, ${formatCount(figures.dyingInside)} of them below ${escapeText(name)}`}.`,
  gpu: (memory) => {
    const { name, bytes, figures } = memory;
    const { mostBytes, deviceBytes, clients, silentClients } = figures;
    const amount =
      bytes === null
        ? 'unknown'
        : mostBytes != null && mostBytes > bytes
          ? `between ${size(bytes)} and ${size(mostBytes)}`
          : size(bytes);
    return [
      `GPU ${escapeText(name)}: ${amount} of this machine's memory in buffers of ${formatCount(clients ?? 0)} clients${deviceBytes ? `, and ${size(deviceBytes)} of its own memory` : ''}.`,
      ...(silentClients ? [`The driver reports no size of ${formatCount(silentClients)} of them.`] : []),
      ...openedBy(memory),
    ].join(' ');
  },
  'dma-buf': (memory) => {
    const { name, bytes, category, figures } = memory;
    const content = name === 'udmabuf' ? UDMABUF : category === null ? ', in memory of their driver' : '';
    return [
      `dma-bufs of ${escapeText(name)}: ${formatCount(figures.buffers ?? 0)} buffers, ${size(bytes)}${content}.`,
      ...(figures.unopenedBytes ? [`No process has ${size(figures.unopenedBytes)} of them open.`] : []),
      ...openedBy(memory),
    ].join(' ');
  },
  'page-pools': ({ name, bytes, figures }) => {
    const { pools, detachedPools, detachedBytes, detachedSeconds, foreignBytes } = figures;
    return [
      `Page pools of ${escapeText(name)}: ${formatCount(pools ?? 0)}, with ${size(bytes)} in flight (in rings, socket queues and their caches).`,
      ...(detachedPools
        ? [
            `${formatCount(detachedPools)} of them are detached and not returned: ${size(detachedBytes)}${detachedSeconds == null ? '' : `, the oldest for ${formatCount(detachedSeconds)} s`}.`,
          ]
        : []),
      ...(foreignBytes ? [`Another ${size(foreignBytes)} is memory of dma-bufs or io_uring.`] : []),
    ].join(' ');
  },
  'nic-rings': ({ name, figures }) =>
    `Receive rings of ${escapeText(name)}: between ${size(figures.leastBytes)} and ${size(figures.mostBytes)} (estimate: ${formatCount(figures.descriptors ?? 0)} descriptors in up to ${formatCount(figures.queues ?? 1)} queues, MTU ${formatCount(figures.mtu ?? 0)}); in no row of its own.`,
  'bpf-maps': (memory) => {
    const { bytes, figures } = memory;
    return [
      `BPF maps that processes have open: ${formatCount(figures.maps ?? 0)}, ${size(bytes)}${figures.lazyBytes ? `, of which up to ${size(figures.lazyBytes)} is allocated on use` : ''}.`,
      ...openedBy(memory),
    ].join(' ');
  },
  pinned: ({ name, bytes, figures, processes = [] }) => {
    const { mostBytes, busyRings, regions } = figures;
    const users = processes.map(usedBy);
    return [
      `Pinned by ${escapeText(name)}: ${mostBytes != null && mostBytes > (bytes ?? 0) ? `between ${size(bytes)} and ${size(mostBytes)}` : size(bytes)} in ${regions ? `${count(regions, 'memory region')} and buffers of queues` : 'registered buffers'}, a part of VmPin.`,
      ...(busyRings ? [`${formatCount(busyRings)} busy rings did not report their buffers.`] : []),
      ...(users.length > 0 ? [`Registered by ${users.join(', ')}.`] : []),
    ].join(' ');
  },
  'trace-rings': (memory) => {
    const { name, bytes, figures, processes = [] } = memory;
    const { mappings, mappedBytes, maps } = figures;
    if (maps != null)
      return [
        `BPF ring buffers that processes have open: ${formatCount(maps)}, ${size(bytes)}.`,
        ...openedBy(memory),
      ].join(' ');
    if (mappedBytes == null) return `Buffers of ${escapeText(name)}: ${size(bytes)} on all CPUs.`;
    const users = processes.map(usedBy);
    const amount = mappedBytes > (bytes ?? 0) ? `between ${size(bytes)} and ${size(mappedBytes)}` : size(bytes);
    return `Rings of perf: ${amount} in ${formatCount(mappings ?? 0)} mappings, of ${users.join(', ')}.`;
  },
};
