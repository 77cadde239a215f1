import { grouped } from '../../base/grouped.js';
import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { formatCount } from '../text/size.js';
import type { TriageEndJson } from './line-schema.js';
import { countWords, type DumpRow, whenWords, wholeNotes } from './table.js';

/** Names listed of each kind. */
const NAMED = 3;

/** Dumps grouped by fingerprint, the most frequent first. */
export function similarText(
  rows: readonly DumpRow[],
  end: TriageEndJson,
  width: number | null,
): string {
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
    [
      `${countWords(end)}, ${formatCount(alike.length)} distinct ${alike.length === 1 ? 'problem' : 'problems'}`,
    ],
    ...alike.map(kindLines),
    ...[...unlike].map(([what, dumps]) => [
      `${formatCount(dumps.length)} × ${what}`,
      ...named(dumps),
    ]),
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
  const [first, last] = [times[0], times.at(-1)].map(
    (at) => at && whenWords({ at, from: 'crash' }),
  );
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
