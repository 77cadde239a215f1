import { categoryWords } from '../../account/memory/category-names.js';
import { escapeText } from '../../base/escape.js';
import { count, formatCount, formatSize } from '../../base/size.js';
import type { Growth } from '../../contracts/growth.js';
import type { EarlierBoot, WatchDoubtCode, WatchJson } from '../../contracts/watch.js';
import { DAY, MIN_SECONDS } from '../../growth/day-trend.js';
import type { WatchAnswer, WatchDoubt } from '../../growth/watch/answer.js';
import type { Warning } from '../../walk/warnings.js';
import { endsWords, formatSeconds, negative } from '../growth/words.js';

/** Bytes per second as bytes per day, the scale of slow leaks: `+1.34 GiB`. */
export function perDay(bytesPerSecond: number): string {
  const bytes = Math.round(DAY * bytesPerSecond);
  return bytes === 0 ? '0' : `${bytes > 0 ? '+' : '-'}${formatSize(Math.abs(bytes))}`;
}

/** The sentence that matters first. */
export function verdictWords(answer: WatchAnswer): string {
  const { verdict, growth, atMostPerSecond: atMost } = answer;
  const time = formatSeconds(answer.seconds);
  if (verdict === 'grows') return growingWords(answer);
  if (verdict === 'nothing-grows')
    return `No growth in ${time}: no category grew by more than ${plain(atMost ?? 0)} per day (${formatCount(growth.samples)} samples).`;
  return `Inconclusive after ${time} and ${count(growth.samples, 'sample')}.`;
}

/** Significantly growing categories first, since they include the processes. */
function growingWords({ categories, growth: { processes }, seconds }: WatchAnswer): string {
  const grown = [
    ...categories
      .filter(({ group, reclaimable }) => group !== 'free' && !reclaimable)
      .map((category) => ({ ...category, who: categoryWords(category) })),
    ...processes.map((process) => ({
      ...process,
      who: `pid ${process.pid} (${escapeText(process.comm)})`,
      bytes: process.heldBytes,
    })),
  ].filter(({ course }) => course === 'grows');
  const named = grown.slice(0, 3).map(({ who, bytes, growth }) => {
    const has = bytes === null ? '' : ` to ${formatSize(bytes)}`;
    return `${who} by ${rangeWords(growth)}${has}`;
  });
  const more = grown.length > 3 ? ` and ${formatCount(grown.length - 3)} more` : '';
  return `Growth over ${formatSeconds(seconds)}: ${named.join(', ')}${more}.`;
}

/** `1.34 GiB per day (1.30 GiB to 1.39 GiB)`. */
function rangeWords(growth: Growth | null): string {
  if (!growth) return '?';
  return `${plain(growth.perSecond)} per day (${plain(growth.low)} to ${plain(growth.high)})`;
}

function plain(bytesPerSecond: number): string {
  return perDay(bytesPerSecond).replace('+', '');
}

const DOUBTS: Readonly<Record<WatchDoubtCode, (doubt: WatchDoubt) => string>> = {
  'too-short': ({ seconds = 0 }) =>
    `The samples cover ${formatSeconds(seconds)}. A verdict needs at least ${formatSeconds(MIN_SECONDS)}, because load follows a daily pattern.`,
  gaps: ({ count: number = 0, seconds = 0 }) =>
    `Samples are missing for ${formatSeconds(seconds)} in total (${count(number, 'gap')}).`,
  'lost-samples': ({ count: number = 0 }) => `${count(number, 'sample')} could not be taken or stored.`,
  'no-categories': ({ count: number = 0, why = '' }) =>
    number === 0
      ? 'No sample has a memory breakdown.'
      : `${count(number, 'sample has', 'samples have')} no memory breakdown${why === '' ? '' : `: ${escapeText(why)}`}.`,
  'source-changed': () =>
    'The source of the breakdown changed (--source): growth of categories is measured since then.',
  'sum-changed': ({ count: number = 0 }) =>
    `Inconsistent samples in the store: the sum of categories changed in ${count(number, 'sample')}, but MemTotal did not.`,
  'may-grow': ({ count: number = 0, category }) =>
    category?.growth
      ? `Possible growth${number === 1 ? '' : ` in ${formatCount(number)} categories, mainly`} in ${categoryWords(category)}: up to ${plain(category.growth.high)} per day, which would exhaust MemAvailable within a month.`
      : `The growth of ${count(number, 'category', 'categories')} is unknown.`,
  'available-falls': () => 'MemAvailable falls significantly, but no category shows matching growth.',
  rebooted: ({ count: number = 0 }) =>
    `The machine rebooted ${number === 1 ? 'once' : `${formatCount(number)} times`} during the watch: figures are for the last boot.`,
  clock: ({ count: number = 0, seconds }) =>
    seconds === undefined
      ? `The uptime went backwards in ${count(number, 'sample')}: these samples are ignored, or growth restarts there.`
      : `The wall clock and the uptime disagree by ${formatSeconds(seconds)} in ${count(number, 'sample')}: times and rates are not reliable.`,
  hidden: () => '/proc hides processes of other users (hidepid): they are not listed. Run as root to see them.',
};

export function doubtWords(doubt: WatchDoubt): string {
  return DOUBTS[doubt.code](doubt);
}

/** The decline of MemAvailable, if it is significant. */
export function availableWords({ growth: { machine, loss } }: WatchAnswer): string[] {
  const { memAvailableGrowth: available, memAvailableExhausted: ends, explanation } = loss;
  if (!available || !ends) return [];
  const cause = { processes: ' Growing processes account for it.', nothing: ' No process accounts for it.' };
  return [
    `MemAvailable is ${formatSize(machine.memAvailableBytes ?? 0)} and falls by ${rangeWords(negative(available))}. At this rate it is exhausted in ${endsWords(ends)}.${explanation === null ? '' : cause[explanation]}`,
  ];
}

/** The results of earlier boots. */
export function earlierWords({ earlierBoots }: WatchAnswer): string[] {
  return earlierBoots.map((boot) => `Earlier boot, ${minute(boot.from)} to ${minute(boot.to)}: ${bootWords(boot)}`);
}

function bootWords({ verdict, growing, seconds }: EarlierBoot): string {
  const time = `in ${formatSeconds(seconds)}`;
  if (verdict === 'nothing-grows') return `no growth ${time}.`;
  const [first] = growing;
  if (first) {
    const more = growing.length > 1 ? `, and ${formatCount(growing.length - 1)} more` : '';
    return `${categoryWords(first)} grew by ${rangeWords(first.growth)}${more}.`;
  }
  return verdict === 'grows' ? `a process grew ${time}.` : `inconclusive after ${formatSeconds(seconds)}.`;
}

function minute(date: string): string {
  return `${date.slice(0, 16)}Z`;
}

/** A watch that has ended, or one that was stored. */
export interface Watched {
  readonly answer: WatchAnswer;
  readonly ended: WatchJson['ended'];
  readonly store: WatchJson['store'];
  readonly warnings: readonly Warning[];
}

/** No figure is missing. */
export function isComplete({ answer, warnings }: Watched): boolean {
  return answer.verdict !== 'inconclusive' && !answer.hidden && warnings.length === 0;
}
