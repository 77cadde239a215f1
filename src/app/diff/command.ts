import type { Command } from 'commander';
import { formatJson } from '../../base/json.js';
import { parseNumber } from '../kit/arguments.js';
import { EXIT, UsageError } from '../kit/failure.js';
import { printAnswer, printWarnings } from '../kit/output.js';
import { terminalWidth } from '../kit/terminal.js';

interface DiffOptions {
  readonly limit?: number;
  readonly verbose?: true;
  readonly json?: true;
  readonly strict?: true;
}

const EXAMPLES = `
Examples:
  what grew between two snapshots of a host
    kdump-mem diff before.tar.gz after.tar.gz
  between two dumps of one machine
    kdump-mem diff vmcore.1 vmcore.2
  between answers that were kept; several in one file are of one time
    kdump-mem memory --live --json > a.json; kdump-mem procs --live --json >> a.json
    kdump-mem memory --live --json > b.json; kdump-mem procs --live --json >> b.json
    kdump-mem diff a.json b.json
  which of them grew all the time
    kdump-mem diff *.json

An input is a snapshot (kdump-mem snapshot, skcheck --capture), a dump, or a file of
answers (--json of memory, procs, sockets, skcheck). They are sorted by their times. Another host,
boot, kernel or depth is said, and what only one knows is not compared: ? (null).
A process is the same if its pid and the time at which it began are. Changes of
categories sum to that of the category above, to the byte. Docs: docs/diff.md.

Exit status: 0 answered, 2 wrong usage (one file twice), 3 an input could not be
read, 5 (with --strict) the answer is incomplete.`;

/** `kdump-mem diff`: what grew between two or more times. */
export function registerDiff(program: Command): void {
  program
    .command('diff')
    .usage('[options] <before> <after> [more...]')
    .argument('<inputs...>', 'snapshots, dumps, or files of answers (--json)')
    .description('what grew between two or more times: categories, processes, sockets, caches')
    .option('--limit <n>', 'list so many of each at most (5; JSON: all)', parseNumber)
    .option('-v, --verbose', 'show all categories')
    .option('--json', 'print the answer as JSON')
    .option('--strict', 'exit with status 5 if anything could not be compared')
    .addHelpText('after', EXAMPLES)
    .action(diff);
}

async function diff(inputs: readonly string[], options: DiffOptions): Promise<void> {
  if (inputs.length < 2)
    throw new UsageError('one input has nothing to be compared with: give two or more');
  const [{ compareStates }, { readInputs }, { diffJson }, { diffText }, { noteWords }] =
    await Promise.all([
      import('../../diff/compare.js'),
      import('./inputs.js'),
      import('../../answers/diff/json.js'),
      import('../../answers/diff/text.js'),
      import('../../answers/diff/notes.js'),
    ]);
  const answer = compareStates(await readInputs(inputs));
  const { json, strict, limit = 5, verbose = false } = options;
  printAnswer(
    json
      ? formatJson(diffJson(answer), 2)
      : diffText(answer, { limit, verbose, width: terminalWidth() }),
  );
  // With --json they are part of the answer.
  if (!json) printWarnings(answer.notes.map((note) => ({ message: noteWords(note) })));
  if (strict && !answer.complete) process.exitCode = EXIT.incomplete;
}
