import { type FrameNote, type LooseSize, type MemoryAnswer, pageSizeOf } from '../../account/memory/answer.js';
import { categoryWords } from '../../account/memory/category-names.js';
import { DEPENDS_ON_FREE } from '../../account/memory/proc-counters.js';
import { type Category, leaves, type Owner } from '../../account/memory/tree.js';
import { escapeText } from '../../base/escape.js';
import { formatCount, formatSize, inflect } from '../../base/size.js';
import { grouped } from '../../base/util.js';
import { isLargePart, type Shortage, shortageOf } from '../../triage/thresholds.js';
import { killWords, shortageWords } from '../origin.js';
import { isFromProc, isUpperBound, ownerWords, share, sourceText } from './words.js';

/**
 * Lists incomplete categories by reason.
 *
 * @param verbose also give the reason for each category that /proc cannot identify
 */
export function incompleteWords(answer: MemoryAnswer, verbose: boolean): string[] {
  const all = leaves(answer.memory).filter(({ why }) => why !== null);
  const names = (categories: readonly Category[]) =>
    categories.map((category) => `“${categoryWords(category)}”`).join(', ');
  if (!verbose && isFromProc(answer)) {
    const what = all.length === 1 ? names(all) : `${formatCount(all.length)} categories`;
    return all.length === 0
      ? []
      : [
          `≈: about. This source does not separate ${what}: their memory is counted in other rows, most in “unattributed” (-v has the reasons).`,
        ];
  }
  return [...grouped(all, ({ why }) => why ?? '')].map(
    ([why, categories]) => `Incomplete: ${names(categories)}${rangeWords(categories)} (${escapeText(why)}).`,
  );
}

/** Bounds of one category, if they differ as printed. */
function rangeWords([category, ...others]: readonly Category[]): string {
  const { leastBytes, mostBytes } = category?.range ?? { leastBytes: 0, mostBytes: 0 };
  const [least, most] = [formatSize(leastBytes), formatSize(mostBytes)];
  if (others.length > 0 || least === most) return '';
  return leastBytes === 0 ? `, at most ${most}` : `, between ${least} and ${most}`;
}

function unattributed({ memory }: MemoryAnswer): number {
  return leaves(memory).find(({ category }) => category === 'unattributed')?.frames ?? 0;
}

/** Whether unattributed memory is large enough to describe without -v. */
export function isNotable(answer: MemoryAnswer): boolean {
  return unattributed(answer) >= NOTABLE * answer.memory.frames;
}

/** Returns `88 order-0 blocks (352 KiB)` for each size. */
function blocksWords(sizes: readonly LooseSize[], pageSize: number): string {
  return sizes
    .map(({ order, blocks, frames }) => {
      const noun = inflect(blocks, 'block');
      return `${formatCount(blocks)} order-${order} ${noun} (${formatSize(frames * pageSize)})`;
    })
    .join(', ');
}

/** Explains free memory that the buddy allocator does not contain yet. */
export function uninitializedWords({ memory }: MemoryAnswer, verbose: boolean): string[] {
  const leaf = leaves(memory).find(({ category }) => category === 'free-uninitialized');
  return leaf === undefined || leaf.frames < (verbose ? 1 : NOTABLE * memory.frames)
    ? []
    : [
        `${formatSize(leaf.bytes)} of the free memory was never used since boot, which is normal: its struct pages are not initialized yet.`,
      ];
}

/** Lists unattributed blocks by size, zone and cgroup charge. */
export function looseWords(answer: MemoryAnswer): string[] {
  if (!answer.unattributed || unattributed(answer) === 0) return [];
  const { sizes, zones, chargedBytes, largeKmallocBytes } = answer.unattributed;
  const pageSize = pageSizeOf(answer);
  const where = zones.map(({ zone, frames }) => `${formatSize(frames * pageSize)} in ${escapeText(zone)}`);
  const paid = chargedBytes === 0 ? 'none' : formatSize(chargedBytes);
  const large =
    largeKmallocBytes === null || largeKmallocBytes <= 0
      ? ''
      : ` The kernel counts ${formatSize(largeKmallocBytes)} of large kmalloc but does not mark the pages; those not in another category are included here.`;
  return [
    `Unattributed: ${blocksWords(sizes, pageSize)}. Zones: ${where.join(', ')}. Charged to cgroups: ${paid}.${large}`,
  ];
}

