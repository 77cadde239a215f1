import type { HostErrorCode } from '../../base/errors.js';
import { STALE_CODES, VERDICT_CODES } from '../../skcheck/verdict.js';
import { counter, formatMetric, gauge, type Labels, labelValue, type Metric } from '../text/prometheus.js';
import type { SkcheckReport, SkcheckSocket } from './schema.js';

/** Maximum number of owners with their own series; all others are summed as `(others)`. */
export const MAX_OWNERS = 30;

/**
 * Returns the report in the Prometheus text format (0.0.4), also for node_exporter's textfile collector. The
 * number of series is bounded, and labels do not change with each process: owners are identified by comm,
 * container and pod, not by pid. `via` is `accept-queue` if the owner has not accepted the sockets from its
 * listener.
 */
export function formatPrometheus(report: SkcheckReport, durationMs: number): string {
  const { totals } = report;
  const metrics: Metric[] = [
    gauge('skcheck_sockets', 'Sockets scanned.', [[{}, totals.sockets]]),
    gauge(
      'skcheck_verdict_sockets',
      'Sockets by verdict.',
      VERDICT_CODES.map((verdict) => [{ verdict }, totals.verdicts[verdict] ?? 0]),
    ),
    gauge('skcheck_stale_sockets', 'Sockets whose owner has stopped reading.', [[{}, totals.stalled]]),
    gauge('skcheck_stale_unread_bytes', 'Unread bytes in stale sockets.', [[{}, totals.unreadBytes]]),
    gauge(
      'skcheck_stale_pinned_bytes',
      'Kernel memory pinned by stale sockets: low, likely, high (high is absent if unknown).',
      boundsOf(totals.pinned),
    ),
    gauge('skcheck_stale_local_peers', 'Sockets of this host whose peer is a stalled reader.', [
      [{}, totals.localPeers.sockets],
    ]),
    gauge(
      'skcheck_stale_local_peer_pinned_bytes',
      'Kernel memory pinned by the send queues of these peers, not in skcheck_stale_pinned_bytes.',
      boundsOf(totals.localPeers.pinned),
    ),
    gauge('skcheck_stale_unbounded_sockets', 'Stale sockets without a known upper bound.', [[{}, totals.unbounded]]),
    gauge('skcheck_fd_leaking_processes', 'Processes whose open descriptors grew in every sample.', [
      [{}, report.processes.length],
    ]),
    gauge(
      'skcheck_warnings',
      'Warnings about the scan or the host, by code.',
      sumByCode(report).map(([code, count]) => [{ code }, count]),
    ),
    gauge('skcheck_scan_complete', '1: the scan was complete. 0: some sockets were not scanned.', [
      [{}, report.complete ? 1 : 0],
    ]),
    gauge('skcheck_namespaces', 'Network namespaces scanned.', [[{}, report.host.namespaces]]),
    gauge('skcheck_scan_seconds', 'Duration of the scan.', [[{}, durationMs / 1000]]),
    gauge(
      'skcheck_scan_timestamp_seconds',
      'Time of the scan, Unix time.',
      report.host.takenAtKnown ? [[{}, Math.floor(Date.parse(report.host.takenAt) / 1000)]] : [],
    ),
  ];
  const owners = ownersOf(report.sockets);
  if (owners.length > 0)
    metrics.push(
      gauge(
        'skcheck_stale_owner_sockets',
        'Stale sockets by owner.',
        owners.map(({ labels, sockets }) => [labels, sockets]),
      ),
      gauge(
        'skcheck_stale_owner_pinned_bytes',
        'Kernel memory likely pinned by stale sockets, by owner.',
        owners.map(({ labels, pinned }) => [labels, pinned]),
      ),
      gauge(
        'skcheck_stale_owner_seconds',
        'Age of the oldest unread data in stale sockets, by owner.',
        owners.map(({ labels, seconds }) => [labels, seconds]),
      ),
    );
  return metrics.map(formatMetric).join('');
}

function boundsOf({ low, likely, atMost }: SkcheckReport['totals']['pinned']) {
  const known: (readonly [Labels, number])[] = [
    [{ bound: 'low' }, low],
    [{ bound: 'likely' }, likely],
  ];
  return atMost === null ? known : [...known, [{ bound: 'high' }, atMost] as const];
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
  for (const owner of owners.slice(MAX_OWNERS)) addSocket(rest, owner.sockets, owner.pinned, owner.seconds);
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

/** State of the scans, exported even if a scan fails and there are no figures. */
export interface ScanHealth {
  /** Why the last scan failed; null if it succeeded. */
  readonly failure: HostErrorCode | 'exhausted' | null;
  /** Number of failed scans, as far as known. */
  readonly failures: number;
  /** Time of the last successful scan, milliseconds of Unix time; null: unknown. */
  readonly lastSuccessMs: number | null;
}

/** Returns the Prometheus text format; the metrics are the same whether or not a scan failed. */
export function formatHealth({ failure, failures, lastSuccessMs }: ScanHealth): string {
  return [
    gauge('skcheck_up', '1: the last scan succeeded. 0: it failed, and there are no other figures.', [
      [{}, failure === null ? 1 : 0],
    ]),
    counter(FAILURES, 'Failed scans.', [[{}, failures]]),
    gauge(
      'skcheck_scan_failure',
      'Why the last scan failed, by code; absent if it succeeded.',
      failure === null ? [] : [[{ code: failure }, 1]],
    ),
    gauge(
      LAST_SUCCESS,
      'Time of the last successful scan, Unix time; absent if unknown.',
      lastSuccessMs === null ? [] : [[{}, Math.floor(lastSuccessMs / 1000)]],
    ),
  ]
    .map(formatMetric)
    .join('');
}

const FAILURES = 'skcheck_scan_failures_total';
const LAST_SUCCESS = 'skcheck_last_success_timestamp_seconds';

/** Reads the counts of earlier scans from an existing file; absent ones are 0. */
export function readHealth(text: string): Pick<ScanHealth, 'failures' | 'lastSuccessMs'> {
  const figure = (name: string) => {
    const digits = new RegExp(`^${name} (\\d{1,15})$`, 'm').exec(text)?.[1];
    return digits === undefined ? null : Number(digits);
  };
  const seconds = figure(LAST_SUCCESS);
  return { failures: figure(FAILURES) ?? 0, lastSuccessMs: seconds === null ? null : seconds * 1000 };
}
