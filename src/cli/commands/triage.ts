import { type Command, Option } from 'commander';
import { type Finding, SEVERITIES, type Severity } from '../../triage/finding.js';
import { answer } from '../answer.js';
import { EXIT } from '../failure.js';
import { addSourceOptions, sourceWords } from '../kernel-source.js';
import { addManyOptions, type ManyTriageOptions, manyAsked } from '../triage-options.js';
import { rulesStep } from '../triage-rules.js';

type TriageOptions = ManyTriageOptions & {
  readonly asWorker?: true;
  readonly failOn?: Severity;
  readonly verbose?: true;
  readonly rules?: string;
};

const EXAMPLES = `
Examples:
  kdump-mem triage --vmcore vmcore                     what is the matter, the most severe first
  kdump-mem triage --vmcore vmcore -v                  with the lines of the log behind notes, and what
                                                       tells more of each
  kdump-mem triage --vmcore vmcore --fail-on critical  for scripts: status 1 if there is anything such
  kdump-mem triage --vmcore vmcore --rules fleet.yaml  with what your team knows of its machines
  kdump-mem triage /var/crash                          a table, if there is more than one dump
  kdump-mem triage /var/crash --similar                which of them have the same trouble
  kdump-mem triage /var/crash --ndjson --output all.ndjson
                                                       a line for each dump below, each looked at in a
                                                       process of its own; killed, it is gone on with
  kdump-mem triage /nfs/crash --ndjson --shard 0/8     the first of eight that share the work

It reads the log (panics, faults, lockups, hung tasks, kills of the OOM killer, failed allocations, warnings,
errors of disks and of the hardware), the panic, where all memory is, and who lets data wait. Docs:
docs/triage.md.

Exit status: 0 answered, 1 with --fail-on: found, 2 wrong usage, 3 the dump or kernel could not be opened or
read (with --ndjson: some of them), 5 (with --strict) the answer is incomplete.`;

/** `kdump-mem triage`: what is the matter with a machine. */
export function registerTriage(program: Command): void {
  const triage = addSourceOptions(program.command('triage'))
    .usage('[options] [dump...]')
    .description(
      'what is the matter: findings of a dump or the running kernel, the most severe first',
    )
    .addOption(
      new Option(
        '--fail-on <severity>',
        'exit with status 1 if anything so severe was found',
      ).choices(SEVERITIES),
    )
    .addOption(
      new Option(
        '--rules <file>',
        'rules of your own: what to find, and what to silence (docs/rules.md)',
      ),
    )
    .option('-v, --verbose', 'show all lines of the log behind findings, and what tells more')
    .option('--json', 'print the answer as JSON')
    .option('--strict', 'exit with status 5 if anything could not be read')
    .addOption(new Option('--as-worker').hideHelp())
    .addHelpText('after', EXAMPLES)
    .action(answerTriage);
  addManyOptions(triage);
}

async function answerTriage(options: TriageOptions, { args }: Command): Promise<void> {
  if (options.asWorker) return (await import('../triage-line.js')).tellOne(options);
  const many = manyAsked(options, args);
  if (many) {
    // What is wrong with the rules is wrong with each dump's.
    if (options.rules !== undefined) await rulesStep(options.rules);
    const { tellMany } = await import('../triage-many.js');
    return tellMany(many, options, asSevere(options.failOn));
  }
  const [{ triage }, { triageJson }, { triageText }] = await Promise.all([
    import('../../triage/triage.js'),
    import('../../report/triage/json.js'),
    import('../../report/triage/text.js'),
  ]);
  const rules = options.rules === undefined ? undefined : await rulesStep(options.rules);
  let findings: readonly Finding[] = [];
  await answer(options, {
    doing: 'looking at page frames',
    ask: (kernel, progress) => {
      const told = triage(kernel, progress);
      const found = rules ? rules(kernel, told) : told;
      findings = found.findings;
      return found;
    },
    toJson: triageJson,
    toText: (found, width) =>
      triageText(found, { width, verbose: options.verbose, source: sourceWords(options) }),
  });
  const severe = asSevere(options.failOn);
  if (findings.some(({ severity }) => severe?.includes(severity))) process.exitCode = EXIT.differs;
}

/** A severity and those above it. */
function asSevere(least: Severity | undefined): readonly Severity[] | null {
  return least === undefined ? null : SEVERITIES.slice(0, SEVERITIES.indexOf(least) + 1);
}
