import { type Command, Option } from 'commander';
import type { FigureFormat, MemoryAnswer } from '../../account/memory/answer.js';
import { HostError } from '../../base/errors.js';
import { escapeText } from '../../base/escape.js';
import { answer, present } from '../kit/answer.js';
import { type OptionsOf, parseInterval, parseNumber } from '../kit/arguments.js';
import { UsageError } from '../kit/failure.js';
import { addFromOption, LIVE_SOURCES } from '../kit/from-argument.js';
import { checkPage } from '../kit/html-page.js';
import { addSourceOptions, liveByDefault, sourceWords } from '../kit/kernel-source.js';
import { Progress } from '../kit/terminal.js';
import { addDepthOptions, DEPTH_NAMES, requestedDepth } from './depths.js';
import { liveSampler, refuseWithout } from './source.js';
import { checkThresholds, parseThreshold } from './thresholds.js';

const EXAMPLES = `
Examples:
  kdump-mem memory --vmcore vmcore              every page frame in exactly one category
  kdump-mem memory --vmcore vmcore --caches     slab caches, the largest first
  kdump-mem memory --vmcore vmcore --vmalloc    vmalloc areas by caller
  kdump-mem memory --vmcore vmcore --files      page cache and shared memory by file
  kdump-mem memory --vmcore vmcore --files --cgroup /kubepods/pod7
      files that count against the working set of a pod
  kdump-mem memory --vmcore vmcore --cgroups    memory by charged cgroup, dying ones included
  kdump-mem memory --vmcore vmcore --nodes      zones, with free blocks by order
  kdump-mem memory --vmcore vmcore --by site    what each allocation site holds, where the kernel noted it
  kdump-mem memory --vmcore vmcore --huge       zeros in transparent huge pages, by process
  kdump-mem memory --vmcore vmcore --all        all of these lists in one answer
  kdump-mem memory --vmcore vmcore --unattributed
      unattributed pages by what refers to them, and what they contain
  kdump-mem memory --vmcore vmcore --unreachable
      allocations that no reference from memory in use was found to: possible leaks
  kdump-mem memory --live -v                    this machine, with the kernel’s own counters
  kdump-mem memory --live --as free             the figures of free(1), computed from these rows
  kdump-mem memory --live --watch               a refreshed table with changes
  kdump-mem memory --live --prometheus          metrics for Prometheus
  kdump-mem memory --from host.tar.gz           a host at the time of its snapshot
  kdump-mem memory --vmcore vmcore --html memory.html
      a treemap for a browser, in one file without scripts or external resources

The rows of a level sum to the row above, to the byte. LARGEST OWNERS lists known owners only.
KERNEL COUNTER (-v) is the kernel’s own counter of the category. docs/memory.md has the rules for
pages that fit two categories. "unattributed" pages are allocated, but not attributed to any owner;
drivers that call the page allocator directly are the usual cause.

--live scans page frames through /proc/kcore (root). Where that is not available it reads page flags
(/proc/kpageflags, root), and otherwise counters in /proc. The first line names the source, and why
others are not available. --source requires one of them.

Exit status: 0 success, 1 a limit of --fail-on is exceeded, or crash and kdump-mem disagree (--engine
verify), 2 wrong usage, 3 the dump or kernel could not be opened or read, 5 (with --strict) the answer is
incomplete, or (with --fail-on) too incomplete to compare.`;

/** Options that an answer from a pass over all memory does not have. */
const NOT_OF_A_PASS = [...DEPTH_NAMES, 'from', 'source', 'prometheus', 'html', 'watch', 'failOn', 'cgroup'];

function declareMemory(program: Command) {
  const command = liveByDefault(addSourceOptions(program.command('memory')))
    .usage('[options] [dump...]')
    .description('show where all memory is: free, applications and files, kernel, unattributed');
  return addDepthOptions(addFromOption(command, ['source', 'watch']))
    .addOption(
      new Option('--source <source>', 'with --live: required source (default: the most detailed available)')
        .choices(LIVE_SOURCES)
        .conflicts('vmcore'),
    )
    .option('--cgroup <path>', 'with --files: only pages charged to this cgroup and below')
    .addOption(
      new Option(
        '--unattributed',
        'group unattributed pages of a dump by what refers to them and what they contain',
      ).conflicts(NOT_OF_A_PASS),
    )
    .addOption(
      new Option(
        '--unreachable',
        'list allocations of a dump that no reference from memory in use was found to',
      ).conflicts([...NOT_OF_A_PASS, 'unattributed']),
    )
    .option('--limit <n>', 'maximum number of rows (default 20; JSON: all)', parseNumber)
    .option('-v, --verbose', 'show the kernel’s counters, how each row is known, and all notes')
    .option('--json', 'print the answer as JSON')
    .addOption(
      new Option('--prometheus', 'print metrics for node_exporter’s textfile collector').conflicts([
        'json',
        ...DEPTH_NAMES,
      ]),
    )
    .addOption(
      new Option('--html <file>', 'write an HTML page with a treemap; - writes to stdout').conflicts([
        'json',
        'prometheus',
        ...DEPTH_NAMES,
      ]),
    )
    .option('--force', 'replace an existing HTML file')
    .addOption(
      new Option('--watch', 'refresh a live table; in a pipe, print blocks of text or NDJSON').conflicts([
        'html',
        'prometheus',
        ...DEPTH_NAMES,
      ]),
    )
    .option('--interval <time>', 'time between samples (default 2 s)', parseInterval)
    .option('--count <n>', 'number of samples, then exit', parseNumber)
    .addOption(
      new Option(
        '--fail-on <limit>',
        'exit with status 1 if a category exceeds a size or share, such as unattributed=10% (repeatable)',
      )
        .argParser(parseThreshold)
        .conflicts('watch'),
    )
    .option('--strict', 'exit with status 5 if the answer is incomplete');
}