/** Memory of socket queues that is counted in other categories. */
function elsewhere(answer: MemoryAnswer) {
  const queues = leaves(answer.memory).find(({ category }) => category === 'network-sockets');
  const others = (queues?.elsewhere ?? []).filter(({ category }) => !category.startsWith('free'));
  return { queues, others };
}

/** Categories that a sentence below the table names: each has a row. */
export function namedCategories(answer: MemoryAnswer): Set<string> {
  const { others } = elsewhere(answer);
  return new Set(others.length === 0 ? [] : ['network-sockets', ...others.map(({ category }) => category)]);
}

/** Reports memory of socket queues that is counted in other categories. */
export function elsewhereWords(answer: MemoryAnswer): string[] {
  const { queues, others } = elsewhere(answer);
  if (others.length === 0) return [];
  const words = others.map((other) => `${formatSize(other.bytes)} in “${categoryWords(other)}”`);
  const slots = answer.census?.totals.slabBytes ?? 0;
  const all = others.reduce((sum, { bytes }) => sum + bytes, slots);
  return [
    `Socket queues hold ${formatSize((queues?.bytes ?? 0) + all)} in all: ${[`${formatSize(queues?.bytes ?? 0)} in “${categoryWords({ category: 'network-sockets' })}”`, ...words, `${formatSize(slots)} of slab objects`].join(', ')}. That row lists owners with all of their queues: their sum may be larger than the row.`,
  ];
}

/** A smaller part of memory explains nothing. */
const LITTLE = 0.01;

/** Reports the program whose pipes can hold most, which no row shows, unless it is little. */
export function pipeWords({ pipes, memory }: MemoryAnswer, verbose = true): string[] {
  const [largest] = pipes ?? [];
  if (!largest || (!verbose && largest.mostBytes < LITTLE * memory.bytes)) return [];
  const { pid, comm, pipes: all, mostBytes, processes } = largest;
  const name = escapeText(comm ?? 'name unknown');
  const who = processes > 1 ? `${formatCount(processes)} processes named ${name} have` : `pid ${pid} (${name}) has`;
  return [
    `Pipes: ${who} ${formatCount(all)} open, which can hold up to ${formatSize(mostBytes)} (counted as unattributed).`,
  ];
}

/**
 * Reports the estimated memory of socket queues, which no row shows, unless it is little.
 *
 * @param options `source`: the option that names a capture
 */
export function socketWords(
  { socketEstimate, captured, memory }: MemoryAnswer,
  { verbose = false, source }: { readonly verbose?: boolean | undefined; readonly source: string },
): string[] {
  if (!socketEstimate) return [];
  const { sockets, leastBytes, likelyBytes, mostBytes, unread } = socketEstimate;
  const lost = unread.map(({ why }) => why);
  const missing = lost.length === 0 ? '' : ` Not all sockets are readable: ${lost.join(', ')}.`;
  if (leastBytes === 0 && lost.length > 0) return [`Not checked: socket queues (${escapeText(lost.join(', '))}).`];
  if (sockets === 0) return [];
  const isLittle = mostBytes !== null && mostBytes < LITTLE * memory.bytes;
  if (isLittle && !verbose && lost.length === 0) return [];
  const about = likelyBytes === null ? '' : `about ${formatSize(likelyBytes)}, `;
  const bounds =
    mostBytes === null
      ? `at least ${formatSize(leastBytes)}`
      : `between ${formatSize(leastBytes)} and ${formatSize(mostBytes)}`;
  const noun = inflect(sockets, 'socket');
  const list = captured ? `skcheck ${source}` : 'skcheck';
  return [
    `Part of “unattributed” and of unreclaimable slab (-v): queues of ${formatCount(sockets)} ${noun}, ${about}${bounds} (${list} lists unread ones).${escapeText(missing)}`,
  ];
}

