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
  reused: 'reused since',
  'page-cache': 'page cache',
  shared: 'shmem',
  anonymous: 'anonymous memory',
  'page-table': 'page tables',
  'kernel-stack': 'kernel stacks',
  pipe: 'pipes',
  slab: 'slab',
  vmalloc: 'vmalloc',
  socket: 'sockets',
  network: 'network stack',
  'page-pool': 'page pools',
  ring: 'rings',
  kernel: 'kernel memory',
  unreferenced: 'unreferenced',
  unknown: 'unknown',
};

export function placeWords({ place, cache, category }: PlaceSum): string {
  if (place === 'slab' && cache !== null) return `slab ${escapeText(cache)}`;
  if (place === 'kernel' && category !== null) return categoryWords({ category });
  return PLACE_WORDS[place];
}

const METHOD_WORDS: Readonly<Record<MethodCode, string>> = {
  allocinfo: 'allocation profiling (/proc/allocinfo)',
  'page-owner': 'page_owner',
  'page-owner-stacks': 'page_owner stacks',
  'slab-traces': 'SLUB allocation traces',
  vmallocinfo: '/proc/vmallocinfo',
  tracefs: 'tracefs events',
  bpftrace: 'bpftrace',
  'perf-script': 'perf script output',
  'trace-text': 'trace text',
};

export function methodWords(method: MethodCode): string {
  return METHOD_WORDS[method];
}

const REASON_WORDS: Readonly<Record<LeakReason, string>> = {
  unreferenced: 'unreferenced',
  queued: 'queued, unread',
  reclaimable: 'reclaimable',
  'process-owned': 'owned by processes',
  'kernel-owned': 'in use by the kernel',
  'location-unknown': 'location unknown',
  unsteady: 'unsteady growth',
  'turns-over': 'blocks turn over',
  slowing: 'growth slows',
  freed: 'already freed',
  'too-few-windows': 'too few windows',
  'sample-too-small': 'sample too small',
  inconclusive: 'inconclusive',
  'frees-keep-pace': 'frees keep pace',
  'maybe-free': 'may be free',
};

export function reasonWords(reason: LeakReason): string {
  return REASON_WORDS[reason];
}

/** `3 order-2 blocks`, `1 object`. */
function blocksOf(type: AllocationType, count: number, order: number | null): string {
  const one = { page: 'block', slab: 'object', vmalloc: 'area' }[type];
  return `${formatCount(count)} ${order === null ? '' : `order-${order} `}${one}${count === 1 ? '' : 's'}`;
}

/** Answers whether anything leaks, and names the largest suspect. */
export function headline(answer: LeaksAnswer): string {
  const { recording, sites, duration } = answer;
  const time = formatSeconds(duration / 1000);
  const of = (verdict: LeakVerdict) => sites.filter((site) => site.verdict === verdict);
  const [leaking, growing, unknown] = [of('leaking'), of('growing'), of('unknown')];
  const more = (count: number, what: string) =>
    count > 0 ? ` ${formatCount(count)} more ${count === 1 ? 'stack' : 'stacks'} ${what}.` : '';
  const [first] = leaking;
  if (first)
    return `Leak: ${siteSentence(first, recording, time)}${more(leaking.length - 1, leaking.length === 2 ? 'leaks' : 'leak')}`;
  const [grown] = growing;
  if (grown) {
    const unsure = unknown.length === 0 ? '' : `; ${formatCount(unknown.length)} are inconclusive`;
    return `No leak confirmed after ${time}${unsure}. Largest growth: ${siteSentence(grown, recording, time)}`;
  }
  if (unknown.length > 0) return `Inconclusive after ${time}: ${adviceFor(unknown)}`;
  if (answer.notes.some(({ code }) => code === 'unknown-order'))
    return `Inconclusive after ${time}: no stack grows if the copies are in the right order, which they do not show.`;
  if (!sawAll(answer.notes)) {
    const what =
      sites.length === 0 ? 'no recorded allocation is still held' : 'no recorded stack grows';
    return `Inconclusive after ${time}: ${what}, but the recording is incomplete.`;
  }
  if (sites.length === 0)
    return `No leak: every allocation of these ${time} was freed.${beyondSample(recording)}`;
  return `No leak after ${time}: no stack grows steadily.${beyondSample(recording)}`;
}

/** How much of a leak a sample may have missed. */
function beyondSample({ type, sample: { oneIn } }: Recording): string {
  if (oneIn === 1) return '';
  return ` The sample may miss a leak of fewer than ${blocksOf(type, mostUnmet(oneIn), null)}; --sample 1/1 follows every block.`;
}

