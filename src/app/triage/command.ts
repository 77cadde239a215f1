import { type Command, Option } from 'commander';
import type { Kernel } from '../../kernel/kernel.js';
import type { BootChoice } from '../../log/boots.js';
import type { TriageDetail } from '../../triage/detail.js';
import { failOn, isFailing } from '../../triage/fail-on.js';
import type { Finding } from '../../triage/finding.js';
import type { TriageAnswer } from '../../triage/triage.js';
import { leavesComplete } from '../../walk/warnings.js';
import { answer } from '../kit/answer.js';
import { EXIT, UsageError } from '../kit/failure.js';
import {
  addBootOption,
  addFromOption,
  checkBoot,
  checkFrom,
  type FromOptions,
} from '../kit/from-argument.js';
import { checkPage, type PageOptions } from '../kit/html-page.js';
import { addSourceOptions, type SourceOptions, sourceWords } from '../kit/kernel-source.js';
import { checkFailOn, parseFailOn } from './fail-on.js';
import { addManyOptions, type ManyTriageOptions, manyAsked } from './options.js';
import { rulesStep, rulesSum } from './rules.js';

type TriageOptions = ManyTriageOptions &
  FromOptions &
  PageOptions & {
    readonly asWorker?: true;
    readonly failOn?: readonly string[];
    readonly verbose?: true;
    readonly rules?: string;
    readonly boot?: BootChoice;
  };

const EXAMPLES = `
Examples:
  kdump-mem triage --vmcore vmcore                     what is the matter, the most severe first
  kdump-mem triage --vmcore vmcore -v                  with the lines of the log behind notes, and what
                                                       tells more of each
  kdump-mem triage --vmcore vmcore --fail-on critical  for scripts: status 1 if there is anything such
  kdump-mem triage --vmcore vmcore --fail-on oom-kill,panic
                                                       the same for findings of these codes
  kdump-mem triage --vmcore vmcore --html crash.html   a page with all of it: one file, without scripts,
                                                       that needs nothing from elsewhere
  kdump-mem triage --vmcore vmcore --rules fleet.yaml  with what your team knows of its machines
  kdump-mem triage dmesg.txt                           a kernel log as text: of dmesg, the journal, syslog,
                                                       a console; also compressed
  journalctl -k -o short-monotonic | kdump-mem triage - the same from standard input
  kdump-mem triage --from host.tar.gz                  a snapshot of a host: by its log and counters
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

/** What is of kernels, or of many dumps. */
const NOT_OF_CAPTURES = [
  ...['rules', 'html', 'force', 'ndjson', 'similar', 'jobs', 'timeout', 'workerMemory'],
  ...['output', 'resume', 'symbolsDir', 'retry', 'shard'],
];

/** `kdump-mem triage`: what is the matter with a machine. */
export function registerTriage(program: Command): void {
  const triage = addSourceOptions(program.command('triage'))
    .usage('[options] [dump...]')
    .description(
      'what is the matter: findings of a dump or the running kernel, the most severe first',
    )
    .addOption(
      new Option(
        '--fail-on <what>',
        'exit with status 1 if anything so severe was found, or such a code; again for more',
      ).argParser(parseFailOn),
    )
    .addOption(
      new Option(
        '--rules <file>',
        'rules of your own: what to find, and what to silence (docs/rules.md)',
      ),
    )
    .option('-v, --verbose', 'show all lines of the log behind findings, and what tells more')
    .option('--json', 'print the answer as JSON')
    .addOption(
      new Option('--html <file>', 'write a page for a browser; - prints it').conflicts('json'),
    )
    .option('--force', 'replace the page if it exists')
    .option('--strict', 'exit with status 5 if anything could not be read')
    .addOption(new Option('--as-worker').hideHelp())
    .addHelpText('after', EXAMPLES)
    .action(answerTriage);
  addBootOption(addFromOption(addManyOptions(triage), NOT_OF_CAPTURES));
}

async function answerTriage(options: TriageOptions, { args }: Command): Promise<void> {
  if (options.asWorker) return (await import('./line.js')).tellOne(options);
  const { from } = options;
  checkFrom(options);
  const { inputsAmong, inputsBeside, inputsFrom } = await import('../kit/log-inputs.js');
  const isOfMany = options.ndjson || options.similar;
  const inputs = await (from !== undefined
    ? inputsFrom(from)
    : isOfMany
      ? undefined
      : inputsAmong(options.vmcore));
  if (inputs) {
    await checkFailOn(options.failOn, options.rules);
    const severe = options.failOn === undefined ? null : failOn(options.failOn);
    if ('logs' in inputs)
      return (await import('./text-log.js')).triageTextLog(inputs, options, severe);
    checkBoot(options);
    if (options.html !== undefined || options.rules !== undefined)
      throw new UsageError('--html and --rules are of dumps and logs: a capture has --json');
    const { tellCaptured } = await import('./captured.js');
    return tellCaptured(inputs.from, inputs.files, options, severe);
  }
  checkBoot(options);
  const many = manyAsked(options, args);
  await checkFailOn(options.failOn, options.rules);
  const failing = options.failOn === undefined ? null : failOn(options.failOn);
  if (many) {
    // What is wrong with the rules is wrong with each dump's.
    const rulesFile = options.rules && (await rulesSum(options.rules));
    const { tellMany } = await import('./many.js');
    return tellMany(many, { ...options, ...(rulesFile ? { rulesFile } : {}) }, failing);
  }
  const [{ hasWholeLog, triage }, { triageJson }, { triageText }] = await Promise.all([
    import('../../triage/triage.js'),
    import('../../answers/triage/json.js'),
    import('../../answers/triage/text.js'),
  ]);
  const rules = options.rules === undefined ? undefined : await rulesStep(options.rules);
  checkPage(options);
  const page = options.html === undefined ? undefined : await pageStep();
  let findings: readonly Finding[] = [];
  const asked = answer(options, {
    doing: 'looking at page frames',
    ask: async (kernel, progress) => {
      const whole = triage(kernel, progress);
      const told =
        options.live || hasWholeLog(whole)
          ? whole
          : await (await import('./text-log.js')).withLogBeside(whole, options.vmcore);
      const found = rules ? rules(told, kernel) : told;
      findings = found.findings;
      return page ? page.look(kernel, found) : found;
    },
    toJson: triageJson,
    toText: (found, width) =>
      page?.write(found, options) ??
      triageText(found, { width, verbose: options.verbose, source: sourceWords(options) }),
  });
  try {
    await asked;
  } catch (error) {
    process.exitCode = EXIT.unreadable;
    const inputs = inputsBeside(error, options);
    return (await import('./text-log.js')).triageTextLog(inputs, options, failing);
  }
  if (failing && findings.some((finding) => isFailing(failing, finding)))
    process.exitCode = EXIT.differs;
}

/** Makes a page of an answer, and of what it shows beside it, which is asked for while the kernel is open. */
async function pageStep() {
  const [{ triageDetail }, { writeTriagePage }] = await Promise.all([
    import('../../triage/detail.js'),
    import('./page.js'),
  ]);
  let detail: TriageDetail | undefined;
  return {
    look: (kernel: Kernel, found: TriageAnswer): TriageAnswer => {
      detail = triageDetail(kernel);
      const known = new Set(found.warnings.map(({ message }) => message));
      const more = detail.warnings.filter(({ message }) => !known.has(message));
      const complete = found.complete && more.every(leavesComplete);
      return { ...found, complete, warnings: [...found.warnings, ...more] };
    },
    write: (found: TriageAnswer, options: PageOptions & SourceOptions) =>
      detail && writeTriagePage(found, detail, options),
  };
}