/**
 * Returns the next command if no kernel memory is read: the one for the largest category, or for sockets if
 * they hold much, or much memory is unattributed, since neither page flags nor counters identify them; otherwise the
 * processes, or all findings of a capture that is short of memory or has no processes.
 */
export function nextOfProc(answer: MemoryAnswer, from: string): string {
  const { memory, captured, freeConflict, source } = answer;
  const { likelyBytes, leastBytes } = answer.socketEstimate ?? { likelyBytes: 0, leastBytes: 0 };
  // A capture without sockets cannot be read again.
  const hasSockets = !captured || (answer.socketEstimate?.unread.length ?? 0) === 0;
  const stale = hasSockets ? `skcheck ${captured ? from : '--stale'}` : undefined;
  if (freeConflict && source === 'pageflags') return 'kdump-mem memory --live --source counters';
  if (stale !== undefined && (likelyBytes ?? leastBytes) >= NOTABLE * memory.bytes) return stale;
  const all = leaves(memory)
    .filter(({ category }) => !category.startsWith('free') && !QUIET.has(category))
    .toSorted((a, b) => b.frames - a.frames);
  const largest = all.find((category) => isUnusual(answer, category)) ?? all[0];
  if (largest?.next) return `${largest.next} ${from}`;
  const isFromProcesses = !answer.lacksProcesses && ['anonymous', 'shared'].includes(largest?.category ?? '');
  // Their queues are in no row of procs without it.
  const sockets = hasSockets && (likelyBytes ?? leastBytes) >= LITTLE * memory.bytes ? ' --sockets' : '';
  if (isFromProcesses) return `kdump-mem procs${sockets} ${from}`;
  // Where nothing is short, triage may have led here.
  const isCalm = answer.lacksProcesses === false && memoryShortage(answer) === 'not short';
  return (
    (isNotable(answer) ? stale : undefined) ?? `kdump-mem ${captured && !isCalm ? 'triage' : `procs${sockets}`} ${from}`
  );
}

/** Returns the command that details the largest category, without the options that name the dump. */
export function nextCommand(answer: MemoryAnswer): string {
  const deeper = leaves(answer.memory)
    .filter((category) => category.next !== null && !QUIET.has(category.category))
    .toSorted((a, b) => b.frames - a.frames);
  const queues = deeper.find(({ category }) => category === 'network-sockets');
  const isNotable = queues && queues.bytes >= NOTABLE * answer.memory.bytes;
  const [owner] = queues?.owners ?? [];
  if (isNotable && owner?.pid !== undefined && owner.bytes === queues.bytes) return `kdump-mem skb --pid ${owner.pid}`;
  if (isNotable || (deeper[0] && slabOfQueues(answer, deeper[0]) !== undefined)) return BY_PROCESS;
  return deeper[0]?.next ?? BY_PROCESS;
}

const BY_PROCESS = 'kdump-mem sockets --by process';

type Size = Pick<Category, 'bytes' | 'complete'>;

const lacksCounters = ({ memory }: MemoryAnswer): boolean =>
  leaves(memory).some(({ category, bytes }) => category === 'missing-counters' && bytes > 0);

/** Whether nothing of it is known: a text lacks its counters. */
export function isUncounted(answer: MemoryAnswer, { bytes, complete }: Size): boolean {
  return bytes === 0 && !complete && lacksCounters(answer);
}

