import { escapeText } from '../../base/escape.js';
import { count, formatCount, formatSize } from '../../base/size.js';
import { grouped } from '../../base/util.js';
import type { EarlierLine, TriageEndJson } from '../../contracts/triage-line.js';
import { wrap } from '../text/cut.js';
import { type Column, renderTable } from '../text/table.js';

/** Fields of a line that a table shows; others are not kept. */
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
  { heading: 'HOST', value: ({ nodename }) => orDash(nodename), shrinks: { keeps: 'start', least: 6 }, spare: 1 },
  { heading: 'RELEASE', value: ({ release }) => orDash(release), shrinks: { keeps: 'start', least: 8 } },
  { heading: narrow ? 'TIME, UTC' : 'TIME (UTC)', value: ({ time }) => whenWords(time).slice(narrow ? 5 : 0) || '-' },
  { heading: 'FINDING', value: whatWords, shrinks: { keeps: 'start', least: 20 } },
  { heading: 'LARGEST OWNER', value: ownerWords, shrinks: { keeps: 'start', least: 9 } },
];

/** A line for each dump, for people. Paths begin where they differ. */
export function dumpsTable(rows: readonly DumpRow[], end: TriageEndJson, width: number | null): string {
  const folder = commonFolder(rows.map(({ dump }) => dump));
  const shown = rows.map((row) => ({ ...row, dump: row.dump.slice(folder.length) }));
  const place = folder === '' ? '' : ` in ${escapeText(folder)}`;
  const parts = [wrap(countWords(end, place), width).join('\n')];
  if (rows.length > 0) parts.push(renderTable(columns(width !== null && width < WIDE), shown, width));
  parts.push(...wholeNotes(rows, end).map((line) => wrap(line, width).join('\n')));
  return parts.join('\n\n');
}

/** `13 dumps in /var/crash/: 12 read, 1 unreadable` */
function countWords({ dumps, read, failed }: TriageEndJson, place = ''): string {
  const bad = failed === 0 ? '' : `: ${formatCount(read)} read, ${formatCount(failed)} unreadable`;
  return `${count(dumps, 'dump')}${place}${bad}`;
}

/** Why rows may be incomplete. */
function wholeNotes(rows: readonly DumpRow[], end: TriageEndJson): string[] {
  const partly = rows.filter(({ ok, complete }) => ok && !complete).length;
  return [
    ...(partly > 0
      ? [
          `* ${count(partly, 'dump')} could not be read completely and may have more findings. For the reasons: kdump-mem triage DUMP`,
        ]
      : []),
    ...logNotes(rows),
    ...rulesNotes(rows),
    ...end.unlisted.map(({ path, why }) => `Not searched: ${escapeText(path)} (${escapeText(why)})`),
    ...(end.otherShards > 0 ? [`Other shards: ${count(end.otherShards, 'dump')}.`] : []),
  ];
}

/** Missing messages may have been findings. */
function logNotes(rows: readonly DumpRow[]): string[] {
  const lost = rows.filter(({ overwritten, noRoom }) => (overwritten ?? 0) + (noRoom ?? 0) > 0);
  if (lost.length === 0) return [];
  const of = count(lost.length, 'dump');
  return [`Messages are missing from the kernel log of ${of}; findings from them are unknown.`];
}

/** Findings that rules silenced, and rules that could not be evaluated. */
function rulesNotes(rows: readonly DumpRow[]): string[] {
  const silenced = rows.flatMap(({ rules }) => rules?.silenced ?? []);
  const findings = silenced.reduce((sum, rule) => sum + rule.findings, 0);
  const unknown = rows.filter(({ rules }) => (rules?.unknown.length ?? 0) > 0).length;
  return [
    ...(findings > 0 ? [`Rules silenced ${count(findings, 'finding')}, not listed here.`] : []),
    ...(unknown > 0
      ? [`Some rules could not be evaluated for ${count(unknown, 'dump')}. For the reasons: --ndjson`]
      : []),
  ];
}

/** The cause of the panic, otherwise the most severe finding. */
function whatWords({ ok, error, panic, worst, complete }: DumpRow): string {
  if (!ok) return `unreadable: ${escapeText(error?.code ?? '?')}`;
  const reason = panic?.state === 'panicked' ? (panic.cause ?? panic.message ?? 'panic') : worst?.code;
  return `${complete ? '' : '* '}${reason === undefined ? 'no findings' : escapeText(reason)}`;
}

function ownerWords({ topOwner }: DumpRow): string {
  return topOwner === null ? '-' : `${escapeText(topOwner.name)} ${formatSize(topOwner.bytes)}`;
}

/** To the minute. */
function whenWords(time: EarlierLine['time']): string {
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

/** Names listed of each kind. */
const NAMED = 3;

/** Dumps grouped by fingerprint, the most frequent first. */
export function similarText(rows: readonly DumpRow[], end: TriageEndJson, width: number | null): string {
  const alike = [
    ...grouped(
      rows.filter(({ fingerprint }) => fingerprint),
      idOf,
    ).values(),
  ];
  alike.sort((a, b) => b.length - a.length);
  const unlike = grouped(
    rows.filter(({ fingerprint }) => fingerprint === null),
    nothingWords,
  );
  const parts = [
    [`${countWords(end)}, ${count(alike.length, 'distinct problem')}`],
    ...alike.map(kindLines),
    ...[...unlike].map(([what, dumps]) => [`${formatCount(dumps.length)} × ${what}`, ...named(dumps)]),
    ...wholeNotes(rows, end).map((line) => [line]),
  ];
  return parts.map((lines) => lines.flatMap((line) => wrap(line, width)).join('\n')).join('\n\n');
}

function nothingWords({ ok, error, complete, rules }: DumpRow): string {
  if (!ok) return `unreadable: ${escapeText(error?.code ?? '?')}`;
  const but = [
    ...(complete ? [] : ['incomplete']),
    ...((rules?.unknown.length ?? 0) > 0 ? ['some rules not evaluated'] : []),
    ...((rules?.silenced.length ?? 0) > 0 ? ['some silenced by rules'] : []),
  ];
  return ['no findings', ...but].join(', ');
}

function idOf({ fingerprint }: DumpRow): string {
  return fingerprint?.id ?? '';
}

function kindLines(dumps: readonly DumpRow[]): string[] {
  const { id = '', kind = '', functions = [], owner = null } = dumps[0]?.fingerprint ?? {};
  const times = dumps.flatMap(({ time }) => (time ? [time.at] : [])).sort();
  const [first, last] = [times[0], times.at(-1)].map((at) => at && whenWords({ at, from: 'crash' }));
  const releases = [...new Set(dumps.map(({ release }) => escapeText(release ?? '?')))].sort();
  return [
    `${formatCount(dumps.length)} × ${escapeText(kind)} (${id})`,
    ...(functions.length > 0 ? [`  stack: ${functions.map(escapeText).join(' ← ')}`] : []),
    ...(owner === null ? [] : [`  largest owner: ${escapeText(owner)}`]),
    `  ${first === undefined ? '' : `${first === last ? first : `${first} to ${last}`}, `}${few(releases)}`,
    ...named(dumps),
  ];
}

function named(dumps: readonly DumpRow[]): string[] {
  const paths = dumps.slice(0, NAMED).map(({ dump }) => `  ${escapeText(dump)}`);
  const left = dumps.length - NAMED;
  return left > 0 ? [...paths, `  and ${formatCount(left)} more`] : paths;
}

function few(words: readonly string[]): string {
  const left = words.length - NAMED;
  return `${words.slice(0, NAMED).join(', ')}${left > 0 ? ` and ${left} more` : ''}`;
}