type MemoryOptions = OptionsOf<typeof declareMemory> & { readonly as?: FigureFormat };

/** Registers `kdump-mem memory`, which prints the memory breakdown of a machine. */
export function registerMemory(program: Command): void {
  declareMemory(program)
    .addHelpText('after', EXAMPLES)
    .action(async (options: MemoryOptions) => {
      if (options.unattributed || options.unreachable) {
        const pass = await import('./memory-pass.js');
        await (options.unattributed ? pass.showUnattributed : pass.showUnreachable)(options);
        return;
      }
      const [ask, origin, figures, files, json, text, metrics] = await Promise.all([
        import('../../account/memory/memory.js'),
        import('../../walk/machine/origin.js'),
        import('../../account/memory/figures.js'),
        import('../../account/memory/files.js'),
        import('../../answers/memory/json.js'),
        import('../../answers/memory/text.js'),
        import('../../answers/memory/prometheus.js'),
      ]);
      const { limit = 20, verbose } = options;
      const depth = requestedDepth(options);
      const depthText = await depth?.text();
      const page = options.html === undefined ? undefined : await import('./page.js');
      checkPage(options);
      const { cgroup, as } = options;
      if (cgroup !== undefined && depth?.name !== 'files') throw new UsageError('--cgroup needs --files');
      const figured = (answer: MemoryAnswer): MemoryAnswer => ({
        ...(cgroup === undefined ? answer : withFiles(answer)),
        ...(as === undefined ? {} : { figures: figures.formatFigures(answer, as) }),
        ...(cgroup === undefined || !answer.files
          ? {}
          : { files: files.filesIn(answer.files, cgroup), inCgroup: cgroup }),
      });
      const toText = (answer: MemoryAnswer, width: number | null): string => {
        if (options.prometheus) return metrics.memoryMetrics(answer);
        const tree = { verbose, width, source: sourceWords(options) };
        if (!depth || !depthText) return text.memoryText(answer, tree);
        refuseWithout(depth, answer);
        const deeper = depthText(answer, { limit, width });
        return depth.withTree ? [text.memoryText(answer, tree), deeper].join('\n\n') : deeper;
      };
      const doing = 'scanning page frames';
      const toPage = (answer: MemoryAnswer) => page?.memoryPage(answer, options);
      const words = { toJson: json.memoryJson, toText, toPage };
      const progress = new Progress();
      (await import('./watch.js')).checkWatch(options);
      // A live table shows its own progress.
      const live = await liveSampler(options, depth, options.watch ? () => undefined : progress.of(doing));
      if (live && options.watch) {
        const { watchMemory } = await import('./watch.js');
        await watchMemory(live, options);
        return;
      }
      if (live) {
        let answer: MemoryAnswer;
        try {
          answer = figured(await live());
        } finally {
          progress.clear();
        }
        present(answer, options, words);
        fail(answer, options);
        return;
      }
      let accounted: MemoryAnswer | undefined;
      await answer(options, {
        doing,
        ask: (kernel, show) => {
          accounted = figured(ask.accountMemory(kernel, show, depth?.walks));
          return { ...accounted, origin: origin.kernelOrigin(kernel) };
        },
        ...words,
      });
      if (accounted) fail(accounted, options);
    });
}

/** @throws {HostError} if only open and mapped files are known: fincore does not report cgroups */
function withFiles(answer: MemoryAnswer): MemoryAnswer {
  const [why] = answer.unavailable;
  if (!answer.cachedFiles) return answer;
  throw new HostError('unreadable', `--cgroup: not available without kernel memory (${why?.why})`);
}

/** Prints which limits of --fail-on are exceeded, and sets the exit status. */
function fail({ memory }: MemoryAnswer, { failOn }: MemoryOptions): void {
  if (!failOn) return;
  const { status, lines } = checkThresholds(memory, failOn);
  for (const line of lines) process.stderr.write(`kdump-mem: ${escapeText(line)}\n`);
  if (status !== undefined) process.exitCode = status;
}
