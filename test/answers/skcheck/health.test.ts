import { expect, test } from 'vitest';
import { formatHealth, readHealth } from '../../../src/answers/skcheck/prometheus.js';

test('reports a successful scan', () => {
  const text = formatHealth({ failure: null, failures: 2, lastSuccessMs: 1_700_000_000_999 });
  expect(text.split('\n').filter((line) => !line.startsWith('#'))).toEqual([
    'skcheck_up 1',
    'skcheck_scan_failures_total 2',
    'skcheck_last_success_timestamp_seconds 1700000000',
    '',
  ]);
  expect(text).toContain('# TYPE skcheck_scan_failures_total counter\n');
});

test('reports why a scan failed, and no earlier success', () => {
  const text = formatHealth({ failure: 'ss-hung', failures: 1, lastSuccessMs: null });
  expect(text.split('\n').filter((line) => !line.startsWith('#'))).toEqual([
    'skcheck_up 0',
    'skcheck_scan_failures_total 1',
    'skcheck_scan_failure{code="ss-hung"} 1',
    '',
  ]);
});

test('reads its own output back, and ignores output of other programs', () => {
  const health = { failures: 7, lastSuccessMs: 1_700_000_000_000 };
  expect(readHealth(formatHealth({ ...health, failure: null }))).toEqual(health);
  for (const text of ['', 'skcheck_scan_failures_total -1', 'skcheck_scan_failures_total 1e99', '\0'])
    expect(readHealth(text)).toEqual({ failures: 0, lastSuccessMs: null });
});
