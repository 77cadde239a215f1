import { grouped } from '../../base/grouped.js';
import type { Adjusted, RulesOutcome } from '../../triage/rules/outcome.js';
import { escapeText } from '../text/escape.js';

/** What a team's own rules did that no finding tells: what they silenced, and what they could not tell. */
export function rulesLines({ rules, met, unknown, silenced, changed }: RulesOutcome): string[] {
  return [
    `Rules: of ${rules} of your own ${met} ${met === 1 ? 'finds' : 'find'} something.`,
    ...silenced.map(silencedWords),
    ...changed.map(changedWords),
    ...[...grouped(unknown, ({ why }) => why)].map(([why, asked]) => {
      const codes = [...new Set(asked.map(({ code }) => code))].join(', ');
      return `Not known, since ${escapeText(why)}: ${escapeText(codes)}.`;
    }),
  ];
}

function silencedWords({ code, from, findings, because }: Adjusted): string {
  const many = findings === 1 ? '1 finding is' : `${findings} findings are`;
  return `Silenced: ${many} not told, ${code} (${from}). ${escapeText(because)}`;
}

function changedWords({ code, from, to, findings, because }: Adjusted): string {
  const many = findings === 1 ? '1 finding' : `${findings} findings`;
  return `Changed: ${many} ${code}, ${from} by itself, told as ${to}. ${escapeText(because)}`;
}
