import { categoryWords } from '../../account/memory/category-names.js';
import { escapeText } from '../../base/escape.js';
import { formatCount, formatSize, inflect } from '../../base/size.js';
import type { Growth } from '../../contracts/growth.js';
import type { LeakPlace, LeakSite, LeakSurvivors, LeaksAnswer } from '../../contracts/leaks.js';
import { mostUnmet } from '../../leaks/follow/estimate.js';
import { sawAll } from '../../leaks/notes.js';
import type { AllocationType, MethodCode } from '../../leaks/recording.js';
import { keeperOf } from '../../leaks/survivors/lookup.js';
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

export function placeWords({ place, cache, category }: LeakPlace): string {
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
  const noun = { page: 'block', slab: 'object', vmalloc: 'area' }[type];
  return `${formatCount(count)} ${order === null ? '' : `order-${order} `}${noun}${inflect(count, '', 's')}`;
}

/** Returns whether anything leaks, the number of stacks by verdict, and the largest suspect. */
export function headline(answer: LeaksAnswer): string {
  const { sites } = answer;
  const time = formatSeconds(answer.seconds);
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
        : ` ${formatCount(leaking.length)} more ${inflect(leaking.length, 'stack leaks', 'stacks leak')}.`;
    return `Leak in ${siteSentence(first, answer)}${more}`;
  }
  if (grown)
    return `Possible leaks, none confirmed, after ${time}: ${counts}. Largest growth in ${siteSentence(grown, answer)}`;
  const inconclusive = `Inconclusive after ${time}`;
  if (unknown.length > 0) return `${inconclusive}: ${counts}. ${adviceFor(unknown)}`;
  if (answer.warnings.some(({ code }) => code === 'unknown-order'))
    return `${inconclusive}: no stack grows if the copies are in the right order, which they do not show.`;
  if (!sawAll(answer.warnings)) {
    const what = sites.length === 0 ? 'no recorded allocation is still held' : 'no recorded stack grows';
    return `${inconclusive}: ${what}, but the recording is incomplete.`;
  }
  if (sites.length === 0) return `No leak: every allocation of these ${time} was freed.${beyondSample(answer)}`;
  return `No leak after ${time}: no stack grows steadily.${beyondSample(answer)}`;
}

/** Whether a note explains why no leak can be confirmed, while stacks grow or may grow. */
export function isDecisive({ code }: LeaksAnswer['warnings'][number], { sites }: LeaksAnswer): boolean {
  if (code === 'source-truncated') return true;
  return CONFIRMS_NOTHING.includes(code) && sites.some(({ verdict }) => verdict === 'growing' || verdict === 'unknown');
}

const CONFIRMS_NOTHING: readonly LeakNoteCode[] = ['not-looked-up', 'no-blocks', 'no-addresses', 'flags-only'];

/** Returns how much of a leak a sample may have missed. */
function beyondSample({ type, sample: { oneIn } }: LeaksAnswer): string {
  if (oneIn === 1) return '';
  return ` The sample may miss a leak of fewer than ${blocksOf(type, mostUnmet(oneIn), null)}; --sample 1/1 follows every block.`;
}

/** Returns the next command, for the first site. */
export function nextWords({ sites }: LeaksAnswer): string[] {
  const [first] = sites;
  if (!first || (first.verdict !== 'leaking' && first.verdict !== 'growing')) return [];
  if (first.reason === 'queued') {
    const pid = first.survivors?.sockets[0]?.holders[0]?.pid;
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
  const { type } = answer;
  const size = formatSize(site.bytes);
  const blocks =
    site.blocks === null ? size : `${blocksOf(type, site.blocks, site.survivors?.order ?? null)} (${size})`;
  const time = formatSeconds(answer.seconds);
  return `${siteName(site, 2)}: ${blocks} in ${time}.${locationWords(site, type)}`;
}

/** Returns the current location of the blocks as a sentence; empty if unknown. */
function locationWords({ blocks: held, survivors }: LeakSite, type: AllocationType): string {
  const still = stillIn(survivors);
  const [most] = still;
  if (!survivors || !most || most.place === 'unknown') return '';
  const [socket] = survivors.sockets;
  const scale = scaleOf(held, still);
  const share = (blocks: number) => {
    if (held === 1) return 'It is';
    if (scale === null) return blocks === sumOf(still) ? 'All of it is' : 'Most of it is';
    const count = Math.round(blocks * scale);
    if (count === held) return 'All of them are';
    return `${formatCount(count)} of them ${inflect(count, 'is', 'are')}`;
  };
  const queued = survivors.sockets.reduce((sum, { blocks }) => sum + blocks, 0);
  if (socket && queued * 2 > sumOf(still)) {
    const sockets = survivors.sockets.length;
    const first = socketOwner(socket);
    return ` ${share(queued)} unread in ${sockets === 1 ? `1 socket: ${first}` : `${formatCount(sockets)} sockets: ${first} and others`}.`;
  }
  if (most.place === 'unreferenced') return ` ${share(most.blocks)} unreferenced.`;
  const what =
    type === 'slab' && most.place === 'slab' && most.cache !== null
      ? `slab cache ${escapeText(most.cache)}`
      : placeWords(most);
  return ` ${share(most.blocks)} in ${what}.`;
}

/** Places of blocks that are still held. */
function stillIn(survivors: LeakSurvivors | null): readonly LeakPlace[] {
  return survivors?.places.filter((place) => keeperOf(place) !== 'freed') ?? [];
}

function sumOf(places: readonly LeakPlace[]): number {
  return places.reduce((sum, { blocks }) => sum + blocks, 0);
}

/** Returns the ratio of all blocks to the looked-up blocks that are still held. */
function scaleOf(held: number | null, still: readonly LeakPlace[]): number | null {
  const sum = sumOf(still);
  return held === null || sum === 0 ? null : held / sum;
}

/**
 * Returns `sockets 98 %, unreferenced 2 %`, by bytes that are still held; empty if all locations are unknown.
 */
export function heldByCell(survivors: LeakSurvivors | null): string {
  const still = stillIn(survivors);
  const all = still.reduce((sum, { bytes }) => sum + bytes, 0);
  if (still.every(({ place }) => place === 'unknown')) return '';
  return still
    .slice(0, 3)
    .map((place) => `${placeWords(place)} ${Math.round((100 * place.bytes) / all)} %`)
    .join(', ');
}

/** Returns `+1.02 MiB`, or nothing if the growth is unknown. */
export function growthCell(growth: Growth | null, bound: 'perSecond' | 'low' | 'high'): string {
  return growth === null ? '' : perMinute(growth[bound]);
}
