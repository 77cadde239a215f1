import { anyCategoryWords } from '../../account/memory/category-names.js';
import { escapeText } from '../../base/escape.js';
import { count, formatCount, formatSize, inflect } from '../../base/size.js';
import type { CategoryDiff } from '../../contracts/diff.js';
import type { DiffAnswer } from '../../diff/compare.js';
import type { ItemDiff } from '../../diff/lists.js';
import { GOOD_PART, type GrownCategory, type Loss, MIN_LOSS } from '../../diff/loss.js';
import { type CategoryMeasure, LISTS, type ListName, type Measure, type Note, type Who } from '../../diff/state.js';
import type { DeviceKind } from '../../records/named-memory.js';
import { formatSeconds, perMinute } from '../growth/words.js';
import { share } from '../memory/words.js';
import { hostCommand } from '../text/blocks.js';

type SocketWho = Extract<Who, { kind: 'socket' }>;

/** Ends of a connection in its network namespace, which no other one has: those of unnamed unix sockets are all alike. */
const endsOf = ({ netns, protocol, local, peer }: SocketWho, reversed = false): string =>
  JSON.stringify([netns, protocol.replace('MPTCP', 'TCP'), ...(reversed ? [peer, local] : [local, peer])]);

/** Returns the process at the other end of a connection whose both ends are listed: one of them only waits. */
export function peerHolders(all: readonly Who[]): (who: Who) => SocketWho['holder'] {
  const sockets = all.flatMap((who) => (who.kind === 'socket' && isConnected(who) ? [who] : []));
  const byEnds = new Map(sockets.map((who) => [endsOf(who), who.holder]));
  return (who) => (who.kind === 'socket' && isConnected(who) ? (byEnds.get(endsOf(who, true)) ?? null) : null);
}

const isConnected = ({ netns, protocol, local, peer }: SocketWho): boolean =>
  netns !== null &&
  /^(?:(?:MP)?TCP|UDP|SCTP|DCCP)$/.test(protocol) &&
  [local, peer].every((end) => /:\d+$/.test(end ?? ''));

/**
 * Returns the name of an owner, escaped: `pid 4711 (nginx)`.
 *
 * @param peer of a socket: the process that has the other end open; null: unknown
 */
export function whoWords(who: Who, peer: SocketWho['holder'] = null): string {
  switch (who.kind) {
    case 'process':
      return `pid ${who.pid} (${escapeText(who.comm)})`;
    case 'socket':
      return `${socketWords(who)}${peer ? ` (pid ${peer.pid} ${escapeText(peer.comm ?? 'name unknown')})` : ''}`;
    case 'cache':
      return escapeText(who.name);
    case 'caller':
      return escapeText(who.name);
    case 'cgroup':
      return `${escapeText(who.path)}${who.dying ? ' (removed)' : ''}`;
    case 'device':
      return deviceWords(who.of, who.name);
  }
}

export function deviceWords(of: DeviceKind, name: string): string {
  return `${DEVICES[of]} ${escapeText(name)}`;
}

const DEVICES: Readonly<Record<DeviceKind, string>> = {
  gpu: 'GPU',
  'dma-buf': 'dma-bufs of',
  'trace-rings': 'rings of',
  pinned: 'pinned by',
};

function socketWords({ holder, protocol, family, local, peer, inode }: SocketWho): string {
  const owner = holder
    ? `pid ${holder.pid} (${escapeText(holder.comm ?? 'name unknown')}) fd ${holder.fd}`
    : `${inode == null ? 'a socket' : `inode ${inode}`} (no process has it open)`;
  const ends = [local, peer].flatMap((end) => (end === null || end === '' ? [] : escapeText(end)));
  return `${owner}: ${escapeText(protocol || family)} ${ends.join(', peer ')}`.trimEnd();
}

const MEASURES: Readonly<Record<Measure | CategoryMeasure, string>> = {
  pss: 'PSS',
  rss: 'RSS',
  pssAnon: 'anonymous PSS',
  rssAnon: 'anonymous RSS',
  pssShmem: 'shared memory PSS',
  rssShmem: 'shared memory RSS',
  hugetlb: 'huge pages',
  pageTables: 'page tables',
  pinned: 'pinned',
  estimated: 'pinned, estimated',
  unread: 'unread',
  bytes: '',
  charged: 'charged',
  usage: 'usage with child cgroups',
};

export function measureWords({ measure }: { readonly measure: Measure | CategoryMeasure | null }): string {
  return measure === null ? '?' : MEASURES[measure];
}

