import { type Command, InvalidArgumentError, Option } from 'commander';
import { CONDITION_FORMS, type Condition, parseConditions } from '../../capture/write/when/trigger.js';
import type { PssChoice } from '../../records/pss.js';
import { OPTIONAL_PARTS, type OptionalPart } from '../../records/snapshot-parts.js';
import { parseNumber, parseShortInterval, timeWithin } from '../kit/arguments.js';
import { UsageError } from '../kit/failure.js';

/** Options of `kdump-mem snapshot`. */
export interface SnapshotCommandOptions extends WhenOptions {
  readonly output?: string;
  readonly toStdout?: true;
  readonly verify?: string;
  readonly script?: true;
  /** Seconds. */
  readonly interval: number;
  /** Seconds. */
  readonly timeout: number;
  readonly with?: readonly OptionalPart[];
  readonly anonymize?: true;
  readonly pss?: PssChoice;
  readonly force?: true;
  readonly tmpfs?: true;
  readonly json?: true;
  readonly strict?: true;
}

/** Parts with personal data. */
const WITH_NAMES: readonly OptionalPart[] = ['smaps', 'arguments', 'unix-paths'];

/** Parts that this version cannot capture, with an alternative. */
const NOT_TAKEN: Readonly<Partial<Record<OptionalPart, string>>> = {
  kpageflags: '--with kpageflags is unsupported. Run kdump-mem memory --live on the host',
  perf: '--with perf is unsupported. Run kdump-mem procs --live --pid PID --stacks on the host',
};

/** Parses `--with smaps,stacks`. */
export function parseParts(text: string, before: readonly OptionalPart[] = []): OptionalPart[] {
  const parts = text.split(',').map((word) => word.trim());
  for (const part of parts)
    if (!isPart(part)) throw new InvalidArgumentError(`Parts are ${OPTIONAL_PARTS.join(', ')}.`);
  return [...before, ...parts.filter(isPart)];
}

function isPart(word: string): word is OptionalPart {
  return OPTIONAL_PARTS.some((part) => part === word);
}

/** @throws {UsageError} for parts that cannot be combined */
export function refuseParts(parts: readonly OptionalPart[], anonymize: boolean): void {
  for (const part of parts) {
    const why = NOT_TAKEN[part];
    if (why !== undefined) throw new UsageError(why);
    if (anonymize && WITH_NAMES.includes(part))
      throw new UsageError(`--with ${part} cannot be combined with --anonymize: ${part} may contain names`);
  }
}

/** Options of `snapshot --when`. */
interface WhenOptions {
  readonly when?: readonly Condition[];
  /** Directory for the snapshots. */
  readonly into?: string;
  readonly keep?: number;
  /** Seconds. */
  readonly apart?: number;
  /** Seconds. */
  readonly every?: number;
  readonly count?: number;
}

/** Options that require --when. */
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
    .option('--apart <time>', 'with --when: minimum time between snapshots (default 600)', parseApart)
    .option('--every <time>', 'with --when: sample interval (default 1)', parseShortInterval)
    .option('--count <n>', 'with --when: number of snapshots, then exit', parseSome);
}

/** @throws {UsageError} for options that cannot be combined */
export function checkWhen(options: WhenOptions): void {
  const { when, into } = options;
  if (when === undefined) {
    const alone = OF_WHEN.find((name) => options[name] !== undefined);
    if (alone !== undefined) throw new UsageError(`--${alone} requires --when`);
  } else if (into === undefined || into === '') throw new UsageError('no directory given: use --when … --into FOLDER');
}

const parseApart = timeWithin(1, 365 * 86_400, '1 second to 365 days');

function parseWhen(text: string): readonly Condition[] {
  const conditions = parseConditions(text);
  if (!conditions) throw new InvalidArgumentError(`Conditions are ${CONDITION_FORMS}, each at most once.`);
  return conditions;
}

function parseSome(text: string): number {
  const number = parseNumber(text);
  if (number < 1) throw new InvalidArgumentError('It must be 1 or more.');
  return number;
}
