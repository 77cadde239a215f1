import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { KernelError } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { withRules } from '../../triage/rules/apply.js';
import type { RuleBasis } from '../../triage/rules/facts.js';
import type { Rules } from '../../triage/rules/schema.js';
import { UsageError } from '../kit/failure.js';

/** Applies a rules file to an answer. */
export type RulesStep = <A extends RuleBasis>(answer: A, kernel?: Kernel) => ReturnType<typeof withRules<A>>;

/**
 * Loads custom rules.
 *
 * @throws {UsageError} if the file cannot be read, or is not a rules file
 */
export async function rulesStep(file: string): Promise<RulesStep> {
  const [rules, { withRules }, { groupedStacks }] = await Promise.all([
    rulesOf(file),
    import('../../triage/rules/apply.js'),
    import('../../account/task-stacks.js'),
  ]);
  return (answer, kernel) =>
    withRules(answer, rules, (state) => {
      if (!kernel) throw new KernelError('closed', 'a text log contains no stacks');
      return groupedStacks(kernel, state === undefined ? {} : { states: new Set([state]) });
    });
}

/** Returns the codes of findings that a rules file can create. @throws as rulesStep */
export async function ruleCodes(file: string): Promise<string[]> {
  return (await rulesOf(file)).rules.map(({ code }) => code);
}

/** Returns the SHA-256 of the rules file in hex, which identifies the rules. @throws as rulesStep */
export async function rulesSum(file: string): Promise<string> {
  await rulesOf(file);
  return createHash('sha256')
    .update(await textOf(file))
    .digest('hex');
}

async function rulesOf(file: string): Promise<Rules> {
  const { RulesError, readRules } = await import('../../triage/rules/read.js');
  const text = await textOf(file);
  try {
    return readRules(file, text);
  } catch (error) {
    if (!(error instanceof RulesError)) throw error;
    throw new UsageError(error.message, 'See docs/rules.md for the fields.');
  }
}

async function textOf(file: string): Promise<string> {
  const { MAX_RULES_BYTES } = await import('../../triage/rules/read.js');
  try {
    const stat = fs.statSync(file);
    if (!stat.isFile()) throw new UsageError(`${file}: not a regular file`);
    if (stat.size > MAX_RULES_BYTES) throw new UsageError(`${file} is larger than 1 MiB, the limit for rules`);
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`rules file ${file} cannot be read (${code})`, 'Check the path.');
  }
}
