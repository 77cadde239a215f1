import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  CONDITION_FORMS,
  type Condition,
  parseConditions,
} from '../../capture/write/when/conditions.js';
import { parseNumber, parseShortInterval, timeWithin } from '../kit/arguments.js';
import { UsageError } from '../kit/failure.js';

/** What `snapshot --when` is asked. */
export interface WhenOptions {
  readonly when?: readonly Condition[];
  /** The folder that snapshots go into. */
  readonly into?: string;
  readonly keep?: number;
  /** Seconds. */
  readonly apart?: number;
  /** Seconds. */
  readonly every?: number;
  readonly count?: number;
}

/** What means nothing without --when. */
const OF_WHEN = ['into', 'keep', 'apart', 'every', 'count'] as const;

export function addWhenOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--when <conditions>',
        `run as a service and take a snapshot when a condition holds: ${CONDITION_FORMS}`,
      )
        .argParser(parseWhen)
        .conflicts(['output', 'toStdout', 'verify', 'script', 'force']),
    )
    .option('--into <folder>', 'with --when: directory for snapshots')
    .option('--keep <n>', 'with --when: number of snapshots to keep (default 8)', parseSome)
    .option(
      '--apart <time>',
      'with --when: minimum time between snapshots (default 600)',
      parseApart,
    )
    .option('--every <time>', 'with --when: sample interval (default 1)', parseShortInterval)
    .option('--count <n>', 'with --when: number of snapshots, then exit', parseSome);
}

/** @throws {UsageError} for what means nothing together */
export function checkWhen(options: WhenOptions): void {
  const { when, into } = options;
  if (when === undefined) {
    const alone = OF_WHEN.find((name) => options[name] !== undefined);
    if (alone !== undefined) throw new UsageError(`--${alone} requires --when`);
  } else if (into === undefined || into === '')
    throw new UsageError('no directory given: use --when … --into FOLDER');
}

const parseApart = timeWithin(1, 365 * 86_400, '1 second to 365 days');

function parseWhen(text: string): readonly Condition[] {
  const conditions = parseConditions(text);
  if (!conditions)
    throw new InvalidArgumentError(`Conditions are ${CONDITION_FORMS}, each at most once.`);
  return conditions;
}

function parseSome(text: string): number {
  const number = parseNumber(text);
  if (number < 1) throw new InvalidArgumentError('It must be 1 or more.');
  return number;
}
