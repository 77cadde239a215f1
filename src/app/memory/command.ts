import { type Command, Option } from 'commander';
import type { MemoryAnswer } from '../../account/memory/answer.js';
import type { Familiar } from '../../account/memory/familiar-figures.js';
import { type AnswerOptions, answer, tell } from '../kit/answer.js';
import { parseInterval, parseNumber } from '../kit/arguments.js';
import { addFromOption } from '../kit/from-argument.js';
import { checkPage, type PageOptions } from '../kit/html-page.js';
import { addSourceOptions, sourceWords } from '../kit/kernel-source.js';
import { LIVE_SOURCES, type LiveSource } from '../kit/live-sources.js';
import { Progress } from '../kit/terminal.js';
import { addDepthOptions, DEPTH_NAMES, depthAsked } from './depths.js';
import { liveLook, refuseWithout } from './source.js';
import type { WatchOptions } from './watch.js';

interface MemoryOptions extends AnswerOptions, PageOptions, WatchOptions {
  readonly source?: LiveSource;
  readonly as?: Familiar;
  readonly limit?: number;
  readonly verbose?: true;
  readonly prometheus?: true;
}

const EXAMPLES = `
Examples:
  kdump-mem memory --vmcore vmcore              where the memory is: every page frame in one category
  kdump-mem memory --vmcore vmcore --caches     slab caches, the largest first
  kdump-mem memory --vmcore vmcore --vmalloc    who asked for vmalloc’s memory
  kdump-mem memory --vmcore vmcore --files      whose the page cache and shared memory are
  kdump-mem memory --vmcore vmcore --cgroups    whom memory is charged to, dead cgroups among them
  kdump-mem memory --vmcore vmcore --nodes      zones, with free blocks by order
  kdump-mem memory --vmcore vmcore --all        all of that in one answer; with --json too
  kdump-mem memory --live -v                    this machine, beside the kernel’s own counters
  kdump-mem memory --live --as free             how the figures of free(1) come from these rows
  kdump-mem memory --live --watch               again and again, with what changed
  kdump-mem memory --live --prometheus          the same as metrics
  kdump-mem memory --from host.tar.gz           that of a host when its snapshot was taken
  kdump-mem memory --vmcore vmcore --html memory.html
      a page with a treemap: one file, without scripts, that needs nothing from elsewhere

Rows of one level sum to the row above, to the byte. WHO: the largest owners that are known. KERNEL
COUNTS (-v): the kernel’s own counter of the same. A page that fits two categories is in one by fixed
rules: docs/memory.md. "nothing explains": pages that are given out and that no walk and no flag tells
of, such as those that a driver took from the page allocator.

--live looks at page frames through /proc/kcore (root); where that cannot be had by their flags
(/proc/kpageflags, root), else counters of /proc tell what they can. The first line says which it was, and
why not the one before; --source takes that one or none.

Exit status: 0 answered, 1 the engines differ (verify), 2 wrong usage, 3 the dump or kernel could
not be opened or read, 5 (with --strict) the answer is incomplete.`;

/** `kdump-mem memory`: where the memory of a machine is. */
export function registerMemory(program: Command): void {
  const command = addSourceOptions(program.command('memory'))
    .usage('[options] [dump...]')
    .description('where the memory is: free, applications, kernel, and what nothing explains');
  addFromOption(command, ['source', 'watch']);
  addDepthOptions(command)
    .addOption(
      new Option('--source <source>', 'with --live: take this source or none')
        .choices(LIVE_SOURCES)
        .conflicts('vmcore'),
    )
    .option('--limit <n>', 'list so many at most (20; JSON: all)', parseNumber)
    .option('-v, --verbose', 'show the kernel’s own counters, and how each row is known')
    .option('--json', 'print the answer as JSON')
    .addOption(
      new Option('--prometheus', 'print metrics, for node_exporter’s textfile collector').conflicts(
        ['json', ...DEPTH_NAMES],
      ),
    )
    .addOption(
      new Option(
        '--html <file>',
        'write a page for a browser, with a treemap; - prints it',
      ).conflicts(['json', 'prometheus', ...DEPTH_NAMES]),
    )
    .option('--force', 'replace the page if it exists')
    .addOption(
      new Option(
        '--watch',
        'look again and again: a live table, in a pipe blocks or NDJSON',
      ).conflicts(['html', 'prometheus', ...DEPTH_NAMES]),
    )
    .option('--interval <time>', 'time between two looks (2)', parseInterval)
    .option('--count <n>', 'look so often, then end', parseNumber)
    .option('--strict', 'exit with status 5 if anything could not be read')
    .addHelpText('after', EXAMPLES)
    .action(async (options: MemoryOptions) => {
      const [ask, taken, familiar, json, text, metrics] = await Promise.all([
        import('../../account/memory/memory.js'),
        import('../../walk/machine/origin.js'),
        import('../../account/memory/familiar.js'),
        import('../../answers/memory/json.js'),
        import('../../answers/memory/text.js'),
        import('../../answers/memory/prometheus.js'),
      ]);
      const { limit = 20, verbose } = options;
      const depth = depthAsked(options);
      const depthText = await depth?.text();
      const page = options.html === undefined ? undefined : await import('./page.js');
      checkPage(options);
      const figured = (found: MemoryAnswer): MemoryAnswer =>
        options.as === undefined
          ? found
          : { ...found, familiar: familiar.familiarFigures(found, options.as) };
      const toText = (found: MemoryAnswer, width: number | null): string => {
        if (page) return page.writeMemoryPage(found, options);
        if (options.prometheus) return metrics.memoryMetrics(found);
        const tree = { verbose, width, source: sourceWords(options) };
        if (!depth || !depthText) return text.memoryText(found, tree);
        refuseWithout(depth, found);
        const deeper = depthText(found, { limit, width });
        return depth.withTree ? [text.memoryText(found, tree), deeper].join('\n\n') : deeper;
      };
      const doing = 'looking at page frames';
      const words = { toJson: json.memoryJson, toText };
      const progress = new Progress();
      (await import('./watch.js')).checkWatch(options);
      // What is redrawn in place shows what is done itself.
      const live = await liveLook(
        options,
        depth,
        options.watch ? () => undefined : progress.of(doing),
      );
      if (live && options.watch) {
        const { watchMemory } = await import('./watch.js');
        await watchMemory(live, options);
        return;
      }
      if (live) {
        let found: MemoryAnswer;
        try {
          found = figured(await live());
        } finally {
          progress.clear();
        }
        tell(found, options, words);
        return;
      }
      await answer(options, {
        doing,
        ask: (kernel, show) => ({
          ...figured(ask.accountMemory(kernel, show, depth?.asks)),
          origin: taken.kernelOrigin(kernel),
        }),
        ...words,
      });
    });
}
