import { type Command, Option } from 'commander';
import { MAX_KEPT } from '../../base/store.js';
import { PSS_CHOICES } from '../../records/pss.js';
import {
  type OptionsOf,
  parseListen,
  parseNumber,
  parseShortInterval,
  parseSize,
  parseTime,
  parseUpTo,
} from '../kit/arguments.js';
import { UsageError } from '../kit/failure.js';
import { LIVE_SOURCES } from '../kit/from-argument.js';

export type WatchOptions = OptionsOf<typeof addWatchOptions>;

/** Minimum size for rotation: no sample's line is longer, so that each file holds at least some. */
const MIN_ROTATE = 2 ** 20;

export function addWatchOptions(command: Command) {
  return command
    .option('--interval <time>', 'time between samples, in seconds or as 5m', parseShortInterval, 60)
    .option(
      '--for <time>',
      'how long to record, such as 24h or 7d (default: until Ctrl-C); 0: only query the store',
      parseTime,
    )
    .option('--store <file>', 'file to append samples to')
    .addOption(
      new Option(
        '--ring <file>',
        'record memory and its holders every 5 s into a file of 8 MiB, for triage after a crash',
      ).conflicts(['store', 'interval', 'source', 'pss', 'json', 'html', 'prometheus', 'listen', 'strict']),
    )
    .option('--rotate <size>', 'start a new file after this size', parseSize, 64 * 2 ** 20)
    .option('--keep <n>', 'number of older files to keep', parseUpTo(MAX_KEPT), 4)
    .addOption(
      new Option('--source <source>', 'source of the memory breakdown').choices(LIVE_SOURCES).default('counters'),
    )
    .addOption(
      new Option(
        '--pss [which]',
        'divide shared memory among processes (slower; default: RSS); all: also those of more than 512 MiB',
      )
        .choices(PSS_CHOICES)
        .preset('small'),
    )
    .option('--limit <n>', 'maximum number of categories and of processes', parseNumber, 20)
    .option('--json', 'print the answer as JSON')
    .addOption(
      new Option('--html <file>', 'write an HTML page with the categories over time; - prints it').conflicts('json'),
    )
    .option('--force', 'replace the page if it exists')
    .addOption(
      new Option(
        '--prometheus [file]',
        'write metrics for node_exporter’s textfile collector at each sample; with --for 0, print them',
      ),
    )
    .addOption(
      new Option('--listen <address>', 'serve metrics over HTTP, such as 127.0.0.1:9701').argParser(parseListen),
    )
    .option('--strict', 'exit with status 5 if the answer is inconclusive or incomplete');
}

/** @throws {UsageError} for options that do not apply, or cannot be combined */
export function checkWatchOptions(options: WatchOptions): void {
  const { store, rotate, keep, prometheus, html, listen, json } = options;
  if (options.ring !== undefined) {
    if (options.ring === '' || options.ring === '-') throw new UsageError('--ring requires a file');
    if (options.for === 0) throw new UsageError('--ring records: read it with kdump-mem triage --ring FILE');
    return;
  }
  if (store === '-') throw new UsageError('--store requires a file: stdout is for the answer');
  if (store === '' || prometheus === '' || html === '') throw new UsageError('a file’s name is empty');
  if (rotate < MIN_ROTATE) throw new UsageError('--rotate must be 1M or more');
  if (keep === 0) throw new UsageError('--keep must be 1 or more');
  if (options.for !== 0) {
    if (prometheus === true) throw new UsageError('--prometheus requires a file, or --for 0 with a store');
    if (options.for !== undefined && options.for < options.interval)
      throw new UsageError('--for is shorter than --interval');
    return;
  }
  if (store === undefined) throw new UsageError('--for 0 queries a store: name it with --store FILE');
  if (listen) throw new UsageError('--listen cannot be combined with --for 0');
  if (prometheus === true && (json || html !== undefined))
    throw new UsageError('--prometheus, --json and --html exclude each other');
}
