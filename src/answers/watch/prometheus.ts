import type { WatchAnswer } from '../../growth/watch/answer.js';
import { boundsOf, processMetrics } from '../growth/prometheus.js';
import { categoryBytes, sourceMetric } from '../memory/prometheus.js';
import { counter, formatMetric, gauge, type Metric } from '../text/prometheus.js';

/** How the watch itself does. */
export interface WatchHealth {
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
    counter('kdump_mem_watch_not_stored_samples_total', 'Samples that could not be stored.', [
      [{}, notStored],
    ]),
  ];
}

function ofAnswer({ categories, verdict, doubts, growth, seconds, source }: WatchAnswer): Metric[] {
  const known = categories.filter(({ trend }) => trend !== null);
  return [
    gauge('kdump_mem_watch_timestamp_seconds', 'Unix time of the last sample.', [
      [{}, Math.floor(growth.machine.at.getTime() / 1000)],
    ]),
    gauge(
      'kdump_mem_watch_window_seconds',
      'Time from the first sample of this boot to the last.',
      [[{}, seconds]],
    ),
    gauge(
      'kdump_mem_watch_verdict',
      '1: the current verdict.',
      VERDICTS.map((each) => [{ verdict: each }, each === verdict ? 1 : 0]),
    ),
    gauge(
      'kdump_mem_watch_doubt',
      'Reasons for doubt: kdump-mem explain CODE.',
      doubts.map(({ code }) => [{ code }, 1]),
    ),
    categoryBytes(categories),
    ...(source === undefined ? [] : [sourceMetric(source)]),
    gauge(
      'kdump_mem_category_growing',
      '1: significant growth up to the last sample.',
      known.map(({ category, group, reclaimable, trend }) => [
        { group, category, reclaimable: reclaimable ? 'yes' : 'no' },
        trend?.course === 'grows' ? 1 : 0,
      ]),
    ),
    gauge(
      'kdump_mem_category_growth_bytes_per_second',
      'Growth: low, likely and high bound (99 % confidence).',
      known.flatMap(({ category, group, trend }) => boundsOf({ group, category }, trend?.growth)),
    ),
  ];
}