/** The largest part of the kernel's memory, if it is much and not what every kernel has. */
function kernelWords(parts: readonly Category[], answer: MemoryAnswer): string {
  const { memory, freeConflict } = answer;
  const isOpen = ({ category }: Category) => freeConflict?.foundBy === 'pageflags' && DEPENDS_ON_FREE.has(category);
  const [most] = parts
    .filter(
      (part) => !QUIET.has(part.category) && !isOpen(part) && leastOf(part) >= Math.max(1, NOTABLE * memory.bytes),
    )
    .toSorted((a, b) => leastOf(b) - leastOf(a));
  if (!most) return crashKernelWords(parts, answer);
  const size = leastOf(most) < most.bytes ? `at least ${formatSize(leastOf(most))}` : sizeWords(answer, most);
  return ` (${size} of it ${most.category === 'network-sockets' ? 'socket queues' : categoryWords(most)})`;
}

/** What `crashkernel=` reserved, where it is much of a small machine. */
function crashKernelWords(parts: readonly Category[], { memory }: MemoryAnswer): string {
  const bytes = parts.find(({ category }) => category === 'crash-kernel')?.bytes ?? 0;
  return bytes >= NOTABLE * memory.bytes && bytes > 0 ? ` (${formatSize(bytes)} of it for the crash kernel)` : '';
}

/** Returns total memory and its groups, free memory first. A group without counters is part of the unknown memory. */
export function groupsWords(answer: MemoryAnswer, verbose: boolean): string {
  const of = (name: Category['category']) => group(answer, name)?.children ?? [];
  const part = (name: string, categories: readonly Category[]) => {
    const bytes = categories.reduce((sum, category) => sum + category.bytes, 0);
    const size = { bytes, complete: categories.every(({ complete }) => complete) };
    const isLeast = lacksCounters(answer) && categories.every((category) => leastOf(category) >= category.bytes);
    return isUncounted(answer, size) ? [] : [`${sizeWords(answer, size, isLeast)} ${name}`];
  };
  const whole = formatSize(answer.memory.bytes);
  const [free = `${whole} in total`] = answer.freeConflict
    ? [conflictWords(answer)]
    : part(`of ${whole} free`, of('free'));
  const reserved = of('reserved');
  const isReservedKnown = reserved.every(({ complete }) => complete) || reserved.some(({ bytes }) => bytes > 0);
  const isCache = ({ category, bytes }: Category) => category === 'page-cache' && bytes > 0;
  const used = of('applications-and-files');
  const unread = group(answer, 'unknown')?.bytes ?? 0;
  const ofIt = kernelWords([...of('kernel'), ...reserved].flatMap(leaves), answer);
  const parts = [
    free,
    ...(used.some(isCache) ? part('page cache', used.filter(isCache)) : []),
    ...part(
      'applications and shared memory',
      used.filter((category) => !isCache(category)),
    ),
    // Sources of /proc disagree on which of both the kernel image and struct pages belong to: together they are one figure.
    ...(isReservedKnown
      ? part(`kernel and reserved at boot${ofIt}`, [...of('kernel'), ...reserved])
      : part(`kernel${ofIt}, without memory reserved at boot`, of('kernel'))),
    ...(unread > 0
      ? [`${formatSize(unread)} unknown${lacksCounters(answer) ? ' (its counters are missing)' : ''}`]
      : []),
  ];
  return `${parts.join(', ')}.${verbose ? sourceText(answer) : ''}`;
}

/** Returns whether memory is short, what is unusual, or else the largest use, and OOM kills before. */
export function headline(answer: MemoryAnswer, kills = killWords(answer.origin)): string {
  const [{ shortage }, unusual] = [freeMemory(answer), unusualWords(answer)];
  const but =
    shortage === 'not short' && unusual.length > 0
      ? 'But unusual, so check it first: '
      : 'Unusual, so check it first: ';
  // Where memory is short, what is unusual need not be what takes most.
  const [most] = heldLeaves(answer);
  const isSockets = most?.category === 'network-sockets' && socketsUnusual(answer).length > 0;
  const isUnusualMost = isSockets || (most !== undefined && isUnusual(answer, most));
  const largest = unusual.length === 0 || (shortage === 'short' && !isUnusualMost) ? largestWords(answer) : '';
  const large = [...(unusual.length === 0 ? [] : [`${but}${unusual.join('; ')}.`]), largest];
  const parts = [freeWords(answer), ...large, kills];
  return parts.filter(Boolean).join(' ');
}

