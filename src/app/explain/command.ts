import type { Command } from 'commander';
import { formatJson } from '../../base/json.js';
import { UsageError } from '../kit/failure.js';
import { printAnswer } from '../kit/output.js';
import { terminalWidth } from '../kit/terminal.js';

interface ExplainOptions {
  readonly json?: true;
}

const EXAMPLES = `
Examples:
  kdump-mem explain                 all codes, a line each
  kdump-mem explain hung-task       a finding of triage: what it is, how it is known, what to do
  kdump-mem explain stalled-reader  a verdict of skcheck
  kdump-mem explain torn-list       a warning
  kdump-mem explain --json | jq -r '.codes[] | [.kind, .code, .next] | @tsv'

Codes of findings, warnings, categories, rows beside the sockets, verdicts of skcheck and errors. Of a code that
two kinds have, both are told. It reads no dump.

Exit status: 0 answered, 2 wrong usage or no such code.`;

/** `kdump-mem explain`: what a code means. */
export function registerExplain(program: Command): void {
  program
    .command('explain')
    .usage('[options] [code]')
    .argument('[code]', 'hung-task, stalled-reader, …; all of them unless one is named')
    .description('what a finding, warning or verdict means, how it is known and what to do')
    .option('--json', 'print the answer as JSON')
    .addHelpText('after', EXAMPLES)
    .action(explain);
}

async function explain(code: string | undefined, { json }: ExplainOptions): Promise<void> {
  const { allCodes, explained } = await import('../../answers/explain/codes.js');
  const found = explained(code);
  if (code !== undefined && found.length === 0) {
    const { didYouMean, nearestNames } = await import('../../walk/values/nearest-names.js');
    const near = didYouMean(nearestNames(code, allCodes())).replace('; did', 'Did');
    const next = [near, 'kdump-mem explain lists all of them.'].filter((words) => words !== '');
    throw new UsageError(`there is no code ${code}`, next.join(' '));
  }
  if (json) {
    const { explainJson } = await import('../../answers/explain/json.js');
    printAnswer(formatJson(explainJson(found), 2));
    return;
  }
  const { explainText, listText } = await import('../../answers/explain/text.js');
  const toText = code === undefined ? listText : explainText;
  printAnswer(toText(found, terminalWidth()));
}
