import type { Command } from 'commander';
import { formatJson } from '../../base/util.js';
import { UsageError } from '../kit/failure.js';
import { printAnswer, printText } from '../kit/output.js';
import { terminalWidth } from '../kit/terminal.js';

const EXAMPLES = `
Examples:
  kdump-mem explain                 list all codes
  kdump-mem explain hung-task       a finding of triage: meaning, source, next step
  kdump-mem explain stalled-reader  a verdict of skcheck
  kdump-mem explain torn-list       a warning
  kdump-mem explain --json | jq -r '.codes[] | [.kind, .code, .next] | @tsv'

Codes name findings, warnings, categories, rows outside socket queues, skcheck verdicts and errors. A code that has
two kinds is explained for both. Reads no dump.

Exit status: 0 success, 2 usage error or unknown code.`;

/** Registers `kdump-mem explain`, which prints the meaning of a code. */
export function registerExplain(program: Command): void {
  program
    .command('explain')
    .usage('[options] [code]')
    .argument('[code]', 'code to explain, such as hung-task (default: list all)')
    .description('explain a code, such as the one in brackets of a finding: its meaning, its source, and what to do')
    .option('--json', 'print the answer as JSON')
    .addHelpText('after', EXAMPLES)
    .action((code, { json }) => explain(code, json));
}

async function explain(code: string | undefined, json: boolean | undefined): Promise<void> {
  const { allCodes, explained, explainJson, explainText, listText } = await import('../../answers/explain/codes.js');
  const explanations = explained(code);
  if (code !== undefined && explanations.length === 0) {
    const { didYouMean, nearestNames } = await import('../../walk/values/place.js');
    const near = didYouMean(nearestNames(code, allCodes())).replace('; did', 'Did');
    const next = [near, 'List all codes: kdump-mem explain'].filter((words) => words !== '');
    throw new UsageError(`unknown code ${code}`, next.join(' '));
  }
  if (json) {
    printAnswer(formatJson(explainJson(explanations), 2));
    return;
  }
  const toText = code === undefined ? listText : explainText;
  printText(toText(explanations, terminalWidth()));
}
