import type { GrownProcess } from '../../growth/answer.js';
import type { WatchAnswer } from '../../growth/watch/answer.js';
import type { GrownCategory } from '../../growth/watch/categories.js';
import { endedGrowingWords, formatSeconds } from '../growth/words.js';
import { categoryWords } from '../memory/words.js';
import { whereOf } from '../procs/where.js';
import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import { type Column, renderTable } from '../text/table.js';
import type { Watched } from './watched.js';
import { availableWords, doubtWords, earlierWords, perDay, verdictWords } from './words.js';

export interface WatchTextOptions {
  /** Columns of the terminal; null: there is none, and nothing is cut or broken. */
  readonly width: number | null;
  /** Categories and processes that are listed, of each. */
  readonly limit: number;
}

/** What grew: the sentence that matters, what makes it doubtful, then tables. */
export function watchText({ answer, store }: Watched, { width, limit }: WatchTextOptions): string {
  const wrapped = (text: string) => wrap(text, width).join('\n');
  const categories = shownCategories(answer);
  const { processes } = answer.growth;
  return [
    ...headWords(answer).map(wrapped),
    ...(categories.length === 0
      ? []
      : [
          renderTable(CATEGORY_COLUMNS, categories.slice(0, limit), width),
          ...more(categories, limit),
        ]),
    ...(processes.length === 0
      ? []
      : [
          renderTable(PROCESS_COLUMNS, processes.slice(0, limit), width),
          ...more(processes, limit),
        ]),
    wrapped(samplesWords(answer)),
    ...(store === null ? [] : [wrapped(`Samples: ${escapeText(store.file)}.`)]),
  ].join('\n\n');
}

/** The sentences before the tables. */
export function headWords(answer: WatchAnswer): string[] {
  return [
    verdictWords(answer),
    ...answer.doubts.map(doubtWords),
    ...availableWords(answer),
    ...earlierWords(answer),
    ...endedGrowingWords(answer.growth),
  ];
}

/** Those that have nothing and do nothing tell nothing. */
export function shownCategories({ categories }: WatchAnswer): GrownCategory[] {
  return categories.filter(({ bytes, trend }) => bytes > 0 || (trend?.growth.perSecond ?? 0) !== 0);
}

export function samplesWords({
  growth: { machine, samples },
  seconds,
  from,
  source,
}: WatchAnswer): string {
  const host = machine.host === null ? '' : ` of ${escapeText(machine.host)}`;
  const by = source === undefined ? '' : `, categories by ${source}`;
  return `Source: ${samples === 1 ? '1 sample' : `${formatCount(samples)} samples`}${host} in ${formatSeconds(seconds)}, from ${stamp(from)} to ${stamp(machine.at)}${by}. RATE/DAY is between LOW and HIGH with 99 % confidence.`;
}

type Trended = Pick<GrownCategory, 'trend'>;

const rate = (heading: string, of: 'perSecond' | 'low' | 'high', spare?: number) => ({
  heading,
  align: 'right' as const,
  value: ({ trend }: Trended) => (trend ? perDay(trend.growth[of]) : '?'),
  ...(spare === undefined ? {} : { spare }),
});

const RATES = [
  rate('RATE/DAY', 'perSecond'),
  rate('LOW', 'low', 2),
  rate('HIGH', 'high', 1),
  { heading: 'TREND', value: ({ trend }: Trended) => (trend ? trend.course : '?') },
] as const;

export const CATEGORY_COLUMNS: readonly Column<GrownCategory>[] = [
  { heading: 'CATEGORY', value: nameOf },
  { heading: 'BYTES', align: 'right', value: ({ bytes }) => formatSize(bytes) },
  ...RATES,
];

export const PROCESS_COLUMNS: readonly Column<GrownProcess>[] = [
  { heading: 'PID', align: 'right', value: ({ sample }) => String(sample.who.pid) },
  {
    heading: 'HELD',
    align: 'right',
    value: ({ sample: { held } }) => (held === null ? '?' : formatSize(held.bytes)),
  },
  ...RATES,
  { heading: 'COMMAND', value: ({ sample }) => escapeText(sample.who.comm) },
  {
    heading: 'WHERE',
    value: ({ sample }) => whereOf(sample.who),
    shrinks: { keeps: 'ends', least: 12 },
    spare: 5,
  },
];

/** What is free or set aside is told apart from what is used. */
function nameOf({ category, group }: GrownCategory): string {
  const words = categoryWords({ category });
  return group === 'free' || group === 'reserved'
    ? `${categoryWords({ category: group })}: ${words}`
    : words;
}

function more(all: readonly unknown[], limit: number): string[] {
  const left = all.length - limit;
  return left > 0 ? [`${formatCount(left)} more: --limit N lists them.`] : [];
}

function stamp(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}
