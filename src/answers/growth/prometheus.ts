import type { GrownProcess, GrowthAnswer } from '../../growth/answer.js';
import type { Growth } from '../../growth/growth.js';
import {
  formatMetric,
  gauge,
  type Labels,
  labelValue,
  type Metric,
  type Series,
} from '../text/prometheus.js';

/** So many owners have series of their own, those that hold most; the others are summed as `(others)`. */
export const MAX_OWNERS = 30;

/**
 * What grows, in Prometheus' text format (0.0.4), also for node_exporter's textfile collector. The number of
 * series has a bound whatever the machine does, and no label changes with each process: owners are named by
 * command, container and pod, not by pid. What is not known has no series.
 */
export function processMetrics(answer: GrowthAnswer): string {
  const { machine, loss, processes, samples, seconds, complete } = answer;
  const owners = ownersOf(processes);
  const growing = processes.filter(({ trend }) => trend?.course === 'grows').length;
  const metrics: Metric[] = [
    gauge(
      'kdump_mem_process_held_bytes',
      'Anonymous and shared memory, in swap too, by owner.',
      owners.map(({ labels, bytes }) => [labels, bytes]),
    ),
    gauge(
      'kdump_mem_process_growth_bytes_per_second',
      'Growth of the owner’s fastest growing process: low, likely and high bound (99 % confidence).',
      owners.flatMap(({ labels, growth }) => boundsOf(labels, growth)),
    ),
    gauge(
      'kdump_mem_processes_growing',
      'Processes with significant growth up to the last sample.',
      processes.some(({ trend }) => trend !== null) ? [[{}, growing]] : [],
    ),
    gauge(
      'kdump_mem_available_growth_bytes_per_second',
      'Growth of MemAvailable: low, likely and high bound (99 % confidence).',
      boundsOf({}, loss.available?.growth),
    ),
    gauge(
      'kdump_mem_available_ends_seconds',
      'Seconds until MemAvailable is exhausted at this rate; absent: no significant decline.',
      loss.ends === null
        ? []
        : [
            [{ bound: 'low' }, loss.ends.soonest],
            [{ bound: 'likely' }, loss.ends.likely],
            [{ bound: 'high' }, loss.ends.latest],
          ],
    ),
    gauge(
      'kdump_mem_available_unattributed',
      '1: no process accounts for the decline of MemAvailable; absent: no decline, or unknown.',
      loss.explanation === null ? [] : [[{}, loss.explanation === 'nothing' ? 1 : 0]],
    ),
    gauge('kdump_mem_procs_samples', 'Samples used to measure growth.', [[{}, samples]]),
    gauge('kdump_mem_procs_window_seconds', 'From the first of them to the last.', [[{}, seconds]]),
    gauge('kdump_mem_procs_complete', '0: the memory of some process is unknown.', [
      [{}, complete ? 1 : 0],
    ]),
    gauge('kdump_mem_procs_timestamp_seconds', 'When the last sample was taken, in Unix time.', [
      [{}, Math.floor(machine.at.getTime() / 1000)],
    ]),
  ];
  return metrics.map(formatMetric).join('');
}

interface Owner {
  readonly labels: Labels;
  bytes: number;
  growth: Growth | undefined;
}

/** Processes of one name, container and pod together; those whose amount is not known are in none. */
function ownersOf(processes: readonly GrownProcess[]): Owner[] {
  const byName = new Map<string, Owner>();
  for (const { sample, trend } of processes) {
    const { held, who } = sample;
    if (!held) continue;
    const labels = {
      comm: who.comm,
      container: (who.cgroup?.container ?? '').slice(0, 12),
      pod: who.cgroup?.pod ?? '',
    };
    const key = Object.values(labels).map(labelValue).join('\n');
    const owner = byName.get(key) ?? { labels, bytes: 0, growth: undefined };
    byName.set(key, owner);
    owner.bytes += held.bytes;
    if (trend?.course === 'grows') owner.growth = faster(owner.growth, trend.growth);
  }
  const owners = [...byName.values()].sort((a, b) => b.bytes - a.bytes);
  // What grows has a series of its own, whatever it holds yet.
  const growing = owners
    .filter(({ growth }) => growth)
    .sort((a, b) => (b.growth?.perSecond ?? 0) - (a.growth?.perSecond ?? 0));
  const shown = new Set<Owner>();
  for (const owner of [...growing.slice(0, MAX_OWNERS / 2), ...owners])
    if (shown.size < MAX_OWNERS) shown.add(owner);
  const others = owners.filter((owner) => !shown.has(owner));
  if (others.length === 0) return [...shown];
  return [
    ...shown,
    {
      labels: { comm: '(others)', container: '', pod: '' },
      bytes: others.reduce((sum, { bytes }) => sum + bytes, 0),
      growth: others.map(({ growth }) => growth).reduce(faster, undefined),
    },
  ];
}

function faster(one: Growth | undefined, other: Growth | undefined): Growth | undefined {
  if (!one || !other) return one ?? other;
  return other.perSecond > one.perSecond ? other : one;
}

/** At least, likely, at most. */
export function boundsOf(labels: Labels, growth: Growth | undefined): Series[] {
  if (!growth) return [];
  return [
    [{ ...labels, bound: 'low' }, growth.low],
    [{ ...labels, bound: 'likely' }, growth.perSecond],
    [{ ...labels, bound: 'high' }, growth.high],
  ];
}
