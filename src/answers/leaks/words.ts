import type { Growth } from '../../growth/growth.js';
import type { LeakSite, LeaksAnswer } from '../../leaks/answer.js';
import { mostUnmet } from '../../leaks/follow/estimate.js';
import type { LeakNote, LeakNoteCode } from '../../leaks/notes.js';
import { sawAll } from '../../leaks/notes.js';
import type { AllocationType, MethodCode, Recording } from '../../leaks/recording.js';
import type { PlaceSum, SiteSurvivors } from '../../leaks/site-survivors.js';
import type { Place } from '../../leaks/survivors/place.js';
import type { LeakReason, LeakVerdict } from '../../leaks/verdict.js';
import { formatSeconds, perMinute } from '../growth/words.js';
import { categoryWords } from '../memory/words.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import { siteName, socketOwner } from './site-words.js';

const PLACE_WORDS: Readonly<Record<Place, string>> = {
  free: 'free',
  reused: 'taken by others since',
  'page-cache': 'page cache',
  shared: 'shared memory',
  anonymous: 'anonymous',
  'page-table': 'page tables',
  'kernel-stack': 'kernel stacks',
  pipe: 'pipes',
  slab: 'slab',
  vmalloc: 'vmalloc',
  socket: 'sockets',
  network: 'network',
  'page-pool': 'page pools',
  ring: 'rings',
  kernel: 'kernel',
  nobody: 'nobody’s',
  'not-known': 'not known',
};

export function placeWords({ place, cache, category }: PlaceSum): string {
  if (place === 'slab' && cache !== null) return `slab ${escapeText(cache)}`;
  if (place === 'kernel' && category !== null) return categoryWords({ category });
  return PLACE_WORDS[place];
}

const METHOD_WORDS: Readonly<Record<MethodCode, string>> = {
  allocinfo: 'allocation profiling (/proc/allocinfo)',
  'page-owner': 'page_owner',
  'page-owner-stacks': 'stacks of page_owner',
  'slab-traces': 'traces of SLUB',
  vmallocinfo: '/proc/vmallocinfo',
  tracefs: 'events of tracefs',
  bpftrace: 'bpftrace',
  'perf-script': 'what perf script printed',
  'trace-text': 'a trace as text',
};

export function methodWords(method: MethodCode): string {
  return METHOD_WORDS[method];
}

const REASON_WORDS: Readonly<Record<LeakReason, string>> = {
  nobody: 'nothing leads to it',
  waits: 'nobody takes it',
  reclaimable: 'the kernel takes it back',
  'of-processes': 'of processes',
  'of-kernel': 'the kernel uses it',
  'not-looked-up': 'where it is, is not known',
  'not-steady': 'not steadily',
  'turns-over': 'it turns over',
  slows: 'it slows down',
  gone: 'it was freed',
  'too-few-windows': 'too few windows',
  'too-few-sampled': 'too few in the sample',
  'not-sure': 'not sure',
  'frees-keep-pace': 'frees keep pace',
  'maybe-free': 'may be free',
};

export function reasonWords(reason: LeakReason): string {
  return REASON_WORDS[reason];
}

/** What blocks are called. */
function blocksOf(type: AllocationType, count: number, order: number | null): string {
  const one = { page: 'block', slab: 'object', vmalloc: 'area' }[type];
  return `${formatCount(count)} ${one}${count === 1 ? '' : 's'}${order === null ? '' : ` of order ${order}`}`;
}