/** Free memory, what can be reclaimed of the rest, and whether memory is short. */
function freeMemory(answer: MemoryAnswer) {
  const { memory, freeConflict } = answer;
  const all = leaves(memory);
  const free = group(answer, 'free');
  const size = { bytes: free?.bytes ?? 0, complete: free?.complete !== false };
  const isMissing = all.some(({ category, bytes }) => category === 'missing-counters' && bytes > 0);
  const isKnown = memory.complete && !isMissing && (free?.complete === true || isFromProc(answer));
  const reclaimable = all
    .filter(({ category }) => category === 'page-cache' || category === 'slab-reclaimable')
    .reduce((sum, { bytes }) => sum + bytes, 0);
  const shortage = freeConflict
    ? null
    : shortageOf(memory.bytes, size.bytes, isKnown ? size.bytes + reclaimable : null);
  return { size, reclaimable, shortage };
}

/** Whether memory is short; null: unknown, or only the amounts show. */
export const memoryShortage = (answer: MemoryAnswer): Shortage => freeMemory(answer).shortage;

/** Whether memory is short, with the amounts that show it. */
function freeWords(answer: MemoryAnswer): string {
  const { memory, source } = answer;
  const conflict = conflictWords(answer);
  if (conflict !== '') return `${conflict.charAt(0).toUpperCase()}${conflict.slice(1)}.`;
  const { size, reclaimable, shortage } = freeMemory(answer);
  const missing = leaves(memory).find(({ category, bytes }) => category === 'missing-counters' && bytes > 0);
  const amount = `${sizeWords(answer, size)} of ${formatSize(memory.bytes)} is free (${share(size.bytes, memory.bytes)})`;
  const short =
    shortage === null
      ? ''
      : `${shortageWords(shortage, source === 'vmcore' ? 'dump' : answer.captured ? 'capture' : undefined)}: ${amount}`;
  if (missing) {
    const unknown = `The use of ${formatSize(missing.bytes)} is unknown: /proc/meminfo is incomplete.`;
    return short === '' ? unknown : `${short}. ${unknown}`;
  }
  const more = `${formatSize(reclaimable)} of page cache and slab`;
  if (shortage === 'short') return `${short}, and at most ${more} can be reclaimed.`;
  return short === ''
    ? `${amount.charAt(0).toUpperCase()}${amount.slice(1)}; up to ${more} can be reclaimed.`
    : `${short}.`;
}

/** Returns the size of a category, as a bound if it is incomplete. */
export function sizeWords(answer: MemoryAnswer, { bytes, complete }: Size, isLeast = !isFromProc(answer)): string {
  // Without kernel memory a category may also be too large, since frames of others are counted in it.
  const least = isLeast ? 'at least' : 'about';
  return `${complete ? '' : `${least} `}${formatSize(bytes)}`;
}

/** Returns the owner of most memory in one category; undefined: none is known. */
export function largestOwner({ memory }: MemoryAnswer): { category: Category; owner: Owner } | undefined {
  const owners = leaves(memory).flatMap((category) =>
    category.owners.slice(0, 1).map((owner) => ({ category, owner })),
  );
  return owners.toSorted((a, b) => b.owner.bytes - a.owner.bytes)[0];
}

