import { SEVERITIES, type Severity } from './finding.js';

/** What makes a run fail: a finding so severe, or worse; or one of these codes, however severe. */
export interface FailOn {
  readonly severities: readonly Severity[];
  readonly codes: readonly string[];
}

/** @param words severities, each of which stands for those above it too, and codes */
export function failOn(words: readonly string[]): FailOn {
  const least = Math.max(...words.map((word) => SEVERITIES.indexOf(word as Severity)));
  return {
    severities: SEVERITIES.slice(0, least + 1),
    codes: words.filter((word) => !SEVERITIES.includes(word as Severity)),
  };
}

export function isFailing(
  { severities, codes }: FailOn,
  { code, severity }: { readonly code: string; readonly severity: string },
): boolean {
  return severities.some((one) => one === severity) || codes.includes(code);
}