/** The next command, for the first site. */
export function nextWords({ sites }: LeaksAnswer): string[] {
  const [first] = sites;
  if (!first || (first.verdict !== 'leaking' && first.verdict !== 'growing')) return [];
  if (first.reason === 'queued') {
    const pid = first.survivors?.sockets[0]?.entry.holders[0]?.pid;
    return [
      `Next: ${pid === undefined ? 'kdump-mem sockets --live' : `kdump-mem skb --live --pid ${pid}`}`,
    ];
  }
  const command = NEXT[first.reason];
  return command === undefined ? [] : [`Next: ${command}`];
}

const NEXT: Readonly<Partial<Record<LeakReason, string>>> = {
  unreferenced: 'kdump-mem memory --live',
  reclaimable: 'kdump-mem memory --live --files',
  'process-owned': 'kdump-mem procs --live --watch',
  'kernel-owned': 'kdump-mem memory --live',
};

/** How to get a verdict on sites that are inconclusive. */
function adviceFor(unknown: readonly LeakSite[]): string {
  const has = (reason: LeakReason) => unknown.some((site) => site.reason === reason);
  if (has('too-few-windows'))
    return 'fewer than three windows. Use --windows 3 or more, or give at least four copies.';
  if (has('frees-keep-pace'))
    return 'frees of older blocks keep pace with allocations. Record for longer than the blocks live (--interval 1h).';
  if (has('sample-too-small'))
    return 'too few blocks in the sample. Use --sample 1/1, or record longer (--interval).';
  return 'record longer (--interval 1h).';
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

/** Where the blocks are now, for the sentence. */
function nowWords({ held, survivors }: LeakSite, type: AllocationType): string {
  if (!survivors) return '';
  const still = survivors.places.filter(({ keeper }) => keeper !== 'freed');
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
    return `, ${many(all)} of them unread in ${sockets === 1 ? `1 socket: ${first}` : `${formatCount(sockets)} sockets: ${first} and others`}`;
  }
  if (most.place === 'unreferenced')
    return `, ${most.blocks === sumOf(still) ? 'all' : many(most.blocks)} of them unreferenced`;
  if (most.place === 'unknown') return ', location unknown';
  const what =
    type === 'slab' && most.place === 'slab' && most.cache !== null
      ? `slab cache ${escapeText(most.cache)}`
      : placeWords(most);
  return `, ${many(most.blocks)} of them in ${what}`;
}

function sumOf(places: readonly PlaceSum[]): number {
  return places.reduce((sum, { blocks }) => sum + blocks, 0);
}

/** How many blocks there are for each that was looked up and is still held. */
function scaleOf(held: number | null, still: readonly PlaceSum[]): number | null {
  const sum = sumOf(still);
  return held === null || sum === 0 ? null : held / sum;
}

/** `sockets 98 %, unreferenced 2 %`, by bytes that are still held. */
export function nowCell(survivors: SiteSurvivors | undefined): string {
  const still = survivors?.places.filter(({ keeper }) => keeper !== 'freed') ?? [];
  const all = still.reduce((sum, { bytes }) => sum + bytes, 0);
  if (all === 0) return '';
  return still
    .slice(0, 3)
    .map((one) => `${placeWords(one)} ${Math.round((100 * one.bytes) / all)} %`)
    .join(', ');
}

/** `+1.02 MiB`, or nothing where the growth is unknown. */
export function growthCell(growth: Growth | null, bound: 'perSecond' | 'low' | 'high'): string {
  return growth === null ? '' : perMinute(growth[bound]);
}