/** Describes the contradiction that makes free and unattributed memory unknown; empty if there is none. */
function conflictWords({ freeConflict, memory }: MemoryAnswer): string {
  if (!freeConflict) return '';
  const { foundBy, foundBytes, countedBytes } = freeConflict;
  const whole = formatSize(memory.bytes);
  const [found, counted] = [formatSize(foundBytes), formatSize(countedBytes)];
  // Both are right at their own time: rows have bounds.
  if (foundBy === 'counters')
    return `${foundBytes < countedBytes ? `${found} to ${counted}` : `${counted} to ${found}`} of ${whole} free (it changed while it was read)`;
  const sizes = `page flags show ${found}, MemFree counts ${counted}`;
  return `free memory of ${whole} is contradictory: ${sizes} (do not rely on free and unattributed memory)`;
}

/** Minimum share of memory for which sockets, or unattributed memory, are mentioned. */
const NOTABLE = 0.05;

/** Whether so much memory is unattributed that where it is comes next. */
export const isMuchUnattributed = ({ memory }: MemoryAnswer): boolean =>
  leaves(memory).some(({ category, bytes }) => category === 'unattributed' && bytes >= NOTABLE * memory.bytes);

/** Categories that are small on a healthy machine, with their thresholds. */
const UNUSUAL = {
  unattributed: 'queued-data',
  pipes: 'queued-data',
  'driver-mapped': 'queued-data',
  balloon: 'queued-data',
  'slab-unreclaimable': 'unreclaimable-slab',
  vmalloc: 'vmalloc',
  'kernel-stacks': 'kernel-stacks',
  'page-tables': 'page-tables',
  percpu: 'per-cpu-memory',
} as const;

/** Reports what is larger than on a healthy machine. */
function unusualWords(answer: MemoryAnswer): string[] {
  const large = leaves(answer.memory).filter((leaf) => isUnusual(answer, leaf));
  const explained = large.some((category) => queuesInside(answer, category) !== undefined);
  return [...(explained ? [] : socketsUnusual(answer)), ...large.map((category) => unusualCategory(answer, category))];
}

/** The least that a category can have. */
const leastOf = ({ range, bytes }: Category): number => range?.leastBytes ?? bytes;

function isUnusual({ memory, freeConflict }: MemoryAnswer, category: Category): boolean {
  const code = UNUSUAL[category.category as keyof typeof UNUSUAL];
  if (code === undefined || (freeConflict?.foundBy === 'pageflags' && DEPENDS_ON_FREE.has(category.category)))
    return false;
  return isLargePart(code, leastOf(category), leastOf(category) / memory.bytes);
}

/** Categories whose owners some sources name. */
const OWNED: ReadonlySet<Category['category']> = new Set<Category['category']>(['slab-unreclaimable', 'vmalloc']);

function unusualCategory(answer: MemoryAnswer, category: Category): string {
  const leastBytes = leastOf(category);
  const isUnowned = OWNED.has(category.category) && category.owners.length === 0;
  const [lists, command] =
    category.category === 'vmalloc'
      ? ['/proc/vmallocinfo', 'cat /proc/vmallocinfo']
      : ['/proc/slabinfo', 'slabtop -o -s c'];
  const lacking = answer.captured ? `not in the capture; on that machine, as root: ${command}` : `no readable ${lists}`;
  const why = isFromProc(answer) ? ` (${lacking})` : '';
  const unknown = isUnowned ? `, owner unknown${why}` : '';
  const name =
    category.category === 'unattributed' ? 'memory without a known owner (unattributed)' : categoryWords(category);
  const least = leastBytes < category.bytes ? 'at least ' : '';
  const amount = `${least}${formatSize(leastBytes)} (${share(leastBytes, answer.memory.bytes)})`;
  const owner = queuesInside(answer, category) ?? slabOfQueues(answer, category) ?? ownerPart(answer, category);
  return `${name}, ${amount}${owner || unknown}`;
}

