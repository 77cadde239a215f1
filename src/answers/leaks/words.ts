import { categoryWords } from '../../account/memory/category-names.js';
import { escapeText } from '../../base/escape.js';
import { formatCount, formatSize } from '../../base/size.js';
import type { Growth } from '../../contracts/growth.js';
import type { LeakSite, LeaksAnswer } from '../../leaks/answer.js';
import { mostUnmet } from '../../leaks/follow/estimate.js';
import { type LeakNote, sawAll } from '../../leaks/notes.js';
import type { AllocationType, MethodCode, Recording } from '../../leaks/recording.js';
import type { PlaceSum, SiteSurvivors } from '../../leaks/site-survivors.js';
import type { Place } from '../../records/leak-codes.js';
import { LEAK_VERDICTS, type LeakNoteCode, type LeakReason, type LeakVerdict } from '../../records/leak-codes.js';
import { formatSeconds, perMinute } from '../growth/words.js';
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
  unknown: 'not located',
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
  memleak: 'memleak output',
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
  'location-unknown': 'not looked up',
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

/** Returns `3 order-2 blocks` or `1 object`. */
function blocksOf(type: AllocationType, count: number, order: number | null): string {
  const one = { page: 'block', slab: 'object', vmalloc: 'area' }[type];
  return `${formatCount(count)} ${order === null ? '' : `order-${order} `}${one}${count === 1 ? '' : 's'}`;
}

/** Returns whether anything leaks, the number of stacks by verdict, and the largest suspect. */
export function headline(answer: LeaksAnswer): string {
  const { sites, duration, recording } = answer;
  const time = formatSeconds(duration / 1000);
  const of = (verdict: LeakVerdict) => sites.filter((site) => site.verdict === verdict);
  const [[first, ...leaking], [grown], unknown] = [of('leaking'), of('growing'), of('unknown')];
  const counts = LEAK_VERDICTS.flatMap((verdict) => {
    const count = of(verdict).length;
    return count === 0 ? [] : [`${formatCount(count)} ${verdict}`];
  }).join(', ');
  if (first) {
    const more =
      leaking.length === 0
        ? ''
        : ` ${formatCount(leaking.length)} more ${leaking.length === 1 ? 'stack leaks' : 'stacks leak'}.`;
    return `Leak in ${siteSentence(first, answer)}${more}`;
  }
  if (grown)
    return `Possible leaks, none confirmed, after ${time}: ${counts}. Largest growth in ${siteSentence(grown, answer)}`;
  const inconclusive = `Inconclusive after ${time}`;
  if (unknown.length > 0) return `${inconclusive}: ${counts}. ${adviceFor(unknown)}`;
  if (answer.notes.some(({ code }) => code === 'unknown-order'))
    return `${inconclusive}: no stack grows if the copies are in the right order, which they do not show.`;
  if (!sawAll(answer.notes)) {
    const what = sites.length === 0 ? 'no recorded allocation is still held' : 'no recorded stack grows';
    return `${inconclusive}: ${what}, but the recording is incomplete.`;
  }
  if (sites.length === 0) return `No leak: every allocation of these ${time} was freed.${beyondSample(recording)}`;
  return `No leak after ${time}: no stack grows steadily.${beyondSample(recording)}`;
}

/** Whether a note explains why no leak can be confirmed, while stacks grow or may grow. */
export function isDecisive({ code }: LeakNote, { sites }: LeaksAnswer): boolean {
  if (code === 'source-truncated') return true;
  return CONFIRMS_NOTHING.includes(code) && sites.some(({ verdict }) => verdict === 'growing' || verdict === 'unknown');
}

const CONFIRMS_NOTHING: readonly LeakNoteCode[] = ['not-looked-up', 'no-blocks', 'no-addresses', 'flags-only'];

/** Returns how much of a leak a sample may have missed. */
function beyondSample({ type, sample: { oneIn } }: Recording): string {
  if (oneIn === 1) return '';
  return ` The sample may miss a leak of fewer than ${blocksOf(type, mostUnmet(oneIn), null)}; --sample 1/1 follows every block.`;
}

