import { type Command, InvalidArgumentError, Option } from 'commander';
import { CONDITION_FORMS, type Condition, parseConditions } from '../../capture/write/when/trigger.js';
import { PSS_CHOICES } from '../../records/pss.js';
import { OPTIONAL_PARTS, type OptionalPart } from '../../records/snapshot-parts.js';
import { type OptionsOf, parseNumber, parseShortInterval, timeWithin } from '../kit/arguments.js';
import { UsageError } from '../kit/failure.js';

/** Options of `kdump-mem snapshot`. */
export type SnapshotCommandOptions = OptionsOf<typeof addSnapshotOptions> & WhenOptions;

type WhenOptions = OptionsOf<typeof addWhenOptions>;

const parseTimeout = timeWithin(0, 3600, '0 to 3600 seconds');

export function addSnapshotOptions(command: Command) {
  return command
    .addOption(new Option('-o, --output <file>', 'archive to write (tar.gz, mode 600); - is stdout'))
    .addOption(new Option('--to-stdout', 'write the archive to stdout, for ssh and kubectl exec').conflicts('output'))
    .addOption(
      new Option(
        '--pss <which>',
        'read PSS and USS of processes up to 512 MiB (small, the default), or of all: a process can map no memory while it is read',
      ).choices(PSS_CHOICES),
    )
    .addOption(
      new Option('--verify <file>', 'check an archive against its manifest').conflicts([
        'output',
        'toStdout',
        'script',
        'with',
        'pss',
        'anonymize',
        'force',
        'tmpfs',
        'strict',
      ]),
    )
    .addOption(
      new Option('--script', 'print a shell script that takes the same snapshot, for hosts without Node').conflicts([
        'output',
        'toStdout',
        'with',
        'pss',
        'anonymize',
        'force',
        'tmpfs',
        'json',
        'strict',
      ]),
    )
    .option('--interval <time>', 'time between the two samples', parseShortInterval, 1)
    .option('--timeout <time>', 'stop collecting after this time', parseTimeout, 30)
    .option('--with <parts>', 'optional parts, separated by commas', parseParts)
    .option('--anonymize', 'replace addresses and names consistently')
    .option('--force', 'overwrite an existing file')
    .option('--tmpfs', 'allow an output file in memory (tmpfs)')
    .option('--json', 'print the result as JSON')
    .option('--strict', 'exit with status 5 if the snapshot is incomplete');
}

/** Parts with personal data. */
const WITH_NAMES: readonly OptionalPart[] = ['smaps', 'arguments', 'unix-paths'];

/** Parts that this version cannot capture, with an alternative. */
const NOT_TAKEN: Readonly<Partial<Record<OptionalPart, string>>> = {
  kpageflags: '--with kpageflags is unsupported. Run kdump-mem memory --live on the host',
  perf: '--with perf is unsupported. Run kdump-mem procs --live --pid PID --stacks on the host',
};

/** Parses `--with smaps,stacks`. */
function parseParts(text: string, before: readonly OptionalPart[] = []): OptionalPart[] {
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

/** Options that require --when. */
const OF_WHEN = ['into', 'keep', 'apart', 'every', 'count'] as const;

export function addWhenOptions(command: Command) {
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
