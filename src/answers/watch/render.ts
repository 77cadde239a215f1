import type { GrownProcess } from '../../growth/answer.js';
import type { WatchAnswer } from '../../growth/watch/answer.js';
import type { GrownCategory } from '../../growth/watch/categories.js';
import {
  courseOf,
  endedJson,
  grownProcessJson,
  growthJson,
  lossJson,
  machineJson,
} from '../growth/json.js';
import { endedGrowingWords, formatSeconds } from '../growth/words.js';
import { categoryWords } from '../memory/words.js';
import { whereOf } from '../procs/text.js';
import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import { type Column, type ListOptions, renderTable } from '../text/table.js';
import type { WatchCategoryJson, WatchJson } from './schema.js';
import {
  availableWords,
  doubtWords,
  earlierWords,
  isComplete,
  perDay,
  verdictWords,
  type Watched,
} from './words.js';

export function watchJson(watched: Watched): WatchJson {
  const { answer, ended, store, warnings } = watched;
  const { growth, gaps, categories, doubts } = answer;
  return {
    schema: 'kdump-mem.watch/1',
    verdict: answer.verdict,
    doubts: doubts.map((doubt) => ({ code: doubt.code, message: doubtWords(doubt) })),
    atMostPerSecond: answer.atMost,
    machine: machineJson(growth.machine),
    from: answer.from.toISOString(),
    samples: growth.samples,
    seconds: answer.seconds,
    source: answer.source ?? null,
    ...lossJson(growth.loss),
    categories: categories.map(categoryJson),
    processes: growth.processes.map(grownProcessJson),
    endedGrowing: growth.endedGrowing.map(endedJson),
    gaps: { count: gaps.count, seconds: gaps.seconds, longestSeconds: gaps.longest },
    lostSamples: answer.lost,
    boots: growth.boots,
    earlierBoots: answer.earlier.map(
      ({ bootId, from, to, samples, seconds, verdict, growing }) => ({
        bootId,
        from: from.toISOString(),
        to: to.toISOString(),
        samples,
        seconds,
        verdict,
        growing: growing.map(categoryJson),
      }),
    ),
    notLater: growth.notLater,
    pidsReused: growth.pidsReused,
    store: store && { file: store.file, tornLines: store.torn, notStored: store.notStored },
    ended,
    complete: isComplete(watched),
    warnings,
  };
}

function categoryJson({
  category,
  group,
  bytes,
  reclaimable,
  trend,
}: GrownCategory): WatchCategoryJson {
  return {
    category,
    group,
    bytes,
    reclaimable,
    growth: growthJson(trend?.growth),
    course: courseOf(trend),
  };
}

/** The growth: the verdict, the doubts, then tables. */
export function watchText({ answer, store }: Watched, { width, limit }: ListOptions): string {
  const wrapped = (text: string) => wrap(text, width).join('\n');
  const categories = shownCategories(answer);
  const { processes } = answer.growth;
  return [
    ...headWords(answer).map(wrapped),
    ...(categories.length === 0
      ? []
      : [
          renderTable(known(CATEGORY_COLUMNS, categories), categories.slice(0, limit), width),
          ...more(categories, limit),
        ]),
    ...(processes.length === 0
      ? []
      : [
          renderTable(known(PROCESS_COLUMNS, processes), processes.slice(0, limit), width),
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

/** Without empty categories that do not change. */
export function shownCategories({ categories }: WatchAnswer): GrownCategory[] {
  return categories.filter(({ bytes, trend }) => bytes > 0 || (trend?.growth.perSecond ?? 0) !== 0);
}

export function samplesWords({
  growth: { machine, samples, processes },
  seconds,
  from,
  source,
  categories,
}: WatchAnswer): string {
  const host = machine.host === null ? '' : ` on ${escapeText(machine.host)}`;
  const isRated = [...categories, ...processes].some(({ trend }) => trend);
  const by = source === undefined ? '' : `, categories from ${source}`;
  return `Source: ${samples === 1 ? '1 sample' : `${formatCount(samples)} samples`}${host} in ${formatSeconds(seconds)}, from ${stamp(from)} to ${stamp(machine.at)}${by}.${isRated ? ' RATE/DAY is between LOW and HIGH with 99 % confidence.' : ''}`;
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

/** Without the columns of rates where none is known yet. */
function known<Row extends Trended>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
): readonly Column<Row>[] {
  if (rows.some(({ trend }) => trend)) return columns;
  return columns.filter(({ heading }) => RATES.every((one) => one.heading !== heading));
}

/** Free and reserved memory is marked as such. */
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