/** Formats a change: `+1.20 MiB`, `-3 B`, `0`; `?` if unknown. */
export function signedSize(bytes: number | null): string {
  if (bytes === null) return '?';
  return bytes === 0 ? '0' : `${bytes > 0 ? '+' : '-'}${formatSize(Math.abs(bytes))}`;
}

export function sizeOrUnknown(bytes: number | null | undefined): string {
  return bytes === null || bytes === undefined ? '?' : formatSize(bytes);
}

/** Plural names of the parts of an answer. */
export const PARTS: Readonly<Record<ListName | 'categories', string>> = {
  categories: 'categories',
  processes: 'processes',
  sockets: 'sockets',
  caches: 'slab caches',
  callers: 'vmalloc callers',
  cgroups: 'cgroups',
  devices: 'rings, pins and buffers of devices',
};

/** The measure used if a list's preferred one is not available, and why. */
const LESSER_MEASURE: Readonly<Record<ListName, string>> = {
  processes: 'by RSS, which counts shared memory in each process: an input lacks PSS',
  sockets: 'by estimates or unread payload: an input lacks their pages',
  caches: 'by another measure',
  callers: 'by another measure',
  devices: 'by another measure',
  cgroups: 'by the memory of their processes or by usage with child cgroups: an input lacks page frames by cgroup',
};

/** Merges notes of inputs with the same problem. */
export function joinedNotes(notes: readonly Note[]): Note[] {
  const joined = new Map<string, Note>();
  for (const note of notes) {
    const key = JSON.stringify('words' in note ? [note.code, note.words] : note);
    const same = joined.get(key);
    const names = same && 'words' in same && 'words' in note ? [same.name, note.name] : [];
    joined.set(key, names.length > 0 ? ({ ...note, name: names.join(', ') } as Note) : note);
  }
  return [...joined.values()];
}

/** Formats a note. Its names are untrusted: the caller must escape the text. */
export function noteWords(note: Note): string {
  switch (note.code) {
    case 'reordered':
      return 'inputs sorted by time: they were not given earliest first';
    case 'same-time':
      return `${note.names.join(', ')}: at least two have the same time of capture, so rates are not available`;
    case 'time-unknown':
      return `${note.names.join(', ')}: time of capture unknown, so the inputs stay in the given order and rates are not available`;
    case 'clock-set':
      return `the clock was set or the machine slept: the clock advanced ${formatSeconds(Math.abs(note.seconds))} ${note.seconds > 0 ? 'more' : 'less'} than the uptime`;
    case 'different-hosts':
      return `different hosts (${note.hosts.join(', ')}): changes are differences between hosts, not growth`;
    case 'different-boots':
      return 'the machine rebooted in between: processes and sockets are not compared, and rates are not available';
    case 'boot-unknown':
      return 'unknown whether all inputs are of one boot of one host: different processes or sockets may be compared as one';
    case 'different-kernels':
      return `different kernels (${note.releases.join(', ')}): names of categories, caches and callers may differ`;
    case 'different-page-sizes':
      return `different page sizes: ${note.sizes.join(', ')} bytes`;
    case 'different-sources':
      return `different sources (${note.depths.join(', ')}): only free memory and groups of categories are compared`;
    case 'memory-hotplug':
      return `${formatSize(Math.abs(note.bytes))} of memory ${note.bytes > 0 ? 'hot-added' : 'hot-removed'} between the inputs`;
    case 'different-memory-sizes':
      return `the last input has ${formatSize(Math.abs(note.bytes))} ${note.bytes > 0 ? 'more' : 'less'} memory in total than the first`;
    case 'missing-in-input':
      return `${note.names.join(', ')}: ${PARTS[note.part]} not available, so they are not compared`;
    case 'list-incomplete':
      return `incomplete list of ${PARTS[note.part]} in an input: an entry that only one input has may be in both`;
    case 'missed-process':
      return `${formatCount(note.count)} of the ${PARTS[note.part]} started before the first input was captured, but ${inflect(note.count, 'is', 'are')} missing there`;
    case 'lesser-measure':
      return `${formatCount(note.count)} of the ${PARTS[note.part]} ${inflect(note.count, 'is', 'are')} compared ${LESSER_MEASURE[note.part]}`;
    case 'change-unknown':
      return note.part === 'categories'
        ? `change unknown for ${count(note.count, 'category that is', 'categories that are')} missing in the first or last input`
        : `change unknown for ${formatCount(note.count)} of the ${PARTS[note.part]}`;
    case 'pid-reused':
      return `${count(note.count, 'pid was', 'pids were')} reused: the first ${inflect(note.count, 'process has', 'processes have')} exited`;
    case 'incomplete':
    case 'spread':
      return `${note.name}: ${note.words}`;
    case 'inconsistent':
      return `${note.name} is inconsistent (modified or damaged?): ${note.words}`;
  }
}

