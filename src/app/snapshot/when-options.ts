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
      new Option('--when <conditions>', `wait, and take one when it is time: ${CONDITION_FORMS}`)
        .argParser(parseWhen)
        .conflicts(['output', 'toStdout', 'verify', 'script', 'force']),
    )
    .option('--into <folder>', 'with --when: the folder for snapshots')
    .option('--keep <n>', 'with --when: keep so many, the newest (8)', parseSome)
    .option('--apart <time>', 'with --when: from one to the next at least (600)', parseApart)
    .option('--every <time>', 'with --when: between two looks (1)', parseShortInterval)
    .option('--count <n>', 'with --when: take so many, then end', parseSome);
}

/** @throws {UsageError} for what means nothing together */
export function checkWhen(options: WhenOptions): void {
  const { when, into } = options;
  if (when === undefined) {
    const alone = OF_WHEN.find((name) => options[name] !== undefined);
    if (alone !== undefined) throw new UsageError(`--${alone} is for --when`);
  } else if (into === undefined || into === '')
    throw new UsageError('say where snapshots go: --when … --into FOLDER');
}

const parseApart = timeWithin(1, 365 * 86_400, '1 second to 365 days');

function parseWhen(text: string): readonly Condition[] {
  const conditions = parseConditions(text);
  if (!conditions)
    throw new InvalidArgumentError(`It takes words such as ${CONDITION_FORMS}, each once.`);
  return conditions;
}

function parseSome(text: string): number {
  const number = parseNumber(text);
  if (number < 1) throw new InvalidArgumentError('It must be 1 or more.');
  return number;
}
