import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  type Condition,
  nameOf,
  parseConditions,
  readConditions,
  removeAbandoned,
  removeOldest,
  SnapshotTrigger,
  snapshotsIn,
} from '../../../src/capture/write/when/trigger.js';
import { FakeHost } from '../../host/fake-host.js';

const folder = mkdtempSync(join(tmpdir(), 'snapshot-when-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('conditions', () => {
  test('are parsed from words without shell metacharacters', () => {
    expect(parseConditions('psi=20,psi-full=2.5, available=5%,oom')).toEqual([
      { kind: 'psi', percent: 20 },
      { kind: 'psi-full', percent: 2.5 },
      { kind: 'available', percent: 5 },
      { kind: 'oom' },
    ]);
    expect(parseConditions('available=1.5G')).toEqual([{ kind: 'available', bytes: 1610612736 }]);
  });

  test.each([
    '',
    'psi',
    'psi=',
    'psi=0',
    'psi=101',
    'psi=20M',
    'psi>20',
    'available=0',
    'available=0%',
    'available=5',
    'available=101%',
    'available=5x',
    'oom=1',
    'psi=1,psi=2',
    'oom,,psi=1',
    'load=5',
    'psi=-1',
  ])('are refused as %j', (text) => {
    expect(parseConditions(text)).toBeUndefined();
  });
});

function host(changes: Readonly<Record<string, string>> = {}): FakeHost {
  const fake = new FakeHost();
  const line = (name: string, avg10: string) => `${name} avg10=${avg10} avg60=1.00 avg300=1.00 total=9\n`;
  fake.files.set('/proc/pressure/memory', line('some', '31.25') + line('full', '4.50'));
  fake.files.set('/proc/meminfo', 'MemTotal:  1000 kB\nMemFree: 10 kB\nMemAvailable:  40 kB\n');
  fake.files.set('/proc/vmstat', 'nr_free_pages 1\noom_kill 3\n');
  for (const [path, text] of Object.entries(changes)) fake.files.set(path, text);
  return fake;
}
const all: readonly Condition[] = parseConditions('psi=20,psi-full=5,available=5%,oom') ?? [];

describe('a sample', () => {
  test('reads each condition from the host', () => {
    expect(readConditions(host(), all).map(({ value, limit }) => [value, limit])).toEqual([
      [31.25, undefined],
      [4.5, undefined],
      [40 * 1024, 50 * 1024],
      [3, undefined],
    ]);
  });

  test.each([
    ['psi', '/proc/pressure/memory', '', '--when psi is not available here'],
    ['available', '/proc/meminfo', 'MemTotal: 1000 kB\n', '/proc/meminfo has no MemAvailable'],
    ['oom', '/proc/vmstat', 'nr_free_pages 1\n', '/proc/vmstat has no oom_kill'],
  ])('refuses %s if the host does not report it', (kind, path, text, words) => {
    const selected = all.filter((condition) => condition.kind === kind);
    const lacking = host({ [path]: text });
    expect(() => readConditions(lacking, selected)).toThrow(words);
    lacking.files.delete(path);
    expect(() => readConditions(lacking, selected)).toThrow(path);
  });
});

/** Seconds of a simulated clock at which snapshots were due. */
function dueAt(
  watchman: SnapshotTrigger,
  seconds: number,
  at: (second: number) => { psi?: number; available?: number; kills?: number },
  failsAt: readonly number[] = [],
): [number, string][] {
  const due: [number, string][] = [];
  for (let second = 0; second < seconds; second++) {
    const { psi = 0, available = 900, kills = 0 } = at(second);
    const reasons = watchman.due(
      [
        { condition: { kind: 'psi', percent: 20 }, value: psi },
        { condition: { kind: 'available', percent: 5 }, value: available, limit: 50 },
        { condition: { kind: 'oom' }, value: kills },
      ],
      second * 1000,
    );
    if (reasons.length === 0) continue;
    due.push([second, reasons.map(({ condition, killed }) => condition.kind + (killed ?? '')).join()]);
    if (!failsAt.includes(second)) watchman.snapshotTaken();
  }
  return due;
}

