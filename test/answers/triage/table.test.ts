import { expect, test } from 'vitest';
import { columnsOf } from '../../../src/answers/text/cut.js';
import { endJson } from '../../../src/answers/triage/line.js';
import { type DumpRow, dumpsTable, similarText } from '../../../src/answers/triage/table.js';
import type { TriageLineJson } from '../../../src/contracts/triage-line.js';

const FAULT = {
  id: '00112233aabbccdd',
  kind: 'BUG: kernel NULL pointer dereference, address: #',
  functions: ['tcp_ack', 'tcp_rcv_established'],
  owner: null,
};

function row(host: string, more: Partial<DumpRow> = {}): DumpRow {
  return {
    dump: `/var/crash/${host}/202611200412/vmcore`,
    ok: true,
    error: null,
    release: '6.1.0-56-cloud-amd64',
    nodename: host,
    complete: true,
    time: { at: '2026-11-20T04:12:33.000Z', from: 'crash' },
    panic: { state: 'panicked', message: 'Kernel panic - not syncing: Fatal exception', cause: CAUSE },
    topOwner: { name: 'java', bytes: 2_362_232_012 },
    overwritten: 0,
    noRoom: 0,
    fingerprint: FAULT,
    worst: { code: 'panic', severity: 'critical' },
    ...more,
  };
}

const CAUSE = 'BUG: kernel NULL pointer dereference, address: 0000000000000008';
const unread: Partial<DumpRow> = {
  ok: false,
  complete: false,
  worst: null,
  panic: null,
  topOwner: null,
  fingerprint: null,
  error: { code: 'timed-out' },
  nodename: null,
  time: null,
};
const ROWS = [
  row('db-1.example.com'),
  row('db-2.example.com', { complete: false }),
  row('web-1\u001b[31m', unread),
  row('web-2', { panic: null, worst: null, fingerprint: null, topOwner: null }),
];

function endOf(rows: readonly DumpRow[], more: Partial<Parameters<typeof endJson>[1]> = {}) {
  const lines = rows.map(({ dump, ok, complete }) => ({
    dump,
    size: 1,
    mtime: '',
    rulesFile: null,
    ok,
    complete,
    findings: [],
  }));
  const found = { dumps: [], otherFiles: 0, links: 0, special: 0, unlisted: [], extracts: [] };
  return endJson(lines, {
    found,
    failing: null,
    seconds: 0,
    shard: null,
    resumed: 0,
    kept: 0,
    otherShards: 0,
    ...more,
  });
}

test.each([80, 100, 60])('fits %i columns, with one line for each dump', (width) => {
  const lines = dumpsTable(ROWS, endOf(ROWS), width).split('\n');
  for (const line of lines) expect(columnsOf(line)).toBeLessThanOrEqual(width);
  expect(lines.filter((line) => /BUG|unreadable:|11-20 04:12 +no findings/.test(line))).toHaveLength(4);
});

test('without a terminal truncates nothing and escapes everything', () => {
  const text = dumpsTable(ROWS, endOf(ROWS), null);
  expect(text).toContain('4 dumps in /var/crash/: 3 read, 1 unreadable');
  expect(text).toMatch(
    /^db-1\.example\.com\/202611200412\/vmcore +db-1\.example\.com .*address: 0+8 +java 2\.20 GiB$/m,
  );
  expect(text).toMatch(/^db-2.* \* BUG/m);
  expect(text).toMatch(/^web-1\\x1b\[31m\/.* unreadable: timed-out +-$/m);
  expect(text).toContain('* 1 dump could not be read completely');
  expect(text).not.toContain('\u001b');
});

test('reports directories and dumps that were not read', () => {
  const found = { dumps: [], otherFiles: 0, links: 0, special: 0, extracts: [] };
  const unlisted = [
    { path: '/var/crash/closed', code: 'permission' as const, why: '/var/crash/closed: permission denied' },
  ];
  const end = endOf([], { found: { ...found, unlisted }, otherShards: 7 });
  const text = dumpsTable([], end, 80);
  expect(text).toContain('0 dumps');
  expect(text).toContain('Not searched: /var/crash/closed');
  expect(text).toContain('Other shards: 7 dumps.');
});

test('--similar groups equal problems, most frequent first', () => {
  const other: TriageLineJson['fingerprint'] = {
    ...FAULT,
    id: 'ff'.repeat(8),
    kind: 'oom-kill',
    owner: 'process java',
  };
  const rows = [row('a', { fingerprint: other }), ...ROWS];
  const text = similarText(rows, endOf(rows), null);
  const [first, ...kinds] = text.split('\n\n');
  expect(first).toBe('5 dumps: 4 read, 1 unreadable, 2 distinct problems');
  expect(kinds[0]?.split('\n')).toEqual([
    `2 × ${FAULT.kind} (${FAULT.id})`,
    '  stack: tcp_ack ← tcp_rcv_established',
    '  2026-11-20 04:12, 6.1.0-56-cloud-amd64',
    '  /var/crash/db-1.example.com/202611200412/vmcore',
    '  /var/crash/db-2.example.com/202611200412/vmcore',
  ]);
  expect(kinds[1]).toMatch(/^1 × oom-kill .*\n {2}stack: .*\n {2}largest owner: process java\n/);
  expect(text).toMatch(/1 × unreadable: timed-out\n {2}\/var\/crash\/web-1\\x1b/);
  expect(text).toMatch(/1 × no findings\n {2}\/var\/crash\/web-2/);
  const partly = [row('b', { fingerprint: null, complete: false })];
  expect(similarText(partly, endOf(partly), null)).toContain('1 × no findings, incomplete');
});

test('reports what rules silenced or could not evaluate', () => {
  const one = { unknown: [{}], silenced: [{ findings: 2 }, { findings: 1 }] };
  const quiet = { fingerprint: null, panic: null, worst: null };
  const rows = [row('a', { ...quiet, rules: one }), row('b', quiet)];
  const table = dumpsTable(rows, endOf(rows), null);
  expect(table).toContain('Rules silenced 3 findings');
  expect(table).toContain('Some rules could not be evaluated for 1 dump.');
  expect(similarText(rows, endOf(rows), null)).toContain(
    '1 × no findings, some rules not evaluated, some silenced by rules\n',
  );
  expect(dumpsTable(ROWS, endOf(ROWS), null)).not.toMatch(/rules/);
});

test('a dash is no all-clear if log messages are missing', () => {
  const quiet = { panic: null, worst: null };
  const rows = [row('a', { ...quiet, overwritten: 9 }), row('b', { ...quiet, noRoom: 1 })];
  const lost = 'Messages are missing from the kernel log of 2 dumps; findings from them are unknown.';
  expect(dumpsTable(rows, endOf(rows), null)).toContain(lost);
  const whole = [row('a', quiet), row('b', { ...quiet, overwritten: null, noRoom: null })];
  expect(dumpsTable(whole, endOf(whole), null)).not.toContain('Messages are missing');
});
