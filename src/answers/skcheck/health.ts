import type { HostErrorCode } from '../../base/errors/host.js';
import { counter, formatMetric, gauge } from '../text/prometheus.js';

/** How the looks go: what is exported also when one fails and there are no figures. */
export interface ScanHealth {
  /** Why the last look failed; null: it did not. */
  readonly failure: HostErrorCode | 'exhausted' | null;
  /** How many looks have failed, as far as is known. */
  readonly failures: number;
  /** When a look last succeeded, milliseconds of Unix time; null: not known. */
  readonly lastSuccessMs: number | null;
}

/** In Prometheus' text format; the same metrics whether a look failed or not. */
export function formatHealth({ failure, failures, lastSuccessMs }: ScanHealth): string {
  return [
    gauge(
      'skcheck_up',
      '1: the last scan succeeded. 0: it failed, and there are no other figures.',
      [[{}, failure === null ? 1 : 0]],
    ),
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

/** What an earlier file says of the looks before: what it does not say counts as none. */
export function readHealth(text: string): Pick<ScanHealth, 'failures' | 'lastSuccessMs'> {
  const figure = (name: string) => {
    const digits = new RegExp(`^${name} (\\d{1,15})$`, 'm').exec(text)?.[1];
    return digits === undefined ? null : Number(digits);
  };
  const seconds = figure(LAST_SUCCESS);
  return {
    failures: figure(FAILURES) ?? 0,
    lastSuccessMs: seconds === null ? null : seconds * 1000,
  };
}