/** The sentence that matters first. */
export function headline(answer: LeaksAnswer): string {
  const { recording, sites, duration } = answer;
  const time = formatSeconds(duration / 1000);
  const of = (verdict: LeakVerdict) => sites.filter((site) => site.verdict === verdict);
  const [leaking, growing, unknown] = [of('leaking'), of('growing'), of('unknown')];
  const more = (count: number, what: string) =>
    count > 0 ? ` ${formatCount(count)} more ${count === 1 ? 'stack' : 'stacks'} ${what}.` : '';
  const [first] = leaking;
  if (first)
    return `${siteSentence(first, recording, time)}${more(leaking.length - 1, leaking.length === 2 ? 'leaks' : 'leak')}`;
  const [grown] = growing;
  if (grown) {
    const unsure =
      unknown.length === 0 ? '' : `; of ${formatCount(unknown.length)} it is not known`;
    return `No stack is known to leak by ${time}${unsure}. What grows most: ${siteSentence(grown, recording, time)}`;
  }
  if (unknown.length > 0)
    return `Whether anything leaks is not known by ${time}: ${askFor(unknown)}`;
  if (answer.notes.some(({ code }) => code === 'untold-order'))
    return `No stack grows by ${time}, if the copies are in order, which nothing in them tells: whether anything leaks is not known.`;
  if (!sawAll(answer.notes)) {
    const what =
      sites.length === 0 ? 'Nothing that was seen is held' : 'No stack that was seen grows';
    return `${what} by ${time}, but not everything was seen: whether anything leaks is not known.`;
  }
  if (sites.length === 0)
    return `Nothing that was allocated in ${time} is held.${beyondSample(recording)}`;
  return `No stack grows all the time: nothing leaks by ${time}.${beyondSample(recording)}`;
}

/** How much of a leak a sample may have missed. */
function beyondSample({ type, sample: { oneIn } }: Recording): string {
  if (oneIn === 1) return '';
  return ` A leak of fewer than ${blocksOf(type, mostUnmet(oneIn), null)} may not be in the sample: --sample 1/1 follows all.`;
}

/** What to ask next, of the site that matters most. */
export function nextWords({ sites }: LeaksAnswer): string[] {
  const [first] = sites;
  if (!first || (first.verdict !== 'leaking' && first.verdict !== 'growing')) return [];
  if (first.reason === 'waits') {
    const pid = first.survivors?.sockets[0]?.entry.holders[0]?.pid;
    return [
      `Next: ${pid === undefined ? 'kdump-mem sockets --live' : `kdump-mem skb --live --pid ${pid}`}`,
    ];
  }
  const command = NEXT[first.reason];
  return command === undefined ? [] : [`Next: ${command}`];
}

const NEXT: Readonly<Partial<Record<LeakReason, string>>> = {
  nobody: 'kdump-mem memory --live',
  reclaimable: 'kdump-mem memory --live --files',
  'of-processes': 'kdump-mem procs --live --watch',
  'of-kernel': 'kdump-mem memory --live',
};

/** What would tell more of sites that are not known. */
function askFor(unknown: readonly LeakSite[]): string {
  const has = (reason: LeakReason) => unknown.some((site) => site.reason === reason);
  if (has('too-few-windows'))
    return 'ask for three windows or more (--windows; of copies, four of them).';
  if (has('frees-keep-pace'))
    return 'frees of older blocks keep pace with allocations. Record for longer than the blocks live (--interval 1h).';
  if (has('too-few-sampled'))
    return 'too few blocks are in the sample. Ask for a larger one (--sample 1/1), or for longer.';
  return 'ask for longer (--interval).';
}

function siteSentence(site: LeakSite, { type }: Recording, time: string): string {
  const { held, survivors } = site;
  const size = formatSize(held.bytes);
  const blocks =
    held.blocks === null
      ? size
      : `${blocksOf(type, held.blocks, survivors?.order ?? null)} (${size})`;
  return `${siteName(site.site, 2)}: ${blocks} in ${time}${nowWords(site, type)}.`;
}

