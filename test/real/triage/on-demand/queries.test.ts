import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { failedJson, lineJson } from '../../../../src/answers/triage/line.js';
import type { SummaryJson } from '../../../../src/contracts/triage-line.js';
import { triageLineSchema } from '../../../../src/contracts/triage-line.js';
import { kdumpMem } from '../../../support/cli.js';
import { DumpDirectory } from '../../../support/dump/file.js';
import { fixture } from '../../../support/fixtures.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const POD = '11111111-2222-3333-4444-555555555555';

const folder = new DumpDirectory();
afterAll(() => folder.dispose());

/** The SQL blocks in docs/many-dumps.md, by their leading comments. */
const queries = new Map(
  [...readFileSync(`${ROOT}docs/many-dumps.md`, 'utf8').matchAll(/```sql\n-- (.*)\n([^`]*)```/g)].map(
    ([, name = '', sql = '']) => [name, sql] as const,
  ),
);

function ask(name: string): Record<string, unknown>[] {
  const input = `${queries.get('lines')}\n${queries.get(name)}`;
  return JSON.parse(
    execFileSync(process.execPath, [`${ROOT}test/clusters/query.mjs`, folder.path], { input }).toString(),
  );
}

/** A dump of a crash, with the fields of a test. */
function crashed(dump: string, at: string, more: Partial<SummaryJson>): string {
  const summary: SummaryJson = {
    ...failedJson(
      { code: '', message: '', signal: null },
      { buildId: 'ab'.repeat(20), crashTime: Date.parse(at) / 1000 },
    ),
    ok: true,
    error: null,
    release: '6.1.0',
    findings: [],
    complete: true,
    nodename: dump,
    panic: { state: 'panicked', message: 'Kernel panic', cause: null },
    ...more,
  };
  const filed = { dump, parts: 1, size: 1000, mtime: '2026-11-20T04:12:00.000Z', rulesFile: null };
  return `${JSON.stringify(triageLineSchema.parse(lineJson(filed, summary, 1)))}\n`;
}

const owner = (name: string, bytes: number): SummaryJson['topOwner'] => ({
  kind: 'process',
  name,
  pid: 1,
  bytes,
  of: 'memory',
});
const pinned = (container: string, pinnedBytes: number) => ({
  cgroup: `/kubepods/pod${POD}/${container}`,
  pod: POD,
  container,
  sockets: 1,
  pinnedBytes,
});

beforeAll(async () => {
  const [a, b] = ['6.1', '5.10'].map((name) => fixture(name as '6.1').vmcore);
  const { stdout } = await kdumpMem('triage', '--ndjson', a!, b!, `${ROOT}README.md`);
  folder.write('crashes-0.ndjson', stdout);
  const lines = [
    crashed('/a', '2026-11-16T00:00:00Z', { topOwner: owner('java', 5), cgroups: [pinned('x', 7)] }),
    // Monday and Sunday of one week.
    crashed('/b', '2026-11-22T23:59:59Z', { topOwner: owner('java', 9), cgroups: [pinned('x', 1), pinned('y', 2)] }),
    crashed('/c', '2026-11-23T00:00:00Z', { topOwner: owner('nginx', 1), cgroups: null }),
    // A copy of /b, with less readable data.
    crashed('/copy', '2026-11-22T23:59:59Z', { nodename: '/b', complete: false, topOwner: owner('java', 99) }),
  ];
  folder.write('crashes-1.ndjson', lines.join(''));
});

test('the page has all documented queries', () => {
  expect([...queries.keys()]).toEqual([
    'lines',
    'top owners by release',
    'panics per week',
    'pinned bytes per pod',
    'what could not be read',
  ]);
});

test('top owners by release', () => {
  const rows = ask('top owners by release');
  expect(rows.filter(({ release }) => release === '6.1.0')).toEqual([
    { release: '6.1.0', kind: 'process', owner: 'java', dumps: '2', mostBytes: '9' },
    { release: '6.1.0', kind: 'process', owner: 'nginx', dumps: '1', mostBytes: '1' },
  ]);
  const releases = ['6.1', '5.10'].map((name) => fixture(name as '6.1').truth.release);
  expect(rows.map(({ release }) => release)).toEqual(expect.arrayContaining(releases));
});

test('panics per week, copies counted once', () => {
  expect(ask('panics per week').map(({ week, panics }) => [week, panics])).toEqual([
    ['2026-11-16', '2'],
    ['2026-11-23', '1'],
  ]);
});

test('pinned bytes per pod', () => {
  expect(ask('pinned bytes per pod')).toEqual([{ pod: POD, dumps: '2', pinnedBytes: '10' }]);
});

test('unreadable dumps', () => {
  expect(ask('what could not be read')).toEqual([{ code: 'not-a-dump', dumps: '1', one: `${ROOT}README.md` }]);
});