/** Of unattributed memory that is mostly socket queues by their estimate, how much; undefined: it is not. */
function queuesInside({ socketEstimate, memory }: MemoryAnswer, category: Category): string | undefined {
  const bytes = socketEstimate?.likelyBytes ?? socketEstimate?.leastBytes ?? 0;
  if (category.category !== 'unattributed' || bytes < leastOf(category) / 2) return undefined;
  const about = socketEstimate?.likelyBytes == null ? 'at least' : 'about';
  const slab = bytes > leastOf(category) ? ', also in slab' : '';
  return `, most of it probably socket queues, which hold ${about} ${formatSize(bytes)} (${share(bytes, memory.bytes)}${slab})`;
}

/** The owner of most of a category; empty: unknown. */
function ownerPart(answer: MemoryAnswer, category: Category): string {
  const [owner] = category.owners;
  if (owner === undefined) return '';
  const bound = isUpperBound(answer, category) ? 'up to ' : '';
  const part = owner.bytes === category.bytes && bound === '' ? 'all' : `${bound}${formatSize(owner.bytes)}`;
  return `, ${part} of it in ${ownerWords(owner)}`;
}

function socketsUnusual(answer: MemoryAnswer): string[] {
  const { census } = answer;
  const whole = answer.memory.bytes;
  const top = census?.sockets[0];
  const queues = leaves(answer.memory).find(({ category }) => category === 'network-sockets');
  if (top && queues && queues.bytes >= NOTABLE * whole) {
    const { pinnedBytes } = top.total;
    const holder = top.holders[0];
    const all = `socket queues hold ${formatSize(queues.bytes)} (${share(queues.bytes, whole)})`;
    if (pinnedBytes >= queues.bytes / 2 && holder !== undefined)
      return [
        `${all}, ${formatSize(pinnedBytes)} of it in fd ${holder.fd} of pid ${holder.pid} (${escapeText(holder.comm)})`,
      ];
    return [`${all}${ownerPart(answer, queues)}`];
  }
  const estimated = answer.socketEstimate?.likelyBytes ?? answer.socketEstimate?.leastBytes ?? 0;
  return estimated >= NOTABLE * whole
    ? [
        `socket queues hold about ${formatSize(estimated)} (${share(estimated, whole)}), in “unattributed” and unreclaimable slab`,
      ]
    : [];
}

/** What depends on the load, the largest first. */
function heldLeaves(answer: MemoryAnswer): Category[] {
  const held = leaves(answer.memory).filter(
    ({ category }) =>
      !category.startsWith('free') &&
      !QUIET.has(category) &&
      category !== 'missing-counters' &&
      !(answer.freeConflict?.foundBy === 'pageflags' && DEPENDS_ON_FREE.has(category)),
  );
  return held.toSorted((a, b) => b.frames - a.frames);
}

/** The largest use that depends on the load, with its largest owner. */
function largestWords(answer: MemoryAnswer): string {
  const [largest] = heldLeaves(answer);
  if (!largest || largest.frames === 0) return '';
  const { leastBytes = largest.bytes, mostBytes = largest.bytes } = largest.range ?? {};
  const isExact = largest.category !== 'unattributed' || leastBytes === mostBytes;
  const bound = isExact
    ? formatSize(largest.bytes)
    : leastBytes === 0
      ? `up to ${formatSize(mostBytes)}`
      : `at least ${formatSize(leastBytes)}`;
  const most = slabOfQueues(answer, largest) ?? ownerPart(answer, largest);
  const name = LARGEST[largest.category as keyof typeof LARGEST] ?? categoryWords(largest);
  const [fixed] = leaves(answer.memory)
    .filter(({ category, bytes }) => FIXED.has(category) && bytes > largest.bytes)
    .toSorted((a, b) => b.bytes - a.bytes);
  const except = fixed ? ` except ${categoryWords(fixed)}` : '';
  return `Largest use${except}: ${name}, ${bound} (${share(largest.bytes, answer.memory.bytes)})${most}.`;
}

