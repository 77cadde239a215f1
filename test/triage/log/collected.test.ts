import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { TextLogReader } from '../../../src/log/reader.js';
import type { Finding } from '../../../src/triage/finding.js';
import { LogFindings } from '../../../src/triage/log/log-findings.js';

/** Logs of other machines, outside the repository, each with the title that syzbot gave it. */
const PLACES = ['../../../../shared/logs/', '../../../../../shared/logs/'];
const LOGS =
  process.env.KDUMP_MEM_LOGS ?? PLACES.map((place) => fileURLToPath(new URL(place, import.meta.url))).find(existsSync);
const FOLDER = `${LOGS}/syzkaller`;
const isThere = LOGS !== undefined && existsSync(FOLDER);

interface Titled {
  readonly file: string;
  /** Undefined if it is no crash. */
  readonly title: string | undefined;
  readonly corrupted: boolean;
  readonly findings: readonly Finding[];
}

function readTitled(file: string): Titled {
  const raw = readFileSync(`${FOLDER}/${file}`);
  const text = raw.toString('latin1');
  // The expected result is above the first empty line.
  const empty = text.search(/^\r?\n/m);
  const answer = text.slice(0, empty);
  const findings = new LogFindings(4096);
  const reader = new TextLogReader(findings);
  reader.push(raw.subarray(empty + 1));
  reader.end();
  return {
    file,
    title: /^TITLE: (.*)$/m.exec(answer)?.[1]?.trim(),
    corrupted: /^CORRUPTED: Y/m.test(answer),
    findings: findings.finish(),
  };
}

const kindOf = (title: string) => title.replace(/ in (?!preemptible).*/, '');

describe.skipIf(!isThere)('collected logs (skipped without shared/logs)', () => {
  const all = isThere ? readdirSync(FOLDER).sort().map(readTitled) : [];
  const titled = all.filter(({ title }) => title !== undefined);
  const isKind = ({ title = '', findings }: Titled) =>
    findings.some((one) => kindOf(one.title ?? '') === kindOf(title));
  const isNamed = ({ title, corrupted, findings }: Titled) =>
    corrupted
      ? findings.some(({ report }) => report !== undefined && report.corrupted !== null)
      : findings.some((one) => one.title === title && one.report?.corrupted == null);

  test('97 % of those with a title have a finding of its kind', () => {
    expect(titled.filter(isKind).length / titled.length).toBeGreaterThanOrEqual(0.97);
  });

  test('97 % name the function, or report a corrupted report', () => {
    if (process.env.KDUMP_MEM_TABLE) process.stdout.write(table(titled, isKind, isNamed));
    expect(titled.filter(isNamed).length / titled.length).toBeGreaterThanOrEqual(0.97);
  });

  test('no intact report is called corrupted', () => {
    const sound = titled.filter(({ corrupted }) => !corrupted);
    const wrong = sound.filter(({ title, findings }) =>
      findings.some((one) => one.title === title && one.report?.corrupted != null),
    );
    expect(wrong.map(({ file }) => file)).toEqual([]);
  });

  test('logs without a crash have no finding above a note', () => {
    const calm = all.filter(({ title }) => title === undefined);
    const alarms = calm.filter(({ findings }) => findings.some((one) => one.severity !== 'note'));
    expect(calm.length).toBeGreaterThan(0);
    expect(alarms.map(({ file }) => file)).toEqual([]);
  });
});

/** For each kind: the number of logs, of those with such a finding, and of those with the function. */
function table(titled: readonly Titled[], isKind: (one: Titled) => boolean, isNamed: (one: Titled) => boolean): string {
  const rows = new Map<string, [all: number, kind: number, named: number]>();
  for (const one of titled) {
    const name = kindOf(one.title ?? '').slice(0, 60);
    const [all, kind, named] = rows.get(name) ?? [0, 0, 0];
    rows.set(name, [all + 1, kind + Number(isKind(one)), named + Number(isNamed(one))]);
  }
  return [...rows]
    .sort(([, [a]], [, [b]]) => b - a)
    .map(([name, counts]) => `${counts.map((count) => String(count).padStart(4)).join('')}  ${name}\n`)
    .join('');
}
