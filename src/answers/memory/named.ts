import type { MemoryAnswer } from '../../account/memory/answer.js';
import { escapeText } from '../../base/escape.js';
import { formatCount, formatSize } from '../../base/size.js';
import type { NamedKind, NamedMemory } from '../../records/named-memory.js';

/** A smaller share of memory is only mentioned with -v. */
const NOTABLE = 0.01;

/** Describes what sources beside /proc/meminfo name, and which were not read. */
export function namedWords({ named = [], notRead = [], memory }: MemoryAnswer, verbose: boolean): string[] {
  const shown = named.filter(({ bytes }) => verbose || bytes === null || bytes >= NOTABLE * memory.bytes);
  return [
    ...shown.flatMap((one) => WORDS[one.kind](one) ?? []),
    ...notRead.map(({ kind, why }) => `Not read: ${NAMES[kind]} (${escapeText(why)}).`),
  ];
}

const NAMES: Readonly<Record<NamedKind, string>> = {
  'huge-pages': 'pools of huge pages',
  balloon: 'the size of the balloon',
  zram: 'zram devices',
  zswap: 'zswap',
  'zfs-arc': 'the cache of ZFS',
  'dying-cgroups': 'removed cgroups',
};

const size = (bytes: number | null | undefined): string => (bytes == null ? '?' : formatSize(bytes));

/** `ratio 2.5`; empty: unknown. */
function ratioWords(data: number | null | undefined, bytes: number | null): string {
  return !data || !bytes ? '' : ` (ratio ${(data / bytes).toFixed(1)})`;
}

const WORDS: Readonly<Record<NamedKind, (one: NamedMemory) => string | undefined>> = {
  'huge-pages': ({ name, bytes, figures, nodes = [], processes = [] }) => {
    const { pages, free, reserved, surplus } = figures;
    const byNode = nodes.map((one) => `node ${one.node}: ${formatCount(one.pages)}, ${formatCount(one.free)} free`);
    const users = processes.map((one) => `pid ${one.pid} (${escapeText(one.comm ?? '?')}) ${formatSize(one.bytes)}`);
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
  zswap: ({ name, bytes, category, figures }) =>
    category === null
      ? `zswap of cgroup ${escapeText(name)}: ${size(bytes)}.`
      : `zswap: ${size(figures.dataBytes)} of data in ${size(bytes)}${ratioWords(figures.dataBytes, bytes)}.`,
  'zfs-arc': ({ bytes, figures }) =>
    `ZFS ARC: ${size(bytes)}; ZFS can free up to ${size(figures.reclaimableBytes)} of it when memory is short (minimum ${size(figures.minBytes)}, maximum ${size(figures.maxBytes)}).`,
  'dying-cgroups': ({ name, figures }) =>
    `Removed cgroups that memory still keeps: ${formatCount(figures.dying ?? 0)}${figures.dyingInside == null || name === '/' ? '' : `, ${formatCount(figures.dyingInside)} of them below ${escapeText(name)}`}.`,
};