/** Formats the change of free memory, the categories that grew most, and their owners. */
export function headline(answer: DiffAnswer): string {
  const { loss, sameBoot } = answer;
  const when = whenWords(answer);
  if (!loss) return `${listSentence(answer)} ${when}.`;
  const { lostBytes: lost } = loss;
  const size = formatSize(Math.abs(lost));
  if (sameBoot === false) {
    const hosts = answer.notes.flatMap((note) =>
      note.code === 'different-hosts' ? note.hosts.map((host) => escapeText(host)) : [],
    );
    const inputs = hosts.length > 0 ? `hosts: ${hosts.join(', ')}` : `boots, ${when}`;
    const amount = lost === 0 ? 'as much' : `${size} ${lost > 0 ? 'less' : 'more'}`;
    return `The last input has ${amount} free memory ${lost === 0 ? 'as' : 'than'} the first (different ${inputs}).${largestIncrease(loss, answer)}`;
  }
  if (Math.abs(lost) < MIN_LOSS) {
    const change = lost === 0 ? '' : ` (${signedSize(-lost)})`;
    return `Free memory did not change significantly${change} ${when}.${largestIncrease(loss, answer)}`;
  }
  const soon = lost > 0 ? soonWords(answer) : '';
  // Of two rates, that of free and reclaimable memory counts.
  const rate = soon === '' ? rateWords(answer) : '';
  return `Free memory ${lost > 0 ? 'fell' : 'rose'} by ${size}${rate}${leftWords(answer)} ${when}.${lost > 0 ? `${reasonWords(loss)}${soon}` : largestIncrease(loss, answer)}`;
}

/** Free memory of the last input: ` to 8.66 GiB (36 % of memory)`. */
function leftWords({ categories }: DiffAnswer): string {
  const free = categories?.children.find(({ category }) => category === 'free')?.bytes.at(-1) ?? null;
  const all = categories?.bytes.at(-1) ?? null;
  return free === null || all === null ? '' : ` to ${formatSize(free)} (${share(free, all)} of memory)`;
}

/**
 * The command that shows what lost memory leads to in the last input, and for a snapshot the same on its machine, which may
 * still lose memory; empty: nothing was lost, or the inputs are of different boots.
 *
 * @param source option that names the last input
 */
export function nextWords({ loss, sameBoot }: DiffAnswer, source: string): string[] {
  if (!loss || sameBoot === false || loss.lostBytes < MIN_LOSS) return [];
  const who = loss.categories[0]?.who?.who;
  const isProcess = who?.kind === 'process' && loss.explanation === 'categories';
  const command = isProcess ? `procs --pid ${who.pid}` : 'triage';
  // Mappings would be read from smaps, which blocks a large process.
  const live = isProcess ? 'procs --watch' : command;
  const there = source.startsWith('--from ') ? [hostCommand(live, '--live')] : [];
  const next = hostCommand(command, source);
  // Only there is seen whether a program that started still grows.
  return isProcess && loss.categories[0]?.who?.status === 'new' && there.length > 0
    ? [...there.map((line) => `First, on that machine: ${line}`), `Next: ${next}`]
    : [`Next: ${next}`, ...there.map((line) => `On that machine: ${line}`)];
}

/** Minimum time in seconds for a rate: a change within seconds is none. */
export const MIN_RATED = 60;

function rateWords({ seconds, loss }: DiffAnswer): string {
  const took = seconds?.at(-1) ?? 0;
  return took < MIN_RATED || !loss ? '' : ` (${perMinute(-loss.lostBytes / took)}/min)`;
}

/** A time in which somebody can still act: from here on, when memory ends is no warning. Seconds. */
const SOON = 3600;

/** Part of memory that is left, with which nothing is urgent. */
const ENOUGH = 0.25;

/** Parts of the lost memory: what explains little of it, and what explains most. */
const SMALL_GROWTH = 0.1;
const MOST_GROWTH = 0.75;

/**
 * When memory ends at the same rate, with all that can be reclaimed; where one new process explains it, what is left. Empty: not
 * soon, or unknown.
 */
