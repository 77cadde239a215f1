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
        'refresh a live table of the processes that grow, with rates and bounds; in a pipe, print blocks of text',
      ).conflicts(['json', ...OF_LISTS]),
    )
    .option('--interval <time>', 'time between samples (default 2 s)', parseShortInterval)
    .option('--count <n>', 'number of samples, then exit', parseNumber)
    .addOption(
      new Option('--ndjson', 'print one line of JSON per process and sample').conflicts([
        'json',
        'prometheus',
        'limit',
        ...OF_LISTS,
      ]),
    )
    .addOption(
      new Option(
        '--from-samples <file>',
        'show growth from lines that --ndjson printed (repeat for each file)',
      )
        .argParser(collectFiles)
        .conflicts(['live', 'watch', 'ndjson', 'pid', 'container', ...OF_LISTS]),
    )
    .addOption(
      new Option(
        '--prometheus [file]',
        'print metrics, or write them to a file for the textfile collector; with --watch on every sample',
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
  if (!watch && interval !== undefined) throw new UsageError('--interval requires --watch');
  if (!watch && count !== undefined) throw new UsageError('--count requires --watch');
  if (count === 0) throw new UsageError('--count must be 1 or more');
  const asked = watch || ndjson || prometheus !== undefined || fromSamples !== undefined;
  if (!asked) return false;
  if (fromSamples !== undefined && options.vmcore !== undefined)
    throw new UsageError(
      '--from-samples cannot be combined with a dump',
      'Repeat --from-samples before each file of samples.',
    );
  const name = watch ? '--watch' : ndjson ? '--ndjson' : '--prometheus';
  if (!live && from === undefined && fromSamples === undefined)
    throw new UsageError(`${name} requires --live: a dump does not change`);
  if (engine !== 'auto') throw new UsageError(`${name} reads /proc and has no --engine`);
  if (watch && prometheus === true)
    throw new UsageError('--watch requires a file name: --prometheus FILE');
  return true;
}