const NOTES: Readonly<Record<LeakNoteCode, (note: LeakNote) => string>> = {
  overrun: ({ count }) =>
    `The kernel dropped ${many(count, 'event')}: some listed blocks may be free, and others are missing.`,
  'overrun-unknown': () =>
    'The number of dropped events is unknown: listed blocks may be free, and others may be missing.',
  'missed-frees': ({ count }) =>
    `${many(count, 'free')} ${count === 1 ? 'was' : 'were'} not recorded: the same frames were allocated again. ${count === 1 ? 'It counts' : 'They count'} as freed.`,
  'found-free': ({ count, bytes = 0 }) =>
    `${many(count, 'block')} (${formatSize(bytes)}) ${count === 1 ? 'was' : 'were'} already free when checked, and ${count === 1 ? 'is' : 'are'} not counted as held.`,
  'unknown-frees': ({ count }) =>
    `${many(count, 'free')} ${count === 1 ? 'has' : 'have'} no recorded allocation: the ${count === 1 ? 'block is' : 'blocks are'} mostly older than the recording.`,
  'without-stack': ({ count }) =>
    `${many(count, 'allocation')} had no stack trace, and ${count === 1 ? 'counts' : 'count'} as (no stack).`,
  dropped: ({ count }) =>
    `${many(count, 'block')} ${count === 1 ? 'was' : 'were'} not followed: the tracking tables are full. Use a smaller sample (--sample 1/N).`,
  unseen: ({ count }) =>
    `At least ${many(count, 'page')} ${count === 1 ? 'was' : 'were'} allocated without an event (bulk allocations by vmalloc or page pools) and ${count === 1 ? 'is' : 'are'} not listed.`,
  'unseen-frees': ({ count }) =>
    `${many(count, 'page')} ${count === 1 ? 'was' : 'were'} freed without an event: some listed blocks may be free.`,
  'unseen-unknown': () => 'The number of pages allocated without an event is unknown.',
  'unseen-objects': () =>
    'Bulk allocations (kmem_cache_alloc_bulk) fire no event: an unknown number of objects is missing.',
  'not-looked-up': ({ why }) =>
    `The blocks’ current use was not checked${why === undefined ? '' : ` (${escapeText(why)})`}, so no stack gets the verdict leaking.`,
  'no-blocks': () =>
    'This method reports no individual blocks, so no stack gets the verdict leaking. Use --method tracefs or page-owner.',
  'no-addresses': () =>
    'The kernel hides the addresses of vmalloc areas, and /proc/kcore is not available. No stack gets the verdict leaking. Next: sysctl kernel.kptr_restrict=1',
  'flags-only': ({ why }) =>
    `Source: page flags only${why === undefined ? '' : ` (${escapeText(why)})`}. They do not distinguish socket buffers from unreferenced pages. Next: skcheck --stale`,
  'left-out': ({ count }) =>
    `${many(count, 'held block')} ${count === 1 ? 'was' : 'were'} not checked: shares are of the blocks that were.`,
  lookup: ({ why = '' }) => `Checking the blocks’ current use: ${escapeText(why)}`,
  'maybe-free': ({ count }) =>
    `${many(count, 'object')} may be free: the freelist of ${count === 1 ? 'its slab' : 'their slabs'} could not be read. ${count === 1 ? 'It counts' : 'They count'} as held.`,
  'limited-cache': ({ count, why = '' }) =>
    `Possible false positive: some leaking objects are in a cache that fills up to a limit (${escapeText(why)}; now ${formatCount(count ?? 0)} in this network namespace). Record for longer than its objects live.`,
  'ended-early': () => 'The recording was interrupted.',
  'too-few-windows': () => 'Fewer than three windows: growth is unknown.',
  filtered: ({ why = '' }) => `Only allocations by ${escapeText(why)} were followed.`,
  'exited-threads': ({ count }) =>
    `${many(count, 'allocation')} ${count === 1 ? 'was' : 'were'} by threads that exited before they could be identified, and ${count === 1 ? 'is' : 'are'} not followed.`,
  late: ({ count }) =>
    `${many(count, 'event')} arrived out of order: some frees may be reported as missed.`,
  'settings-changed': ({ why = '' }) =>
    `Another program changed the trace settings, so the recording stopped: ${escapeText(why)}. Run it again.`,
  'events-unmatched': ({ count }) =>
    `Another program read or cleared the trace buffers: ${many(count, 'event')} differ from the kernel’s count. Some listed blocks may be free, and others are missing.`,
  orphans: ({ why = '' }) => `Removed tracefs instances left by a killed run: ${escapeText(why)}.`,
  'left-behind': ({ why = '' }) =>
    `A tracefs instance could not be removed (another program has it open): ${escapeText(why)}. Remove it with rmdir when it is closed.`,
  'over-budget': () => 'Recording cost more than --budget: the event rate rose.',
  'source-truncated': ({ why = '' }) =>
    `Truncated input: ${escapeText(why)}. Allocations are missing.`,
  'source-malformed': ({ count, why = '' }) =>
    `${escapeText(why)}: skipped ${many(count, 'malformed or inconsistent line')}.`,
  'source-unreadable': ({ count, why = '' }) =>
    `${escapeText(why)}: ${many(count, 'part')} could not be read, or ${count === 1 ? 'is' : 'are'} not tracked.`,
  'source-sites': ({ count, why = '' }) =>
    `${escapeText(why)}: too many allocation sites; ${many(count, 'allocation')} are counted as one site.`,
  'source-order': ({ count, why = '' }) =>
    `${escapeText(why)}: timestamps go backwards in ${many(count, 'place')} (several recordings, or a corrupt file).`,
  'unknown-order': ({ bytes }) =>
    `The copies do not show their order or their machine: the first one given counts as the oldest.${bytes === undefined ? '' : ` In this order ${formatSize(bytes)} were freed; in the reverse order, they leaked.`}`,
  'source-inaccurate': ({ count, why = '' }) =>
    `${escapeText(why)} marks ${many(count, 'site')} as inaccurate: the kernel did not count every allocation.`,
};

function many(count: number | undefined, what: string): string {
  if (count === undefined) return `Some ${what}s`;
  return `${formatCount(count)} ${what}${count === 1 ? '' : 's'}`;
}

export function noteWords(note: LeakNote): string {
  return NOTES[note.code](note);
}