/** Returns the next command, for the first site. */
export function nextWords({ sites }: LeaksAnswer): string[] {
  const [first] = sites;
  if (!first || (first.verdict !== 'leaking' && first.verdict !== 'growing')) return [];
  if (first.reason === 'queued') {
    const pid = first.survivors?.sockets[0]?.entry.holders[0]?.pid;
    return [`Next: ${pid === undefined ? 'kdump-mem sockets --live' : `kdump-mem skb --live --pid ${pid}`}`];
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

/** Advises how to get a verdict on inconclusive sites. */
function adviceFor(unknown: readonly LeakSite[]): string {
  const has = (reason: LeakReason) => unknown.some((site) => site.reason === reason);
  if (has('too-few-windows'))
    return 'Growth needs at least three windows: record with --windows 3, or give --from at least four copies.';
  if (has('frees-keep-pace'))
    return 'Frees of older blocks keep pace with allocations: record for longer than the blocks live (--interval 1h).';
  if (has('sample-too-small')) return 'Too few blocks in the sample: use --sample 1/1, or record longer (--interval).';
  return 'Record longer (--interval 1h).';
}

function siteSentence(site: LeakSite, answer: LeaksAnswer): string {
  const { held, survivors } = site;
  const { type } = answer.recording;
  const size = formatSize(held.bytes);
  const blocks = held.blocks === null ? size : `${blocksOf(type, held.blocks, survivors?.order ?? null)} (${size})`;
  const time = formatSeconds(answer.duration / 1000);
  return `${siteName(site.site, 2)}: ${blocks} in ${time}.${locationWords(site, type)}`;
}

/** Returns the current location of the blocks as a sentence; empty if unknown. */
function locationWords({ held, survivors }: LeakSite, type: AllocationType): string {
  const still = survivors?.places.filter(({ keeper }) => keeper !== 'freed') ?? [];
  const [most] = still;
  if (!survivors || !most || most.place === 'unknown') return '';
  const [socket] = survivors.sockets;
  const scale = scaleOf(held.blocks, still);
  const share = (blocks: number) => {
    if (held.blocks === 1) return 'It is';
    if (scale === null) return blocks === sumOf(still) ? 'All of it is' : 'Most of it is';
    const count = Math.round(blocks * scale);
    if (count === held.blocks) return 'All of them are';
    return `${formatCount(count)} of them ${count === 1 ? 'is' : 'are'}`;
  };
  const queued = survivors.sockets.reduce((sum, { blocks }) => sum + blocks, 0);
  if (socket && queued * 2 > sumOf(still)) {
    const sockets = survivors.sockets.length;
    const first = socketOwner(socket.entry);
    return ` ${share(queued)} unread in ${sockets === 1 ? `1 socket: ${first}` : `${formatCount(sockets)} sockets: ${first} and others`}.`;
  }
  if (most.place === 'unreferenced') return ` ${share(most.blocks)} unreferenced.`;
  const what =
    type === 'slab' && most.place === 'slab' && most.cache !== null
      ? `slab cache ${escapeText(most.cache)}`
      : placeWords(most);
  return ` ${share(most.blocks)} in ${what}.`;
}

function sumOf(places: readonly PlaceSum[]): number {
  return places.reduce((sum, { blocks }) => sum + blocks, 0);
}

/** Returns the ratio of all blocks to the looked-up blocks that are still held. */
function scaleOf(held: number | null, still: readonly PlaceSum[]): number | null {
  const sum = sumOf(still);
  return held === null || sum === 0 ? null : held / sum;
}

/**
 * Returns `sockets 98 %, unreferenced 2 %`, by bytes that are still held; empty if all locations are unknown.
 */
export function heldByCell(survivors: SiteSurvivors | undefined): string {
  const still = survivors?.places.filter(({ keeper }) => keeper !== 'freed') ?? [];
  const all = still.reduce((sum, { bytes }) => sum + bytes, 0);
  if (still.every(({ place }) => place === 'unknown')) return '';
  return still
    .slice(0, 3)
    .map((one) => `${placeWords(one)} ${Math.round((100 * one.bytes) / all)} %`)
    .join(', ');
}

/** Returns `+1.02 MiB`, or nothing if the growth is unknown. */
export function growthCell(growth: Growth | null, bound: 'perSecond' | 'low' | 'high'): string {
  return growth === null ? '' : perMinute(growth[bound]);
}

const NOTES: Readonly<Record<LeakNoteCode, (note: LeakNote, type: AllocationType) => string>> = {
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
  'unseen-unknown': () =>
    'Some pages may be missing: bulk allocations (vmalloc, page pools) fire no event, and their number is unknown.',
  'unseen-objects': () =>
    'Bulk allocations (kmem_cache_alloc_bulk) fire no event: an unknown number of objects is missing.',
  'not-looked-up': ({ why }, type) =>
    why === undefined
      ? `This input cannot confirm a leak: it does not show whether the blocks are still in use. To confirm, run on that machine as root (/proc/kcore required): ${leaksCommand(type)}`
      : `No leak can be confirmed here: where the blocks are now could not be read (${escapeText(why)}). Next: kdump-mem doctor`,
  'no-blocks': (_, type) =>
    `This source cannot confirm a leak: it reports totals, not individual blocks. To confirm, run on that machine as root (/proc/kcore required): ${leaksCommand(type)} --method tracefs`,
  'no-addresses': () =>
    'This source cannot confirm a leak: the kernel hides the addresses of vmalloc areas, and /proc/kcore is not available. Next: sysctl kernel.kptr_restrict=1',
  'flags-only': ({ why }) =>
    `Page flags cannot confirm a leak: they do not distinguish socket buffers from unreferenced pages${why === undefined ? '' : ` (${escapeText(why)})`}. Next: skcheck --stale`,
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
  late: ({ count }) => `${many(count, 'event')} arrived out of order: some frees may be reported as missed.`,
  'settings-changed': ({ why = '' }) =>
    `Another program changed the trace settings, so the recording stopped: ${escapeText(why)}. Run it again.`,
  'events-unmatched': ({ count }) =>
    `Another program read or cleared the trace buffers: ${many(count, 'event')} differ from the kernel’s count. Some listed blocks may be free, and others are missing.`,
  orphans: ({ why = '' }) => `Removed tracefs instances left by a killed run: ${escapeText(why)}.`,
  'left-behind': ({ why = '' }) =>
    `A tracefs instance could not be removed (another program has it open): ${escapeText(why)}. Remove it with rmdir when it is closed.`,
  'over-budget': () => 'Recording cost more than --budget: the event rate rose.',
  'source-truncated': ({ why = '' }) =>
    `Truncated input: ${escapeText(why)}. Allocations and frees are missing: sites may be missing too, and HELD may be too low or too high.`,
  'source-malformed': ({ count, why = '' }) =>
    `${escapeText(why)}: skipped ${many(count, 'malformed or inconsistent line')}.`,
  'source-unreadable': ({ count, why = '' }) =>
    `${escapeText(why)}: ${many(count, 'part')} could not be read, or ${count === 1 ? 'is' : 'are'} not tracked.`,
  'source-sites': ({ count, why = '' }) =>
    `${escapeText(why)}: too many allocation sites; ${many(count, 'allocation')} are counted as one site.`,
  'source-largest': ({ count = 0, why = '' }) =>
    `${escapeText(why)} lists only the ${formatCount(count)} largest stacks of each time: smaller ones are missing, and growth may be larger than stated.`,
  'source-order': ({ count, why = '' }) =>
    `${escapeText(why)}: timestamps go backwards in ${many(count, 'place')} (several recordings, or a corrupt file).`,
  'unknown-order': ({ bytes }) =>
    `The copies do not show their order or their machine: the first one given counts as the oldest.${bytes === undefined ? '' : ` In this order ${formatSize(bytes)} were freed; in the reverse order, they leaked.`}`,
  'source-inaccurate': ({ count, why = '' }) =>
    `${many(count, 'site')} ${count === 1 ? 'is' : 'are'} marked as inaccurate in ${escapeText(why)}: the kernel did not count every allocation, and their figures may be too low.`,
};

function many(count: number | undefined, what: string): string {
  if (count === undefined) return `Some ${what}s`;
  return `${formatCount(count)} ${what}${count === 1 ? '' : 's'}`;
}

function leaksCommand(type: AllocationType): string {
  return `kdump-mem leaks${type === 'page' ? '' : ` --type ${type}`}`;
}

/** @param type type of the allocations, for the next command */
export function noteWords(note: LeakNote, type: AllocationType = 'page'): string {
  return NOTES[note.code](note, type);
}