function soonWords(answer: DiffAnswer): string {
  const { seconds, categories, loss } = answer;
  const took = seconds?.at(-1) ?? 0;
  const usable = categories ? usableOf(categories) : [];
  const [before = null, after = null] = [0, -1].map((at) =>
    usable.reduce((sum: number | null, { bytes }) => (sum === null ? null : addUnknown(sum, bytes.at(at))), 0),
  );
  if (took < MIN_RATED || before === null || after === null || before - after < MIN_LOSS) return '';
  const left = (after * took) / (before - after);
  if (left >= SOON) return '';
  // A program that starts grows once.
  const grown = loss?.categories[0]?.who;
  const isNew = loss?.explanation === 'categories' && grown?.status === 'new' && grown.who.kind === 'process';
  const others = isNew ? othersGrew(answer) : undefined;
  const check = isNew
    ? ` A new process may grow only at its start: first check whether ${whoWords(grown.who)} still grows.${others?.words ?? ''}`
    : '';
  // A start has no rate, if it explains the loss and leaves enough.
  const lost = before - after;
  const isStart = others && others.bytes < SMALL_GROWTH * lost && (grown?.changeBytes ?? 0) > MOST_GROWTH * lost;
  if (isStart && after >= ENOUGH * (categories?.bytes.at(-1) ?? Number.POSITIVE_INFINITY))
    return `${check} ${formatSize(after)} of memory was still free or reclaimable.`;
  const rate = formatSize(Math.round((60 * (before - after)) / took));
  const then = isNew ? '; only if that goes on' : ': at that rate';
  return `${check} Free and reclaimable memory fell by ${rate}/min${then}, the remaining ${formatSize(after)} would last about ${formatSeconds(left)} from then${untilWords(answer, left)}, not counting swap.`;
}

/** When memory ends, by the clock of the last input. @param left seconds */
function untilWords({ states }: DiffAnswer, left: number): string {
  const at = Date.parse(states.at(-1)?.origin.at ?? '');
  return Number.isNaN(at) ? '' : ` (until ${new Date(at + 1000 * left).toISOString().slice(11, 16)} UTC)`;
}

/** The process that is in both inputs and grew most; undefined: none grew. */
export function mostGrown(items: readonly ItemDiff[]): ItemDiff | undefined {
  return items
    .filter(({ status, changeBytes }) => status === 'both' && (changeBytes ?? 0) > 0)
    .toSorted((a, b) => (b.changeBytes ?? 0) - (a.changeBytes ?? 0))[0];
}

/** How much others grew than the process that started; undefined: unknown. */
function othersGrew({ lists: { processes } }: DiffAnswer): { words: string; bytes: number } | undefined {
  // A process that was empty may have been there.
  const isOpen = processes?.items.some(({ status, changeBytes }) => status === 'was-empty' && (changeBytes ?? 0) > 0);
  if (!processes?.complete || processes.unknown > 0 || isOpen) return undefined;
  const most = mostGrown(processes.items);
  if (!most) return { words: ' No process that is in both inputs grew.', bytes: 0 };
  const bytes = most.changeBytes ?? 0;
  return {
    words: ` The process in both inputs that grew most is ${whoWords(most.who)}, by ${formatSize(bytes)}.`,
    bytes,
  };
}

/** Memory that is free, or that the kernel can free. */
function usableOf(diff: CategoryDiff): CategoryDiff[] {
  if (['free', 'page-cache', 'slab-reclaimable'].includes(diff.category)) return [diff];
  return diff.children.flatMap(usableOf);
}

const addUnknown = (sum: number, bytes: number | null | undefined) => (bytes == null ? null : sum + bytes);

function reasonWords(loss: Loss): string {
  const { lostBytes: lost, explanation, grewBytes: grew, categories, pipes } = loss;
  const { unattributedBytes: unattributed, uncomparedBytes: uncompared } = loss;
  const inPipes = pipes
    ? ` (pipes of pid ${pipes.pid} (${escapeText(pipes.comm ?? 'name unknown')}) can hold up to ${formatSize(pipes.mostBytes)})`
    : '';
  if (grew === null) return ' Categories cannot be compared, so what grew is unknown.';
  if (explanation === 'nothing') {
    const rest =
      (unattributed ?? 0) > 0 ? `; unattributed memory grew by ${formatSize(unattributed ?? 0)}${inPipes}` : '';
    return ` Loss not attributed: categories with an owner grew by only ${formatSize(grew)} in total${rest}.`;
  }
  const [first, second] = categories;
  const named = [first, second].flatMap((category) =>
    category ? [[category.category.changeBytes ?? 0, increaseWords(category)] as const] : [],
  );
  const others = [
    [unattributed ?? 0, `unattributed ${signedSize(unattributed)}${inPipes}`],
    [uncompared ?? 0, `categories that cannot be compared ${signedSize(uncompared)}`],
  ] as const;
  const parts = [...named, ...others]
    .filter(([changeBytes], index) => changeBytes >= lost / 10 || (index === 0 && first))
    .toSorted(([a], [b]) => b - a)
    .map(([, words]) => words);
  if (parts.length === 0) return '';
  const isCache = categories
    .slice(0, 2)
    .some(({ category: { category, changeBytes } }) => category === 'page-cache' && (changeBytes ?? 0) >= lost / 10);
  const cache = isCache ? ' The kernel can reclaim most page cache when it needs memory.' : '';
  return ` Largest increase${parts.length > 1 ? 's' : ''}: ${parts.join(', ')}.${cache}`;
}

