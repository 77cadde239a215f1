import { DAY } from '../../growth/day-series.js';
import { LEAST_SECONDS } from '../../growth/day-trend.js';
import type { Growth } from '../../growth/growth.js';
import type { EarlierBoot, WatchAnswer } from '../../growth/watch/answer.js';
import type { WatchDoubt, WatchDoubtCode } from '../../growth/watch/doubts.js';
import { endsWords, formatSeconds, negative } from '../growth/words.js';
import { categoryWords } from '../memory/words.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';

/** Bytes a second for people, who think of slow leaks by the day: `+1.34 GiB`. */
export function perDay(bytesPerSecond: number): string {
  const bytes = Math.round(DAY * bytesPerSecond);
  return bytes === 0 ? '0' : `${bytes > 0 ? '+' : '-'}${formatSize(Math.abs(bytes))}`;
}

/** The sentence that matters first. */
export function verdictWords(answer: WatchAnswer): string {
  const { verdict, growth, atMost } = answer;
  const time = formatSeconds(answer.seconds);
  if (verdict === 'grows') return growingWords(answer);
  if (verdict === 'nothing-grows')
    return `Nothing grew in ${time}: no category by more than ${plain(atMost ?? 0)} a day, by ${formatCount(growth.samples)} samples.`;
  return `Whether anything grows is not known by ${growth.samples === 1 ? '1 sample' : `${formatCount(growth.samples)} samples`} in ${time}.`;
}

/** Those that grow for sure; categories first: a process is in them. */
function growingWords({ categories, growth: { processes }, seconds }: WatchAnswer): string {
  const grown = [
    ...categories
      .filter(({ group, reclaimable, trend }) => group !== 'free' && !reclaimable && trend)
      .map(({ category, bytes, trend }) => ({ who: categoryWords({ category }), bytes, trend })),
    ...processes.map(({ sample: { who, held }, trend }) => ({
      who: `pid ${who.pid} (${escapeText(who.comm)})`,
      bytes: held?.bytes,
      trend,
    })),
  ].filter(({ trend }) => trend?.course === 'grows');
  const named = grown.slice(0, 3).map(({ who, bytes, trend }) => {
    const has = bytes === undefined ? '' : `, and has ${formatSize(bytes)}`;
    return `${who} by ${rangeWords(trend?.growth)}${has}`;
  });
  const more = grown.length > 3 ? `; and ${formatCount(grown.length - 3)} more` : '';
  return `Grows, by ${formatSeconds(seconds)}: ${named.join('; ')}${more}.`;
}

/** `1.34 GiB a day (1.30 GiB to 1.39 GiB)`. */
function rangeWords(growth: Growth | undefined): string {
  if (!growth) return '?';
  return `${plain(growth.perSecond)} a day (${plain(growth.low)} to ${plain(growth.high)})`;
}

function plain(bytesPerSecond: number): string {
  return perDay(bytesPerSecond).replace('+', '');
}

const DOUBTS: Readonly<Record<WatchDoubtCode, (doubt: WatchDoubt) => string>> = {
  'too-short': ({ seconds = 0 }) =>
    `${formatSeconds(seconds)} are too short: that something goes on growing, and that nothing does, is told from ${formatSeconds(LEAST_SECONDS)} on, when days can be compared.`,
  gaps: ({ count = 0, seconds = 0 }) =>
    `${count === 1 ? 'In 1 gap' : `In ${formatCount(count)} gaps`} of ${formatSeconds(seconds)} together there is no sample.`,
  'lost-samples': ({ count = 0 }) =>
    `${count === 1 ? '1 sample' : `${formatCount(count)} samples`} could not be taken or stored.`,
  'no-ledger': ({ count = 0, why = '' }) =>
    count === 0
      ? 'No sample tells where the memory is.'
      : `${count === 1 ? '1 sample does' : `${formatCount(count)} samples do`} not tell where the memory is${why === '' ? '' : `: ${escapeText(why)}`}.`,
  'source-changed': () =>
    'Another source told where the memory is (--source): categories are judged from there on.',
  'sum-changed': ({ count = 0 }) =>
    `Categories together have another sum than before in ${count === 1 ? '1 sample' : `${formatCount(count)} samples`}, and the machine has no other memory: a line is damaged.`,
  'may-grow': ({ count = 0, category }) =>
    category?.trend
      ? `That it grows cannot be ruled out of ${count === 1 ? '' : `${formatCount(count)} categories, the most of `}${categoryWords(category)}: by up to ${plain(category.trend.growth.high)} a day, which takes MemAvailable in a month or less.`
      : `Of ${count === 1 ? '1 category' : `${formatCount(count)} categories`} it is not known.`,
  'available-falls': () => 'MemAvailable falls for sure, and no category grows that explains it.',
  rebooted: ({ count = 0 }) =>
    `The machine was booted ${count === 1 ? 'once more' : `${formatCount(count)} times more`} meanwhile: all this is of the last boot.`,
  clock: ({ count = 0, seconds }) =>
    seconds === undefined
      ? `The uptime went back in ${countWords(count)}: kdump-mem left them out or started again.`
      : `The wall clock and the uptime disagree by ${formatSeconds(seconds)} in ${countWords(count)}: times and rates are not reliable.`,
  hidden: () => '/proc hides some processes from this user: they are not among those below.',
};

function countWords(samples: number): string {
  return samples === 1 ? '1 sample' : `${formatCount(samples)} samples`;
}

export function doubtWords(doubt: WatchDoubt): string {
  return DOUBTS[doubt.code](doubt);
}

/** What becomes of MemAvailable, if it falls for sure. */
export function availableWords({ growth: { machine, loss } }: WatchAnswer): string[] {
  const { available, ends, explanation } = loss;
  if (!available || !ends) return [];
  const who = {
    processes: ', which processes explain',
    nothing: ', which goes to no process',
  };
  return [
    `MemAvailable is ${formatSize(machine.available ?? 0)} and falls by ${rangeWords(negative(available.growth))}${explanation === null ? '' : who[explanation]}: if that goes on it ends in ${endsWords(ends)}.`,
  ];
}

/** What was told of boots before the last. */
export function earlierWords({ earlier }: WatchAnswer): string[] {
  return earlier.map(
    (boot) => `Before, from ${minute(boot.from)} to ${minute(boot.to)}: ${told(boot)}`,
  );
}

function told({ verdict, growing, seconds }: EarlierBoot): string {
  const time = `by ${formatSeconds(seconds)}`;
  if (verdict === 'nothing-grows') return `nothing grew, ${time}.`;
  const [first] = growing;
  if (first) {
    const more = growing.length > 1 ? `, and ${formatCount(growing.length - 1)} more` : '';
    return `${categoryWords(first)} grew by ${rangeWords(first.trend?.growth)}${more}.`;
  }
  return verdict === 'grows' ? `a process grew, ${time}.` : `not known, ${time}.`;
}

function minute(date: Date): string {
  return `${date.toISOString().slice(0, 16)}Z`;
}
