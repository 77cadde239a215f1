import { grouped } from '../../base/grouped.js';
import type { Adjusted, RulesOutcome } from '../../triage/rules/outcome.js';
import { escapeText } from '../text/escape.js';

/** What rules did besides their findings: silenced and changed ones, and rules that could not be evaluated. */
export function rulesLines({ rules, matched, unknown, silenced, changed }: RulesOutcome): string[] {
  return [
    `Rules: ${matched} of ${rules} matched.`,
    ...silenced.map(silencedWords),
    ...changed.map(changedWords),
    ...[...grouped(unknown, ({ why }) => why)].map(([why, all]) => {
      const codes = [...new Set(all.map(({ code }) => code))].join(', ');
      return `Not evaluated: ${escapeText(codes)} (${escapeText(why)}).`;
    }),
  ];
}

function silencedWords({ code, from, findings, because }: Adjusted): string {
  return `Silenced: ${counted(findings, code)} (${from}). ${escapeText(because)}`;
}

function changedWords({ code, from, to, findings, because }: Adjusted): string {
  return `Severity changed: ${counted(findings, code)}, ${from} to ${to}. ${escapeText(because)}`;
}

function counted(findings: number, code: string): string {
  return `${findings} ${code} ${findings === 1 ? 'finding' : 'findings'}`;
}
