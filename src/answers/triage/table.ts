import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import { type Column, renderTable } from '../text/table.js';
import type { EarlierLine, TriageEndJson } from './line-schema.js';

/** What a table shows of a line; the rest of it is not kept. */
export type DumpRow = Omit<EarlierLine, 'schema' | 'size' | 'mtime' | 'rulesFile' | 'findings'> & {
  readonly worst: { readonly code: string; readonly severity: string } | null;
};

export function dumpRow(line: EarlierLine): DumpRow {
  const { schema, size, mtime, rulesFile, findings, ...row } = line;
  return { ...row, worst: findings?.find(({ severity }) => severity !== 'note') ?? null };
}

/** Narrower terminals have no room for years. */
const WIDE = 100;

const columns = (narrow: boolean): readonly Column<DumpRow>[] => [
  { heading: 'DUMP', value: ({ dump }) => escapeText(dump), shrinks: { keeps: 'ends', least: 16 } },
  {
    heading: 'HOST',
    value: ({ nodename }) => orDash(nodename),
    shrinks: { keeps: 'start', least: 6 },
    spare: 1,
  },
  {
    heading: 'RELEASE',
    value: ({ release }) => orDash(release),
    shrinks: { keeps: 'start', least: 8 },
  },
  {
    heading: narrow ? 'WHEN, UTC' : 'WHEN (UTC)',
    value: ({ time }) => whenWords(time).slice(narrow ? 5 : 0) || '-',
  },
  { heading: 'WHAT', value: whatWords, shrinks: { keeps: 'start', least: 20 } },
  { heading: 'TOP OWNER', value: ownerWords, shrinks: { keeps: 'start', least: 9 } },
];

/** A line for each dump, for people. Paths begin where they differ. */
export function dumpsTable(
  rows: readonly DumpRow[],
  end: TriageEndJson,
  width: number | null,
): string {
  const folder = commonFolder(rows.map(({ dump }) => dump));
  const shown = rows.map((row) => ({ ...row, dump: row.dump.slice(folder.length) }));
  const below = folder === '' ? '' : ` below ${escapeText(folder)}`;
  const parts = [wrap(`${countWords(end)}${below}`, width).join('\n')];
  if (rows.length > 0)
    parts.push(renderTable(columns(width !== null && width < WIDE), shown, width));
  parts.push(...wholeNotes(rows, end).map((line) => wrap(line, width).join('\n')));
  return parts.join('\n\n');
}

/** What the first line says of all. */
export function countWords({ dumps, told, failed }: TriageEndJson): string {
  const bad =
    failed === 0 ? '' : `: ${formatCount(told)} told, ${formatCount(failed)} not readable`;
  return `${formatCount(dumps)} ${dumps === 1 ? 'dump' : 'dumps'}${bad}`;
}

/** What must be known to take figures and dashes for what they are. */
export function wholeNotes(rows: readonly DumpRow[], end: TriageEndJson): string[] {
  const partly = rows.filter(({ ok, complete }) => ok && !complete).length;
  return [
    ...(partly > 0
      ? [
          `Of ${formatCount(partly)} not everything could be read (*): there may be more. kdump-mem triage DUMP says what.`,
        ]
      : []),
    ...logNotes(rows),
    ...rulesNotes(rows),
    ...end.unlisted.map(
      ({ path, why }) => `Not looked into: ${escapeText(path)} (${escapeText(why)})`,
    ),
    ...(end.otherShards > 0 ? [`${formatCount(end.otherShards)} belong to other shards.`] : []),
  ];
}

/** Where nothing was found, what the log has lost may have told of something. */
function logNotes(rows: readonly DumpRow[]): string[] {
  const lost = rows.filter(({ overwritten, noRoom }) => (overwritten ?? 0) + (noRoom ?? 0) > 0);
  if (lost.length === 0) return [];
  return [`Of ${formatCount(lost.length)} the log has lost messages: what they said is not known.`];
}

/** A team's rules: what they keep from being told, and what they could not tell. */
function rulesNotes(rows: readonly DumpRow[]): string[] {
  const silenced = rows.flatMap(({ rules }) => rules?.silenced ?? []);
  const findings = silenced.reduce((sum, one) => sum + one.findings, 0);
  const unknown = rows.filter(({ rules }) => (rules?.unknown.length ?? 0) > 0).length;
  return [
    ...(findings > 0
      ? [`Your rules silenced ${formatCount(findings)} findings: they are not told here.`]
      : []),
    ...(unknown > 0
      ? [`Of ${formatCount(unknown)} not all rules could be told: --ndjson says which, and why.`]
      : []),
  ];
}

/** Why it stopped, or else the most severe that was found. */
function whatWords({ ok, error, panic, worst, complete }: DumpRow): string {
  if (!ok) return `not read: ${escapeText(error?.code ?? '?')}`;
  const reason =
    panic?.state === 'panicked' ? (panic.cause ?? panic.message ?? 'panic') : worst?.code;
  return `${complete ? '' : '* '}${reason === undefined ? '-' : escapeText(reason)}`;
}

function ownerWords({ topOwner }: DumpRow): string {
  return topOwner === null ? '-' : `${escapeText(topOwner.name)} ${formatSize(topOwner.bytes)}`;
}

/** To the minute. */
export function whenWords(time: EarlierLine['time']): string {
  return time === null ? '-' : escapeText(time.at.slice(0, 16).replace('T', ' '));
}

/** The kernel calls a host without a name `(none)`. */
function orDash(text: string | null): string {
  return text === null || text === '(none)' ? '-' : escapeText(text);
}

/** With its last slash; empty where nothing is common but the root. */
function commonFolder(paths: readonly string[]): string {
  const [first, ...others] = paths;
  if (first === undefined) return '';
  let folder = first.slice(0, first.lastIndexOf('/') + 1);
  while (others.some((path) => !path.startsWith(folder)))
    folder = folder.slice(0, folder.lastIndexOf('/', folder.length - 2) + 1);
  return folder === '/' ? '' : folder;
}
