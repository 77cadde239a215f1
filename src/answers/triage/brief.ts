import type { Finding } from '../../triage/finding.js';
import { findingSentences } from './words.js';

/** Findings that a chat window has room for. */
const MOST = 5;

/** The headline, and the most severe findings in a line each; nothing is wrapped. */
export function briefText(headline: string, findings: readonly Finding[]): string {
  const more = findings.length - MOST;
  return [
    headline,
    ...findings
      .slice(0, MOST)
      .map((finding) => `${finding.severity.toUpperCase()}  ${findingSentences(finding)[0]}`),
    ...(more > 0 ? [`${more} more findings are not listed.`] : []),
  ].join('\n');
}
