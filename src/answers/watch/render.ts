import { categoryWords } from '../../account/memory/category-names.js';
import { escapeText } from '../../base/escape.js';
import { count, formatCount, formatSize } from '../../base/size.js';
import type { GrownProcess } from '../../contracts/growth.js';
import type { GrownDevice, WatchJson } from '../../contracts/watch.js';
import type { GrownCategory, WatchAnswer } from '../../growth/watch/answer.js';
import type { DeviceKind } from '../../records/named-memory.js';
import { deviceWords } from '../diff/words.js';
import { boundsOf, processMetrics } from '../growth/prometheus.js';
import { endedGrowingWords, formatSeconds } from '../growth/words.js';
import { categoryBytes, sourceMetric } from '../memory/prometheus.js';
import { cgroupColumn } from '../procs/document.js';
import { wrap } from '../text/cut.js';
import { counter, formatMetric, gauge, labelValue, type Metric } from '../text/prometheus.js';
import { type Column, type ListOptions, renderTable } from '../text/table.js';
import { availableWords, doubtWords, earlierWords, isComplete, perDay, verdictWords, type Watched } from './words.js';

/** The answer, with the doubts in words. */
export function watchAnswer(watched: Watched): WatchJson {
  const { answer, ended, store, warnings } = watched;
  const { growth } = answer;
  return {
    schema: 'kdump-mem.watch/1',
    verdict: answer.verdict,
    doubts: answer.doubts.map((doubt) => ({ code: doubt.code, message: doubtWords(doubt) })),
    atMostPerSecond: answer.atMostPerSecond,
    machine: growth.machine,
    from: answer.from,
    samples: growth.samples,
    seconds: answer.seconds,
    source: answer.source,
    ...growth.loss,
    categories: answer.categories.map(({ points: _, ...category }) => category),
    devices: answer.devices,
    unreadDevices: answer.unreadDevices,
    processes: growth.processes,
    endedGrowing: growth.endedGrowing,
    gaps: answer.gaps,
    lostSamples: answer.lostSamples,
    boots: growth.boots,
    earlierBoots: answer.earlierBoots,
    notLater: growth.notLater,
    pidsReused: growth.pidsReused,
    store,
    ended,
    complete: isComplete(watched),
    warnings,
  };
}

