import { statSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { once } from '../../base/util.js';
import { STDIN } from '../../host/text-input.js';
import { SEVERITIES } from '../../records/triage-codes.js';
import { type Found, findDumps } from '../../triage/batch/search.js';
import { parseShard, type Shard } from '../../triage/batch/shard.js';
import { FINDING_CODES } from '../../triage/findings/all.js';
import { didYouMean, nearestNames } from '../../walk/values/place.js';
import type { AnswerOptions } from '../kit/answer.js';
import { decimal, type OptionsOf, sizeFrom, timeWithin } from '../kit/arguments.js';
import { UsageError } from '../kit/failure.js';
import { collectFiles, KERNEL_FILES, usesCrash } from '../kit/kernel-source.js';
import { MIN_WORKER_BYTES } from './jobs.js';

/** Options of triage for many dumps. */
export type ManyTriageOptions = OptionsOf<typeof addManyOptions>;

const parseTimeout = timeWithin(1, 7 * 86_400, '1 second to 7 days');

export function addManyOptions(command: Command) {
  return command
    .option('--ndjson', 'print one JSON line per dump or log, and a summary line at the end')
    .option('--similar', 'group dumps or logs by the problem they share')
    .option(
      '--jobs <n>',
      'several dumps: number of workers (default: as many as CPUs and memory allow)',
      parseWhole(1, 4096),
    )
    .option('--timeout <time>', 'several dumps: time limit for each (default: 600 s)', parseTimeout)
    .option(
      '--worker-memory <size>',
      'several dumps: memory limit of each worker, such as 4G',
      sizeFrom(MIN_WORKER_BYTES, 'at least 128M'),
    )
    .option('--output <file>', 'with --ndjson: write to this file, and continue an earlier run')
    .option('--resume <file>', 'several dumps: reuse lines of an earlier run (repeatable)', collectFiles)
    .option('--symbols-dir <dir>', 'several dumps: folder with vmlinux or System.map files for dumps without symbols')
    .option('--retry', 'with --output or --resume: read unreadable dumps again')
    .addOption(
      new Option(
        '--beside',
        'write kdump-mem.txt, .html, .json and .extract beside each dump that has none, for a service',
      ).conflicts(['json', 'html', 'verbose', 'brief', 'similar', 'output', 'resume', 'live', 'engine']),
    )
    .option('--anonymize', 'with --beside: anonymize extracts (see extract)')
    .option('--keep <n>', 'with --beside: number of extracts to keep, the newest (default: all)', parseWhole(0, 1e6))
    .option('--keep-bytes <size>', 'with --beside: size of extracts to keep, such as 1G', sizeFrom(0, 'a size'))
    .option(
      '--settle <time>',
      'with --beside: time to wait for dumps that are being written (default: none)',
      parseTimeout,
    )
    .option('--notify <program>', 'with --beside: program to run for each new answer, with its text on stdin')
    .option('--shard <i/n>', 'several dumps: read one part of them, such as 0/8; or slurm, kubernetes/N', shardOf);
}

const OF_MANY = [
  'ndjson',
  'similar',
  'jobs',
  'timeout',
  'workerMemory',
  'resume',
  'shard',
  'symbolsDir',
  'beside',
] as const;
const OF_BESIDE = ['anonymize', 'keep', 'keepBytes', 'settle', 'notify'] as const;
/** Options that apply only to one kernel or one dump. */
const OF_ONE = ['live', 'json', ...KERNEL_FILES, 'verbose', 'html'] as const;

/**
 * Returns a search for the dumps to read in worker processes; undefined: a single dump, read in this process.
 * The parts of a split dump count as one. No input is ignored. The result searches only once, except for answers
 * beside dumps.
 *
 * @param words arguments that are not options
 * @throws {UsageError}
 */
export function manyOptions(
  options: ManyTriageOptions & AnswerOptions & { readonly verbose?: true; readonly html?: string },
  words: readonly string[],
): (() => Found) | undefined {
  const { vmcore, output, resume, retry, ndjson, similar, symbolsDir } = options;
  const option = OF_MANY.find((name) => options[name] !== undefined);
  if (output !== undefined && !ndjson) throw new UsageError('--output needs --ndjson');
  const lacking = OF_BESIDE.find((name) => options[name] !== undefined && !options.beside);
  if (lacking !== undefined) throw new UsageError(`${optionOf(lacking)} needs --beside`);
  if (retry && output === undefined && resume === undefined) throw new UsageError('--retry needs --output or --resume');
  const given = OF_ONE.find((name) => options[name] !== undefined);
  const crash = usesCrash(options);
  const find = () => findDumps(vmcore ?? [], true);
  const search = options.beside ? find : once(find);
  if (option === undefined && (given !== undefined || crash || !leadsToMany(words, search))) return undefined;
  if (given !== undefined && option !== undefined)
    throw new UsageError(`${optionOf(option)} cannot be combined with ${optionOf(given)}`);
  if (crash) throw new UsageError('several dumps are read without crash: omit --engine');
  if (ndjson && similar)
    throw new UsageError('--similar cannot be combined with --ndjson, whose lines contain the fingerprint');
  if (vmcore === undefined) throw new UsageError('no input: name dumps, or folders that contain dumps');
  if (vmcore.includes(STDIN)) throw new UsageError('standard input must be the only input: use --json');
  if ([...vmcore, ...(resume ?? []), output].includes('')) throw new UsageError('empty file name');
  if (symbolsDir !== undefined && !isFolder(symbolsDir))
    throw new UsageError(`--symbols-dir: ${symbolsDir} is not a folder`);
  return search;
}

/**
 * Whether the inputs are several dumps. The parts of one dump are not, and neither is a directory with a
 * single dump.
 */
function leadsToMany(words: readonly string[], search: () => Found): boolean {
  if (words.length <= 1 && !words.some(isFolder)) return false;
  const { dumps, unlisted } = search();
  return dumps.length > 1 || (dumps.length > 0 && unlisted.length > 0);
}

function isFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  } catch {
    // A component of the path is not a directory, or not searchable.
    return false;
  }
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

function shardOf(text: string): Shard {
  const shard = parseShard(text, process.env);
  if (typeof shard === 'string') throw new InvalidArgumentError(shard);
  return shard;
}

/** Parses severities and codes of findings, separated by commas or in repeated options. */
export function parseFailOn(text: string, before: readonly string[] = []): readonly string[] {
  const words = text.split(',').map((word) => word.trim());
  for (const word of words) {
    if (KNOWN.includes(word) || OF_RULES.test(word)) continue;
    const near = didYouMean(nearestNames(word, KNOWN)).replace('; did', ' Did');
    throw new InvalidArgumentError(`It takes ${SEVERITIES.join(', ')} or the code of a finding.${near}`);
  }
  return [...before, ...words];
}

const KNOWN: readonly string[] = [...SEVERITIES, ...FINDING_CODES];
const OF_RULES = /^[^/]+\/./;

/**
 * Checks the codes of --fail-on: one that no rule has would never fail.
 *
 * @throws {UsageError} for a rule code that `--rules` does not define
 */
export async function checkFailOn(words: readonly string[] | undefined, rules: string | undefined): Promise<void> {
  const own = (words ?? []).filter((word) => OF_RULES.test(word));
  if (own.length === 0) return;
  if (rules === undefined) throw new UsageError(`--fail-on ${own[0]} needs --rules FILE`);
  const { ruleCodes } = await import('./rules.js');
  const known = await ruleCodes(rules);
  const lost = own.find((word) => !known.includes(word));
  if (lost !== undefined) throw new UsageError(`no rule in ${rules} has the code ${lost} of --fail-on`);
}
