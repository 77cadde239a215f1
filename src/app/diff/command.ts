import { type Command, Option } from 'commander';
import { shellWord } from '../../base/shell.js';
import { formatJson } from '../../base/util.js';
import { type OptionsOf, parseNumber } from '../kit/arguments.js';
import { EXIT, UsageError } from '../kit/failure.js';
import { checkPage, writePage } from '../kit/html-page.js';
import { printAnswer, printText, printWarnings } from '../kit/output.js';
import { terminalWidth } from '../kit/terminal.js';

/** Maximum number of rows of each table of a page. */
const PAGE_ROWS = 50;

const EXAMPLES = `
Examples:
  compare two snapshots of a host
    kdump-mem diff before.tar.gz after.tar.gz
  compare two dumps of a host
    kdump-mem diff vmcore.1 vmcore.2
  compare saved answers; the answers in one file are of one time
    kdump-mem memory --live --json > a.json; kdump-mem procs --live --json >> a.json
    kdump-mem memory --live --json > b.json; kdump-mem procs --live --json >> b.json
    kdump-mem diff a.json b.json
  find what grew steadily over several samples
    kdump-mem diff *.json
  write a page for a browser
    kdump-mem diff before.tar.gz after.tar.gz --html diff.html

An input is a snapshot (kdump-mem snapshot, skcheck --capture), a dump, or a file
with --json answers of memory, procs, sockets or skcheck. Inputs are sorted by time.
Warnings name a different host, boot, kernel or source. Items that an input lacks
are not compared ("?", null in JSON). Processes are matched by pid and start time.
The changes of categories sum to the change of their parent. Docs: docs/diff.md.

Exit status: 0 answered, 2 wrong usage (a file given twice), 3 an input could not
be read, 5 (with --strict) the answer is incomplete.`;

function declareDiff(program: Command) {
  return program
    .command('diff')
    .usage('[options] <before> <after> [more...]')
    .argument('<inputs...>', 'snapshots, dumps, or files with --json answers')
    .description('show what grew between two or more times: categories, processes, sockets, caches')
    .option('--limit <n>', 'maximum number of rows of each table (default 5; JSON: all)', parseNumber)
    .option('-v, --verbose', 'show all categories')
    .option('--json', 'print the answer as JSON')
    .addOption(new Option('--html <file>', 'write an HTML page; - writes to stdout').conflicts('json'))
    .option('--force', 'replace an existing HTML file')
    .option('--strict', 'exit with status 5 if the comparison is incomplete');
}

type DiffOptions = OptionsOf<typeof declareDiff>;

/** Registers `kdump-mem diff`, which compares inputs from two or more points in time. */
export function registerDiff(program: Command): void {
  declareDiff(program).addHelpText('after', EXAMPLES).action(diff);
}

async function diff(inputs: readonly string[], options: DiffOptions): Promise<void> {
  if (inputs.length < 2) throw new UsageError('diff needs at least two inputs');
  const [{ compareStates }, { readInputs, sourceOption }, { diffBlocks, diffJson, diffText }, words] =
    await Promise.all([
      import('../../diff/compare.js'),
      import('./inputs.js'),
      import('../../answers/diff/render.js'),
      import('../../answers/diff/words.js'),
    ]);
  const { headline, joinedNotes, noteWords } = words;
  checkPage({ ...options, vmcore: [...inputs] });
  const answer = compareStates(await readInputs(inputs));
  const { json, strict, limit, verbose = false, html } = options;
  const warnings = joinedNotes(answer.notes).map(noteWords);
  if (html !== undefined) {
    const { listHtml } = await import('../../answers/html/list-page.js');
    const last = answer.states.at(-1);
    const page = {
      subject: 'Changes',
      host: last?.origin.host ?? null,
      release: last?.release ?? null,
      at: last?.origin.at ?? null,
      headline: headline(answer),
      complete: answer.complete,
      warnings,
      blocks: diffBlocks(answer, { limit: limit ?? PAGE_ROWS, verbose }),
    };
    const source = inputs.map(shellWord).join(' ');
    printAnswer(writePage(options, { source, headline: page.headline, html: (facts) => listHtml(page, facts) }));
  } else if (json) printAnswer(formatJson(diffJson(answer), 2));
  else {
    const source = sourceOption(answer.states.at(-1)?.name ?? '');
    printText(diffText(answer, { limit: limit ?? 5, verbose, width: terminalWidth(), source }));
  }
  // With --json the notes are part of the answer.
  if (!json) printWarnings(warnings.map((message) => ({ message })));
  if (strict && !answer.complete) process.exitCode = EXIT.incomplete;
}
