import { type Command, Option } from 'commander';
import type { AnswerOptions } from '../kit/answer.js';
import { parseNumber, parseShortInterval } from '../kit/arguments.js';
import { UsageError } from '../kit/failure.js';
import type { FromOptions } from '../kit/from-argument.js';
import { collectFiles } from '../kit/kernel-source.js';

export interface GrowthOptions {
  readonly watch?: true;
  /** Seconds between the beginnings of two looks. */
  readonly interval?: number;
  readonly count?: number;
  readonly ndjson?: true;
  readonly fromSamples?: readonly string[];
  /** A file; true: stdout. */
  readonly prometheus?: string | true;
}

/** What a list of processes can be asked, and what of growth cannot. */
const OF_LISTS = ['sort', 'by', 'sockets', 'stacks'];

/** Declares what `procs` takes to tell what grows. */
export function addGrowthOptions(command: Command): void {
  command
    .addOption(
      new Option(
        '--watch',
        'look again and again: which processes grow, how fast, how sure; a live table, in a pipe blocks',
      ).conflicts(['json', ...OF_LISTS]),
    )
    .option('--interval <time>', 'time between two looks (2)', parseShortInterval)
    .option('--count <n>', 'look so often, then end', parseNumber)
    .addOption(
      new Option(
        '--ndjson',
        'print a line of JSON for each process and look, to be stored',
      ).conflicts(['json', 'prometheus', 'limit', ...OF_LISTS]),
    )
    .addOption(
      new Option(
        '--from-samples <file>',
        'what grew by lines that --ndjson printed; again for each file',
      )
        .argParser(collectFiles)
        .conflicts(['live', 'watch', 'ndjson', 'pid', 'container', ...OF_LISTS]),
    )
    .addOption(
      new Option(
        '--prometheus [file]',
        'print metrics, or write them for the textfile collector; with --watch again and again',
      ).conflicts(['json', 'limit', ...OF_LISTS]),
    );
}

/**
 * Whether it is asked what grows, and not how much each process holds.
 *
 * @throws {UsageError} for options that mean nothing together
 */
export function asksGrowth(options: AnswerOptions & FromOptions & GrowthOptions): boolean {
  const { watch, interval, count, ndjson, prometheus, live, from, fromSamples, engine } = options;
  if (!watch && interval !== undefined) throw new UsageError('--interval is for --watch');
  if (!watch && count !== undefined) throw new UsageError('--count is for --watch');
  if (count === 0) throw new UsageError('--count takes 1 or more');
  const asked = watch || ndjson || prometheus !== undefined || fromSamples !== undefined;
  if (!asked) return false;
  if (fromSamples !== undefined && options.vmcore !== undefined)
    throw new UsageError(
      '--from-samples and a dump: say one of them',
      'Before each file of samples stands --from-samples.',
    );
  const name = watch ? '--watch' : ndjson ? '--ndjson' : '--prometheus';
  if (!live && from === undefined && fromSamples === undefined)
    throw new UsageError(`${name} is for --live: a dump does not change`);
  if (engine !== 'auto') throw new UsageError(`${name} reads /proc: it has no --engine`);
  if (watch && prometheus === true)
    throw new UsageError('--watch --prometheus takes a file: --prometheus FILE');
  return true;
}