/** Where they are, in words for the sentence. */
function nowWords({ held, survivors }: LeakSite, type: AllocationType): string {
  if (!survivors) return '';
  const still = survivors.places.filter(({ keeper }) => keeper !== 'gone');
  const [most] = still;
  if (!most) return '';
  const [socket] = survivors.sockets;
  const scale = scaleOf(held.blocks, still);
  const scaled = (blocks: number) => (scale === null ? null : Math.round(blocks * scale));
  const many = (blocks: number) => {
    const count = scaled(blocks);
    return count === null ? 'most' : count === held.blocks ? 'all' : formatCount(count);
  };
  if (socket && survivors.sockets.reduce((sum, { blocks }) => sum + blocks, 0) * 2 > sumOf(still)) {
    const all = survivors.sockets.reduce((sum, { blocks }) => sum + blocks, 0);
    const sockets = survivors.sockets.length;
    const first = socketOwner(socket.entry);
    return `; ${many(all)} of them wait in ${sockets === 1 ? `1 socket: ${first}` : `${formatCount(sockets)} sockets: ${first} and others`}`;
  }
  if (most.place === 'nobody')
    return `; nothing leads to ${most.blocks === sumOf(still) ? 'any' : many(most.blocks)} of them`;
  if (most.place === 'not-known') return '; where they are is not known';
  const what =
    type === 'slab' && most.place === 'slab' && most.cache !== null
      ? `slab cache ${escapeText(most.cache)}`
      : placeWords(most);
  return `; ${many(most.blocks)} of them: ${what}`;
}

function sumOf(places: readonly PlaceSum[]): number {
  return places.reduce((sum, { blocks }) => sum + blocks, 0);
}

/** How many blocks there are for each that was looked up and is still held. */
function scaleOf(held: number | null, still: readonly PlaceSum[]): number | null {
  const sum = sumOf(still);
  return held === null || sum === 0 ? null : held / sum;
}

/** `sockets 98 %, nobody’s 2 %`, by bytes of those that are still held. */
export function nowCell(survivors: SiteSurvivors | undefined): string {
  const still = survivors?.places.filter(({ keeper }) => keeper !== 'gone') ?? [];
  const all = still.reduce((sum, { bytes }) => sum + bytes, 0);
  if (all === 0) return '';
  return still
    .slice(0, 3)
    .map((one) => `${placeWords(one)} ${Math.round((100 * one.bytes) / all)} %`)
    .join(', ');
}

/** `+1.02 MiB`, or nothing where it cannot be told. */
export function growthCell(growth: Growth | null, bound: 'perSecond' | 'low' | 'high'): string {
  return growth === null ? '' : perMinute(growth[bound]);
}