/** What every kernel of that size has, or reserves at boot. */
const FIXED: ReadonlySet<Category['category']> = new Set<Category['category']>([
  'image',
  'memmap',
  'crash-kernel',
  'reserved-other',
]);

const LARGEST = {
  'page-cache': 'page cache, which the kernel reclaims when needed',
  anonymous: 'anonymous memory of processes',
} as const;

/** Small skbs are objects of slab caches, whose names do not identify an owner. Undefined: most slabs are of others. */
function slabOfQueues({ census }: MemoryAnswer, { category, bytes }: Category): string | undefined {
  const { slabBytes = 0 } = census?.totals ?? {};
  if (category !== 'slab-unreclaimable' || slabBytes * 2 < bytes) return undefined;
  const owner = census?.processes.find(({ pid }) => pid !== null);
  const most = owner ? `; largest owner: pid ${owner.pid} (${escapeText(owner.comm ?? 'name unknown')})` : '';
  return `, ${formatSize(slabBytes)} of it in socket queues${most}`;
}

function group({ memory }: MemoryAnswer, name: Category['category']): Category | undefined {
  return memory.children.find(({ category }) => category === name);
}

/** Categories whose size depends on the machine, not on its load. */
const QUIET: ReadonlySet<Category['category']> = new Set<Category['category']>([
  'image',
  'memmap',
  'reserved-other',
  'crash-kernel',
]);

/** Reports frames without an identifying flag, and the counters that partly cover them. */
export function unflaggedWords(answer: MemoryAnswer): string[] {
  if (!answer.unflagged || answer.unflagged.bytes === 0) return [];
  const { bytes: all, sizes, zones, chargedBytes, mappedBytes, counters } = answer.unflagged;
  const pageSize = pageSizeOf(answer);
  const where = zones.map(({ zone, frames }) => `${formatSize(frames * pageSize)} in ${escapeText(zone)}`);
  const paid = chargedBytes === null ? 'unknown' : chargedBytes === 0 ? 'none' : formatSize(chargedBytes);
  const userMapped = mappedBytes === 0 ? '' : ` Mapped by processes: ${formatSize(mappedBytes)}.`;
  const beside =
    counters.length === 0
      ? ''
      : ` Counters partly included: ${counters.map(({ name, bytes }) => `${name} ${formatSize(bytes)}`).join(', ')}.`;
  return [
    `Pages without an identifying flag: ${formatSize(all)} in ${blocksWords(sizes, pageSize)}. Zones: ${where.join(', ')}. Charged to cgroups: ${paid}.${userMapped} Rows known by a counter are subtracted; the remainder is unattributed.${beside}`,
  ];
}

const NOTES: Readonly<Record<FrameNote['note'], string>> = {
  thp: 'in transparent huge pages or large folios',
  mlocked: 'mlocked',
  hwpoison: 'poisoned by hardware errors (hwpoison)',
  'zero-page': 'zero pages',
  dirty: 'dirty',
  writeback: 'under writeback',
};

/** Names the option that counts zeros in huge pages, if these are a large part of memory. */
export function hugeWords(answer: MemoryAnswer): string[] {
  const { notes, hugePages, kernel, memory } = answer;
  const bytes = notes.find(({ note, category }) => note === 'thp' && category === 'anonymous')?.bytes ?? 0;
  if (!kernel || hugePages || bytes < NOTABLE * memory.bytes) return [];
  return [`Transparent huge pages: ${formatSize(bytes)} of anonymous memory. Zeros in them are not counted: --huge.`];
}

/** Lists notes on frames in categories. */
export function noteWords(answer: MemoryAnswer): string[] {
  const notes = answer.notes.filter(({ bytes }) => bytes > 0);
  if (notes.length === 0) return [];
  const words = notes.map((note) => `${formatSize(note.bytes)} of ${categoryWords(note)} (${NOTES[note.note]})`);
  return [`Included above: ${words.join(', ')}.`];
}
