import { STALE_CODES, VERDICT_CODES } from '../../skcheck/verdict.js';
import { formatMetric, gauge, type Labels, labelValue, type Metric } from '../text/prometheus.js';
import type { SkcheckReport, SkcheckSocket } from './schema.js';

/** So many owners have series of their own; the others are summed under the name `(others)`. */
export const MAX_OWNERS = 30;

/**
 * The report in Prometheus' text format (0.0.4), also for node_exporter's textfile collector. The
 * number of series has a bound whatever the host does, and no label changes with each process: owners
 * are named by comm, container and pod, not by pid; `via` is `accept-queue` where that is the process
 * whose listener has not accepted them.
 */
export function formatPrometheus(report: SkcheckReport, tookMs: number): string {
  const { totals } = report;
  const metrics: Metric[] = [
    gauge('skcheck_sockets', 'Sockets looked at.', [[{}, totals.sockets]]),
    gauge(
      'skcheck_verdict_sockets',
      'Sockets by what is wrong with them.',
      VERDICT_CODES.map((verdict) => [{ verdict }, totals.verdicts[verdict] ?? 0]),
    ),
    gauge('skcheck_stale_sockets', 'Sockets whose owner has stopped reading.', [
      [{}, totals.stalled],
    ]),
    gauge('skcheck_stale_unread_bytes', 'Bytes that wait in them.', [[{}, totals.unreadBytes]]),
    gauge(
      'skcheck_stale_pinned_bytes',
      'Kernel memory that they pin: at least, likely, at most (high: absent where it is not known).',
      [
        [{ bound: 'low' }, totals.pinned.low],
        [{ bound: 'likely' }, totals.pinned.likely],
        ...(totals.pinned.atMost === null
          ? []
          : [[{ bound: 'high' }, totals.pinned.atMost] as const]),
      ],
    ),
    gauge(
      'skcheck_stale_unbounded_sockets',
      'Those of them that pin at most a size that is not known.',
      [[{}, totals.unbounded]],
    ),
    gauge('skcheck_fd_leaking_processes', 'Processes whose descriptors grew in every sample.', [
      [{}, report.processes.length],
    ]),
    gauge(
      'skcheck_warnings',
      'What limits the answer or the host, by code.',
      sumByCode(report).map(([code, count]) => [{ code }, count]),
    ),
    gauge(
      'skcheck_look_complete',
      '0: something could not be looked at, so that none found is no all-clear.',
      [[{}, report.complete ? 1 : 0]],
    ),
    gauge('skcheck_namespaces', 'Network namespaces looked at.', [[{}, report.host.namespaces]]),
    gauge('skcheck_look_seconds', 'How long the look took.', [[{}, tookMs / 1000]]),
    gauge(
      'skcheck_look_timestamp_seconds',
      'When it was, in Unix time.',
      report.host.takenAtKnown ? [[{}, Math.floor(Date.parse(report.host.takenAt) / 1000)]] : [],
    ),
  ];
  const owners = ownersOf(report.sockets);
  if (owners.length > 0)
    metrics.push(
      gauge(
        'skcheck_stale_owner_sockets',
        'Sockets that it has stopped reading, by owner.',
        owners.map(({ labels, sockets }) => [labels, sockets]),
      ),
      gauge(
        'skcheck_stale_owner_pinned_bytes',
        'Kernel memory that they likely pin, by owner.',
        owners.map(({ labels, pinned }) => [labels, pinned]),
      ),
      gauge(
        'skcheck_stale_owner_seconds',
        'How long data has waited in the one that waits longest, by owner.',
        owners.map(({ labels, seconds }) => [labels, seconds]),
      ),
    );
  return metrics.map(formatMetric).join('');
}

interface Owner {
  readonly labels: Labels;
  sockets: number;
  pinned: number;
  seconds: number;
}

function ownersOf(sockets: readonly SkcheckSocket[]): Owner[] {
  const byName = new Map<string, Owner>();
  for (const socket of sockets) {
    if (!STALE_CODES.includes(socket.stalled.verdict)) continue;
    const labels = {
      comm: socket.comm ?? '',
      container: (socket.container ?? '').slice(0, 12),
      pod: socket.pod ?? '',
      via: socket.via ?? '',
    };
    const key = Object.values(labels).map(labelValue).join('\n');
    const owner = byName.get(key) ?? { labels, sockets: 0, pinned: 0, seconds: 0 };
    byName.set(key, owner);
    addSocket(owner, 1, socket.pinned.likely, (socket.stalled.forMs ?? 0) / 1000);
  }
  const owners = [...byName.values()].sort((a, b) => b.pinned - a.pinned);
  if (owners.length <= MAX_OWNERS) return owners;
  const rest: Owner = {
    labels: { comm: '(others)', container: '', pod: '', via: '' },
    sockets: 0,
    pinned: 0,
    seconds: 0,
  };
  for (const each of owners.slice(MAX_OWNERS))
    addSocket(rest, each.sockets, each.pinned, each.seconds);
  return [...owners.slice(0, MAX_OWNERS), rest];
}

function addSocket(owner: Owner, sockets: number, pinned: number, seconds: number): void {
  owner.sockets += sockets;
  owner.pinned += pinned;
  owner.seconds = Math.max(owner.seconds, seconds);
}

function sumByCode({ warnings }: SkcheckReport): [string, number][] {
  const sums = new Map<string, number>();
  for (const { code, count } of warnings) sums.set(code, (sums.get(code) ?? 0) + count);
  return [...sums];
}
