import { InvalidArgumentError } from 'commander';
import { FINDING_CODES, SEVERITIES } from '../../triage/finding.js';
import { didYouMean, nearestNames } from '../../walk/values/nearest-names.js';
import { UsageError } from '../kit/failure.js';

/** Takes severities and codes of findings, with commas between or the option again. */
export function parseFailOn(text: string, before: readonly string[] = []): readonly string[] {
  const words = text.split(',').map((word) => word.trim());
  for (const word of words) {
    if (KNOWN.includes(word) || OF_RULES.test(word)) continue;
    const near = didYouMean(nearestNames(word, KNOWN)).replace('; did', ' Did');
    throw new InvalidArgumentError(
      `It takes ${SEVERITIES.join(', ')} or the code of a finding.${near}`,
    );
  }
  return [...before, ...words];
}

const KNOWN: readonly string[] = [...SEVERITIES, ...FINDING_CODES];
const OF_RULES = /^[^/]+\/./;

/**
 * A code that no rule has would never fail.
 *
 * @throws {UsageError} for a code of rules that `--rules` does not have
 */
export async function checkFailOn(
  words: readonly string[] | undefined,
  rules: string | undefined,
): Promise<void> {
  const own = (words ?? []).filter((word) => OF_RULES.test(word));
  if (own.length === 0) return;
  if (rules === undefined) throw new UsageError(`--fail-on ${own[0]} needs --rules FILE`);
  const { ruleCodes } = await import('./rules.js');
  const known = await ruleCodes(rules);
  const lost = own.find((word) => !known.includes(word));
  if (lost !== undefined)
    throw new UsageError(`no rule in ${rules} has the code ${lost} of --fail-on`);
}