/** A smaller part of memory changes all the time. */
const SMALL = 0.001;

/**
 * Names the category that grew most. Used if free memory did not fall, or if the inputs are from different
 * boots.
 */
function largestIncrease(
  { categories: [first], unattributedBytes, uncomparedBytes }: Loss,
  { categories: all }: DiffAnswer,
): string {
  const changeBytes = first?.category.changeBytes ?? 0;
  if (!first || changeBytes < MIN_LOSS) return '';
  const small = SMALL * (all?.bytes.at(-1) ?? 0);
  if ([changeBytes, unattributedBytes ?? small, uncomparedBytes ?? small].every((bytes) => bytes < small))
    return ' No category grew by 0.1 % of memory.';
  const reserved = first.category.category === 'crash-kernel' ? ' (reserved at boot: crashkernel=)' : '';
  return ` Largest increase: ${increaseWords(first)}${reserved}.`;
}

function increaseWords(grown: GrownCategory): string {
  const { category, changeBytes } = grown.category;
  return `${anyCategoryWords(category)} ${signedSize(changeBytes)}${ownerWords(grown)}`;
}

function ownerWords({ category: { changeBytes }, file, who, ofNoProcess }: GrownCategory): string {
  // The first input need not list it: whether it grew is unknown.
  if (!who && file && file.bytes >= GOOD_PART * (changeBytes ?? 0))
    return ` (largest known file now: ${escapeText(file.name)}, ${formatSize(file.bytes)}${file.pid === null ? '' : `, open or mapped in pid ${file.pid}`}; its size before is unknown)`;
  if (ofNoProcess) return ' (no process maps a quarter of this growth)';
  if (!who || (who.changeBytes ?? 0) <= 0) return '';
  const isNew = who.status === 'new' ? ', which is new' : '';
  return ` (led by ${whoWords(who.who)}${isNew}, ${signedSize(who.changeBytes)}${withSpace(measureWords(who))})`;
}

function withSpace(words: string): string {
  return words === '' ? '' : ` ${words}`;
}

/** The headline where the change of free memory is unknown. */
function listSentence({ lists }: DiffAnswer): string {
  const all = LISTS.flatMap((name) => lists[name]?.items ?? []);
  if (LISTS.every((name) => lists[name] === null))
    return 'No list is in both inputs (the warnings say why): nothing can be compared';
  const grown = all.filter(({ changeBytes }) => (changeBytes ?? 0) > 0);
  const [most] = grown.toSorted((a, b) => (b.changeBytes ?? 0) - (a.changeBytes ?? 0));
  const unknown = all.filter(({ changeBytes }) => changeBytes === null).length;
  if (most)
    return `Change of free memory unknown. Largest increase: ${whoWords(most.who)}, ${signedSize(most.changeBytes)}${withSpace(measureWords(most))}`;
  return unknown === 0
    ? 'No listed item grew'
    : `No known growth; the change of ${formatCount(unknown)} listed ${inflect(unknown, 'item')} is unknown`;
}

/** Returns `between 10:02 and 10:47 UTC on 2026-11-20`; seconds are included if the times are close. */
function whenWords({ states }: DiffAnswer): string {
  const [first, last] = [states[0], states.at(-1)];
  const [from, to] = [first?.origin.at, last?.origin.at];
  const seconds = from && to ? (Date.parse(to) - Date.parse(from)) / 1000 : -1;
  if (!from || !to || seconds < 0) return `from ${escapeText(first?.name ?? '')} to ${escapeText(last?.name ?? '')}`;
  const precise = seconds < 600 ? 19 : 16;
  const [day, time] = [from.slice(0, 10), (text: string) => text.slice(11, precise)];
  return day === to.slice(0, 10)
    ? `between ${time(from)} and ${time(to)} UTC on ${day}`
    : `between ${day} ${time(from)} and ${to.slice(0, 10)} ${time(to)} UTC`;
}