const NOTES: Readonly<Record<LeakNoteCode, (note: LeakNote) => string>> = {
  overrun: ({ count }) =>
    `${many(count, 'event')} of the kernel were lost: some of what is listed may be free, and some is missing.`,
  'overrun-unknown': () => 'Whether the kernel lost events is not told.',
  'missed-frees': ({ count }) =>
    `${many(count, 'block')} ${count === 1 ? 'was' : 'were'} allocated where something was held still: as many frees were missed, and are counted as frees.`,
  'found-free': ({ count, bytes = 0 }) =>
    `${many(count, 'block')} (${formatSize(bytes)}) ${count === 1 ? 'was' : 'were'} free when looked up: freed since, or the free was missed. They are not counted as held.`,
  'unknown-frees': ({ count }) =>
    `${many(count, 'free')} ${count === 1 ? 'was' : 'were'} of what was allocated before, or unseen.`,
  'without-stack': ({ count }) => `${many(count, 'allocation')} had no stack.`,
  dropped: ({ count }) =>
    `${many(count, 'block')} ${count === 1 ? 'was' : 'were'} not followed, since memory for that is bounded. Take a smaller sample (--sample 1/N).`,
  unseen: ({ count }) =>
    `At least ${many(count, 'page')} ${count === 1 ? 'was' : 'were'} allocated without an event (in bulk, by vmalloc or a driver’s page pool): not among those listed.`,
  'unseen-frees': ({ count }) =>
    `${many(count, 'page')} ${count === 1 ? 'was' : 'were'} freed without an event: some of what is listed may be free.`,
  'unseen-unknown': () => 'How much was allocated without an event is not known.',
  'unseen-objects': () =>
    'Objects that are allocated in bulk (kmem_cache_alloc_bulk) fire no event: how many there were is not known.',
  'not-looked-up': ({ why }) =>
    `Where the blocks are now was not looked up${why === undefined ? '' : ` (${escapeText(why)})`}: nothing is called leaking.`,
  'no-blocks': () =>
    'It tells no single blocks that could be looked up: nothing is called leaking. --method tracefs and page-owner do.',
  'no-addresses': () =>
    'The kernel printed numbers instead of addresses, and its own list of areas could not be read (/proc/kcore): no area can be looked up, and nothing is called leaking. Next: sysctl kernel.kptr_restrict=1',
  'flags-only': ({ why }) =>
    `Where blocks are is known by flags of page frames alone${why === undefined ? '' : ` (${escapeText(why)})`}, which do not tell sockets from nobody. Next: skcheck --stale`,
  'left-out': ({ count }) =>
    `${many(count, 'block')} more ${count === 1 ? 'was' : 'were'} held, and not looked up.`,
  lookup: ({ why = '' }) => `When blocks were looked up: ${escapeText(why)}`,
  'maybe-free': ({ count }) =>
    `${many(count, 'object')} may be free: the list of free objects of ${count === 1 ? 'its slab' : 'their slabs'} could not be read. ${count === 1 ? 'It counts' : 'They count'} as held.`,
  'limited-cache': ({ count, why = '' }) =>
    `Some of what is called leaking lies in a cache that the kernel fills up to a limit, and empties as time goes by (${escapeText(why)}, now ${formatCount(count ?? 0)} in this network namespace): it may only be filling. Ask for longer than its objects live, or see whether the count goes on to grow.`,
  'ended-early': () => 'It was ended early.',
  'too-few-windows': () => 'Growth is told from three windows on.',
  chosen: ({ why = '' }) => `Only what ${escapeText(why)} allocated was followed.`,
  'ended-threads': ({ count }) =>
    `${many(count, 'allocation')} ${count === 1 ? 'was' : 'were'} of threads that ended before it could be told whose they were: not among those followed.`,
  late: ({ count }) =>
    `${many(count, 'event')} came after later ones had been told: some frees of them may have been taken for missed.`,
  'settings-changed': ({ why = '' }) =>
    `Somebody else changed how events are recorded, and it was ended within a second of that: ${escapeText(why)}. Ask again.`,
  'events-unmatched': ({ count }) =>
    `What the kernel counts as read and what was read differ by ${many(count, 'event')}: somebody else read the buffers, or emptied them. Some of what is listed may be free, and some is missing.`,
  orphans: ({ why = '' }) =>
    `A run that was killed had left its instances of tracefs, which were removed: ${escapeText(why)}.`,
  'left-behind': ({ why = '' }) =>
    `Somebody else has it open, so that it could not be removed: ${escapeText(why)}. Close that, and remove it with rmdir.`,
  'over-budget': () => 'It cost more than --budget allows: there were more events than at first.',
  'source-cut': ({ why = '' }) => `${escapeText(why)} is not whole: it ends too early.`,
  'source-strange': ({ count, why = '' }) =>
    `${escapeText(why)} has ${many(count, 'line')} of no known form, or whose figures contradict each other, which were left out.`,
  'source-unreadable': ({ count, why = '' }) =>
    `${many(count, 'part')} of ${escapeText(why)} could not be read, or are not tracked.`,
  'source-sites': ({ count, why = '' }) =>
    `${escapeText(why)} has more sites than there is room for: ${many(count, 'allocation')} are added up as one.`,
  'source-order': ({ count, why = '' }) =>
    `In ${escapeText(why)} times do not follow each other in ${many(count, 'place')}: it is of several recordings, or damaged.`,
  'untold-order': ({ bytes }) =>
    `Nothing in the copies tells which is older, nor that they are of one machine: they are taken in the order in which they were given.${bytes === undefined ? '' : ` In that order ${formatSize(bytes)} were given back: if it is wrong, as much leaked.`}`,
  'source-inaccurate': ({ count, why = '' }) =>
    `Of ${many(count, 'site')} ${escapeText(why)} says itself that it did not count all.`,
};

function many(count: number | undefined, what: string): string {
  if (count === undefined) return `Some ${what}s`;
  return `${formatCount(count)} ${what}${count === 1 ? '' : 's'}`;
}

export function noteWords(note: LeakNote): string {
  return NOTES[note.code](note);
}