/** The growth: the verdict, the doubts, then tables. */
export function watchText({ answer, store }: Watched, { width, limit }: ListOptions): string {
  const wrapped = (text: string) => wrap(text, width).join('\n');
  const categories = shownCategories(answer);
  const { devices } = answer;
  const { processes } = answer.growth;
  return [
    ...headWords(answer).map(wrapped),
    ...(categories.length === 0
      ? []
      : [
          renderTable(known(CATEGORY_COLUMNS, categories), categories.slice(0, limit), width),
          ...more(categories, limit),
        ]),
    ...(devices.length === 0
      ? []
      : [renderTable(known(DEVICE_COLUMNS, devices), devices.slice(0, limit), width), ...more(devices, limit)]),
    ...(processes.length === 0
      ? []
      : [
          renderTable(known(processColumns(processes), processes), processes.slice(0, limit), width),
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
    ...unreadWords(answer),
  ];
}

function unreadWords({ unreadDevices: kinds }: WatchAnswer): string[] {
  return kinds.length === 0 ? [] : [`Not read, or only in part: ${kinds.map((kind) => UNREAD[kind]).join(', ')}.`];
}

const UNREAD: Readonly<Record<DeviceKind, string>> = {
  gpu: 'buffers of GPUs',
  'dma-buf': 'dma-bufs',
  'trace-rings': 'rings of perf, ftrace and BPF',
  pinned: 'pinned buffers',
};

/** Without empty categories that do not change. */
export function shownCategories({ categories }: WatchAnswer): GrownCategory[] {
  return categories.filter(({ bytes, growth }) => bytes > 0 || (growth?.perSecond ?? 0) !== 0);
}

export function samplesWords({
  growth: { machine, samples, processes },
  seconds,
  from,
  source,
  categories,
}: WatchAnswer): string {
  const host = machine.host === null ? '' : ` on ${escapeText(machine.host)}`;
  const isRated = [...categories, ...processes].some(({ growth }) => growth);
  const by = source === null ? '' : `, categories from ${source}`;
  return `Source: ${count(samples, 'sample')}${host} in ${formatSeconds(seconds)}, from ${stamp(from)} to ${stamp(machine.at)}${by}.${isRated ? ' RATE/DAY is between LOW and HIGH with 99 % confidence.' : ''}`;
}

type Trended = Pick<GrownCategory, 'growth' | 'course'>;

const rate = (heading: string, of: 'perSecond' | 'low' | 'high', spare?: number) => ({
  heading,
  align: 'right' as const,
  value: ({ growth }: Trended) => (growth ? perDay(growth[of]) : '?'),
  ...(spare === undefined ? {} : { spare }),
});

const RATES = [
  rate('RATE/DAY', 'perSecond'),
  rate('LOW', 'low', 2),
  rate('HIGH', 'high', 1),
  { heading: 'TREND', value: ({ course }: Trended) => course ?? '?' },
] as const;

export const CATEGORY_COLUMNS: readonly Column<GrownCategory>[] = [
  { heading: 'CATEGORY', value: nameOf },
  { heading: 'BYTES', align: 'right', value: ({ bytes }) => formatSize(bytes) },
  ...RATES,
];

export const DEVICE_COLUMNS: readonly Column<GrownDevice>[] = [
  { heading: 'RINGS, PINS AND BUFFERS', value: ({ kind, name }) => deviceWords(kind, name) },
  {
    heading: 'BYTES',
    align: 'right',
    value: ({ bytes, leastBytes, mostBytes }) =>
      bytes === null ? `${formatSize(leastBytes)} to ${formatSize(mostBytes)}` : formatSize(bytes),
  },
  ...RATES,
  {
    heading: 'LARGEST PROCESS',
    value: ({ process }) => (process ? `pid ${process.pid} (${escapeText(process.comm ?? 'name unknown')})` : ''),
    spare: 3,
  },
];

export const processColumns = (rows: readonly GrownProcess[]): readonly Column<GrownProcess>[] => [
  { heading: 'PID', align: 'right', value: ({ pid }) => String(pid) },
  { heading: 'HELD', align: 'right', value: ({ heldBytes }) => (heldBytes === null ? '?' : formatSize(heldBytes)) },
  ...RATES,
  { heading: 'COMMAND', value: ({ comm }) => escapeText(comm) },
  ...cgroupColumn(rows, (row) => row),
];

/** Without the columns of rates where none is known yet. */
function known<Row extends Trended>(columns: readonly Column<Row>[], rows: readonly Row[]): readonly Column<Row>[] {
  if (rows.some(({ growth }) => growth)) return columns;
  return columns.filter(({ heading }) => RATES.every((rate) => rate.heading !== heading));
}

/** Free and reserved memory is marked as such. */
function nameOf({ category, group }: GrownCategory): string {
  const words = categoryWords({ category });
  return group === 'free' || group === 'reserved' ? `${categoryWords({ category: group })}: ${words}` : words;
}

function more(all: readonly unknown[], limit: number): string[] {
  const left = all.length - limit;
  return left > 0 ? [`${formatCount(left)} more: --limit N lists them.`] : [];
}

function stamp(date: string): string {
  return `${date.slice(0, 19)}Z`;
}

/** How the watch itself does. */
interface WatchHealth {
  /** The last sample succeeded. */
  readonly up: boolean;
  /** Samples of this run that failed, and samples that could not be stored. */
  readonly lost: number;
  readonly notStored: number;
}

const VERDICTS = ['grows', 'nothing-grows', 'inconclusive'] as const;

/**
 * What grows, in Prometheus' text format (0.0.4), also for node_exporter's textfile collector: categories of the
 * ledger, and what `processMetrics` tells of processes. The number of series has a bound whatever the machine does.
 *
 * @param answer undefined: there was no sample yet
 * @param health null: nobody watches, a store was asked
 */
export function watchMetrics(answer: WatchAnswer | undefined, health: WatchHealth | null): string {
  const metrics = [...(health ? ofWatch(health) : []), ...(answer ? ofAnswer(answer) : [])];
  return `${metrics.map(formatMetric).join('')}${answer ? processMetrics(answer.growth) : ''}`;
}

function ofWatch({ up, lost, notStored }: WatchHealth): Metric[] {
  return [
    gauge('kdump_mem_watch_up', '0: the last sample could not be taken.', [[{}, up ? 1 : 0]]),
    counter('kdump_mem_watch_lost_samples_total', 'Samples that could not be taken.', [[{}, lost]]),
    counter('kdump_mem_watch_not_stored_samples_total', 'Samples that could not be stored.', [[{}, notStored]]),
  ];
}

function ofAnswer({ categories, devices, verdict, doubts, growth, seconds, source }: WatchAnswer): Metric[] {
  const known = categories.filter(({ growth }) => growth !== null);
  return [
    gauge('kdump_mem_watch_timestamp_seconds', 'Unix time of the last sample.', [
      [{}, Math.floor(Date.parse(growth.machine.at) / 1000)],
    ]),
    gauge('kdump_mem_watch_window_seconds', 'Time from the first sample of this boot to the last.', [[{}, seconds]]),
    gauge(
      'kdump_mem_watch_verdict',
      '1: the current verdict.',
      VERDICTS.map((known) => [{ verdict: known }, known === verdict ? 1 : 0]),
    ),
    gauge(
      'kdump_mem_watch_doubt',
      'Reasons for doubt: kdump-mem explain CODE.',
      doubts.map(({ code }) => [{ code }, 1]),
    ),
    categoryBytes(categories),
    ...(source === null ? [] : [sourceMetric(source)]),
    gauge(
      'kdump_mem_device_bytes',
      'Rings, pins and buffers of devices, which categories contain; absent: unknown.',
      devices.flatMap(({ kind, name, bytes }) =>
        bytes === null ? [] : [[{ kind, name: labelValue(name) }, bytes] as const],
      ),
    ),
    gauge(
      'kdump_mem_category_growing',
      '1: significant growth up to the last sample.',
      known.map(({ category, group, reclaimable, course }) => [
        { group, category, reclaimable: reclaimable ? 'yes' : 'no' },
        course === 'grows' ? 1 : 0,
      ]),
    ),
    gauge(
      'kdump_mem_category_growth_bytes_per_second',
      'Growth: low, likely and high bound (99 % confidence).',
      known.flatMap(({ category, group, growth }) => boundsOf({ group, category }, growth)),
    ),
  ];
}