describe('on a simulated clock', () => {
  test('takes no snapshot in a quiet week', () => {
    const quiet = { psi: 19.99, available: 50, kills: 7 };
    expect(dueAt(new SnapshotTrigger(600_000), 7 * 86_400, () => quiet)).toEqual([]);
  });

  test('takes snapshots at the minimum interval while a condition lasts', () => {
    const due = dueAt(new SnapshotTrigger(600_000), 2000, (second) =>
      second >= 100 && second < 1400 ? { psi: 20, available: 49 } : {},
    );
    expect(due).toEqual([
      [100, 'psi,available'],
      [700, 'psi,available'],
      [1300, 'psi,available'],
    ]);
  });

  test('ignores a condition that ended meanwhile, but not an OOM kill', () => {
    const due = dueAt(new SnapshotTrigger(600_000), 2000, (second) => ({
      psi: second === 100 || second === 300 ? 50 : 0,
      kills: second < 200 ? 4 : second < 400 ? 6 : 7,
    }));
    expect(due).toEqual([
      [100, 'psi'],
      [700, 'oom3'],
    ]);
  });

  test('retries an OOM kill whose snapshot failed', () => {
    const kills = (second: number) => ({ kills: second < 200 ? 4 : 5 });
    expect(dueAt(new SnapshotTrigger(600_000), 3000, kills, [200, 800])).toEqual([
      [200, 'oom1'],
      [800, 'oom1'],
      [1400, 'oom1'],
    ]);
  });

  test('ignores kills before the start, and a counter that restarts', () => {
    expect(dueAt(new SnapshotTrigger(1000), 100, () => ({ kills: 9 }))).toEqual([]);
    const again = dueAt(new SnapshotTrigger(1000), 100, (second) => ({ kills: second < 50 ? 9 : second < 70 ? 0 : 1 }));
    expect(again).toEqual([[70, 'oom1']]);
  });

  test('counts a snapshot before the start, unless the clock was set back', () => {
    const holds = () => ({ psi: 90 });
    expect(dueAt(new SnapshotTrigger(600_000, -100_000), 600, holds)).toEqual([[500, 'psi']]);
    expect(dueAt(new SnapshotTrigger(600_000, 9_999_000_000), 600, holds)).toEqual([[0, 'psi']]);
  });
});

describe('stored snapshots', () => {
  const at = (second: number) => new Date(Date.UTC(2026, 10, 21, 18, 5, second));

  test('have time and reason in their names', () => {
    expect(nameOf(at(1), ['psi', 'available'])).toBe('snapshot-20261121T180501Z-psi-available.tar.gz');
    expect(nameOf(at(2), ['psi-full', 'oom'])).toBe('snapshot-20261121T180502Z-psi-full-oom.tar.gz');
  });

  test('are removed oldest first, and no other files', () => {
    const own = [3, 1, 2, 4].map((second) => nameOf(at(second), ['oom']));
    const others = ['snapshot-1.tar.gz', 'x.tar.gz', `.${own[0]}.1a2b.partial`, `${own[1]}.asc`];
    for (const name of [...own, ...others]) writeFileSync(join(folder, name), '');
    mkdirSync(join(folder, 'snapshots'));
    expect(snapshotsIn(folder).map(({ at: time }) => time)).toEqual([1, 2, 3, 4].map((s) => at(s).getTime()));
    expect(removeOldest(folder, 3)).toEqual([nameOf(at(1), ['oom'])]);
    expect(removeOldest(folder, 3)).toEqual([]);
    expect(readdirSync(folder).toSorted()).toEqual(
      [...[2, 3, 4].map((second) => nameOf(at(second), ['oom'])), ...others, 'snapshots'].toSorted(),
    );
  });

  test('lose only old partial files of killed runs', () => {
    const other = mkdtempSync(join(folder, 'begun-'));
    const own = nameOf(at(1), ['oom']);
    const partialName = (digit: string) => `.${own}.${digit.repeat(12)}.partial`;
    const names = [partialName('a'), partialName('b'), own, '.other.tar.gz.aaaaaaaaaaaa.partial', `.${own}.aaaa`];
    for (const name of names) {
      writeFileSync(join(other, name), '');
      if (name !== partialName('b')) utimesSync(join(other, name), 1000, 1000);
    }
    removeAbandoned(other, Date.now());
    expect(readdirSync(other).toSorted()).toEqual(names.slice(1).toSorted());
  });

  test('include the newest one, even if the clock was set back before it', () => {
    const other = mkdtempSync(join(folder, 'clock-'));
    const name = (hour: number) => nameOf(new Date(Date.UTC(2026, 0, 1, hour)), ['oom']);
    for (const hour of [1, 5, 6]) writeFileSync(join(other, name(hour)), '');
    expect(removeOldest(other, 2, name(1))).toEqual([name(5)]);
    expect(readdirSync(other).toSorted()).toEqual([name(1), name(6)]);
  });

  test('report a missing folder', () => {
    expect(() => snapshotsIn(join(folder, 'none'))).toThrow('cannot be listed (ENOENT)');
  });
});
