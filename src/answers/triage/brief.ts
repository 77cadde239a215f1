import { type CauseFacts, causesOf } from '../../triage/causes.js';
import type { Finding } from '../../triage/finding.js';
import { conclusionSentences } from './causes.js';
import { findingSentences } from './words.js';

/** Findings that a chat window has room for. */
const MOST = 5;

/** The headline, the conclusion, and the most severe findings in a line each; nothing is wrapped. */
export function briefText(
  headline: string,
  findings: readonly Finding[],
  facts: CauseFacts,
): string {
  const more = findings.length - MOST;
  const { conclusion } = causesOf(findings, facts);
  return [
    headline,
    ...(conclusion ? [conclusionSentences(conclusion, findings).join(' ')].filter(Boolean) : []),
    ...findings
      .slice(0, MOST)
      .map((finding) => `${finding.severity.toUpperCase()}  ${findingSentences(finding)[0]}`),
    ...(more > 0 ? [`${more} more findings are not listed.`] : []),
  ].join('\n');
}
