import { type Command, InvalidArgumentError } from 'commander';
import { parseShard, type Shard } from '../many/shard.js';
import type { AnswerOptions } from './answer.js';
import { UsageError } from './failure.js';
import { collectFiles } from './kernel-source.js';
import { decimal } from './number-argument.js';
import { parseSize } from './size-argument.js';
import type { ManyOptions } from './triage-many.js';

/** What triage of many dumps is asked. */
export interface ManyTriageOptions extends AnswerOptions, ManyOptions {
  readonly ndjson?: true;
}

/** Node itself needs some 60 MiB. */
const LEAST_MEMORY = 128 * 2 ** 20;

export function addManyOptions(command: Command): Command {
  return command
    .option('--ndjson', 'many dumps: a line of JSON for each, and one in the end')
    .option('--jobs <n>', 'with --ndjson: dumps at once (default: CPUs)', parseWhole(1, 4096))
    .option(
      '--timeout <seconds>',
      'with --ndjson: for each dump (default: 600)',
      parseWhole(1, 7 * 86_400),
    )
    .option('--worker-memory <size>', 'with --ndjson: for each dump, such as 4G', parseMemory)
    .option('--output <file>', 'with --ndjson: write there, and go on with what is there')
    .option(
      '--resume <file>',
      'with --ndjson: lines of an earlier run; again for more',
      collectFiles,
    )
    .option('--retry', 'with --output or --resume: look again at what could not be read')
    .option(
      '--shard <i/n>',
      'with --ndjson: a part of the dumps; also slurm, kubernetes/N',
      shardOf,
    );
}

const OF_MANY = ['jobs', 'timeout', 'workerMemory', 'output', 'resume', 'retry', 'shard'] as const;
/** What is of one kernel or one dump. */
const OF_ONE = ['live', 'json', 'vmlinux', 'symbols', 'btf', 'crash', 'map'] as const;

/**
 * Nothing that was given is passed over.
 *
 * @throws {UsageError}
 */
export function checkManyOptions(options: ManyTriageOptions): void {
  const { ndjson, engine, vmcore, output, resume, retry } = options;
  if (!ndjson) {
    const idle = OF_MANY.find((name) => options[name] !== undefined);
    if (idle !== undefined) throw new UsageError(`${optionOf(idle)} goes with --ndjson`);
    return;
  }
  const one = OF_ONE.find((name) => options[name] !== undefined);
  if (one !== undefined)
    throw new UsageError(`--ndjson is of many dumps: it has no ${optionOf(one)}`);
  if (engine === 'crash' || engine === 'verify')
    throw new UsageError('--ndjson reads dumps itself: leave --engine out');
  if (vmcore === undefined) throw new UsageError('say what to read: dumps, or folders with dumps');
  if ([...vmcore, ...(resume ?? []), output].includes(''))
    throw new UsageError('a file’s name is empty');
  if (retry && output === undefined && resume === undefined)
    throw new UsageError('--retry goes with --output or --resume');
}

function optionOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function parseWhole(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = decimal(text);
    if (!(number >= least && number <= most))
      throw new InvalidArgumentError(`It takes a whole number from ${least} to ${most}.`);
    return number;
  };
}

function parseMemory(text: string): number {
  const bytes = parseSize(text);
  if (bytes < LEAST_MEMORY) throw new InvalidArgumentError('It must be 128M at least.');
  return bytes;
}

function shardOf(text: string): Shard {
  const shard = parseShard(text, process.env);
  if (typeof shard === 'string') throw new InvalidArgumentError(shard);
  return shard;
}
