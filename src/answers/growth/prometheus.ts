import type { GrownProcess, Growth } from '../../contracts/growth.js';
import type { GrowthAnswer } from '../../growth/answer.js';
import { formatMetric, gauge, type Labels, labelValue, type Metric, type Series } from '../text/prometheus.js';

/** Maximum number of owners with their own series, largest first; all others are summed as `(others)`. */
export const MAX_OWNERS = 30;

/**
 * Growth in the Prometheus text format (0.0.4), also for node_exporter's textfile collector. The number of
 * series is bounded, and labels do not change with each process: owners are identified by command, container
 * and pod, not by pid. Unknown values have no series.
 */
export function processMetrics(answer: GrowthAnswer): string {
  const { machine, loss, processes, samples, seconds, complete } = answer;
  const owners = ownersOf(processes);
  const growing = processes.filter(({ course }) => course === 'grows').length;
  const metrics: Metric[] = [
    gauge(
      'kdump_mem_process_held_bytes',
      'Anonymous and shared memory by owner, swap included.',
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
      processes.some(({ course }) => course !== null) ? [[{}, growing]] : [],
    ),
    gauge(
      'kdump_mem_available_growth_bytes_per_second',
      'Growth of MemAvailable: low, likely and high bound (99 % confidence).',
      boundsOf({}, loss.memAvailableGrowth),
    ),
    gauge(
      'kdump_mem_available_exhausted_seconds',
      'Seconds until MemAvailable is exhausted at this rate; absent: no significant decline.',
      loss.memAvailableExhausted === null
        ? []
        : [
            [{ bound: 'low' }, loss.memAvailableExhausted.soonest],
            [{ bound: 'likely' }, loss.memAvailableExhausted.likely],
            [{ bound: 'high' }, loss.memAvailableExhausted.latest],
          ],
    ),
    gauge(
      'kdump_mem_available_unattributed',
      '1: no process accounts for the decline of MemAvailable; absent: no decline, or unknown.',
      loss.explanation === null ? [] : [[{}, loss.explanation === 'nothing' ? 1 : 0]],
    ),
    gauge('kdump_mem_procs_samples', 'Samples used to measure growth.', [[{}, samples]]),
    gauge('kdump_mem_procs_window_seconds', 'Time from the first sample to the last.', [[{}, seconds]]),
    gauge('kdump_mem_procs_complete', '0: the memory of a process is unknown.', [[{}, complete ? 1 : 0]]),
    gauge('kdump_mem_procs_timestamp_seconds', 'Unix time of the last sample.', [
      [{}, Math.floor(Date.parse(machine.at) / 1000)],
    ]),
  ];
  return metrics.map(formatMetric).join('');
}

interface Owner {
  readonly labels: Labels;
  bytes: number;
  growth: Growth | null;
}

/** Groups processes by name, container and pod. Processes whose size is unknown are omitted. */
function ownersOf(processes: readonly GrownProcess[]): Owner[] {
  const byName = new Map<string, Owner>();
  for (const { comm, container, pod, heldBytes, growth, course } of processes) {
    if (heldBytes === null) continue;
    const labels = { comm, container: (container ?? '').slice(0, 12), pod: pod ?? '' };
    const key = Object.values(labels).map(labelValue).join('\n');
    const owner = byName.get(key) ?? { labels, bytes: 0, growth: null };
    byName.set(key, owner);
    owner.bytes += heldBytes;
    if (course === 'grows') owner.growth = faster(owner.growth, growth);
  }
  const owners = [...byName.values()].sort((a, b) => b.bytes - a.bytes);
  // A growing owner has its own series, however small it is.
  const growing = owners
    .filter(({ growth }) => growth)
    .sort((a, b) => (b.growth?.perSecond ?? 0) - (a.growth?.perSecond ?? 0));
  const shown = new Set<Owner>();
  for (const owner of [...growing.slice(0, MAX_OWNERS / 2), ...owners]) if (shown.size < MAX_OWNERS) shown.add(owner);
  const others = owners.filter((owner) => !shown.has(owner));
  if (others.length === 0) return [...shown];
  return [
    ...shown,
    {
      labels: { comm: '(others)', container: '', pod: '' },
      bytes: others.reduce((sum, { bytes }) => sum + bytes, 0),
      growth: others.map(({ growth }) => growth).reduce(faster, null),
    },
  ];
}

function faster(growth: Growth | null, other: Growth | null): Growth | null {
  if (!growth || !other) return growth ?? other;
  return other.perSecond > growth.perSecond ? other : growth;
}

/** Returns the lower bound, the likely value and the upper bound. */
export function boundsOf(labels: Labels, growth: Growth | null): Series[] {
  if (!growth) return [];
  return [
    [{ ...labels, bound: 'low' }, growth.low],
    [{ ...labels, bound: 'likely' }, growth.perSecond],
    [{ ...labels, bound: 'high' }, growth.high],
  ];
}
