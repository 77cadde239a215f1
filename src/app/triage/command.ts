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
import { addManyOptions, type ManyTriageOptions, manyOptions } from './options.js';
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
  kdump-mem triage --vmcore vmcore                     findings, the most severe first
  kdump-mem triage --vmcore vmcore -v                  with all evidence, and a command for more of each
  kdump-mem triage --vmcore vmcore --fail-on critical  for scripts: status 1 if there is a critical finding
  kdump-mem triage --vmcore vmcore --fail-on oom-kill,panic
                                                       the same for findings with these codes
  kdump-mem triage --vmcore vmcore --html crash.html   one self-contained page for a browser
  kdump-mem triage --vmcore vmcore --rules fleet.yaml  with your own rules
  kdump-mem triage dmesg.txt                           a text log (dmesg, journal, syslog, console; also
                                                       compressed)
  journalctl -k -o short-monotonic | kdump-mem triage - the same from standard input
  kdump-mem triage --from host.tar.gz                  a snapshot, by its log and counters
  kdump-mem triage /var/crash                          a table, if the folder contains several dumps
  kdump-mem triage /var/crash --similar                the same dumps, grouped by problem
  kdump-mem triage /var/crash --ndjson --output all.ndjson
                                                       one JSON line per dump; an interrupted run continues
  kdump-mem triage /nfs/crash --ndjson --shard 0/8     the first of eight parts, for eight machines

triage checks the kernel log (panics, oopses, lockups, hung tasks, the OOM killer, allocation failures,
warnings, disk and hardware errors), the panic itself, the memory breakdown, and sockets that are not read.
Docs: docs/triage.md.

Exit status: 0 success, 1 a finding of --fail-on, 2 usage error, 3 the dump or kernel could not be read (with
--ndjson: some of them), 5 (with --strict) the answer is incomplete.`;

/** What is of kernels, or of many dumps. */
const NOT_OF_CAPTURES = [
  ...['rules', 'html', 'force', 'ndjson', 'similar', 'jobs', 'timeout', 'workerMemory'],
  ...['output', 'resume', 'symbolsDir', 'retry', 'shard'],
];

/** `kdump-mem triage`: findings of a machine. */
export function registerTriage(program: Command): void {
  const triage = addSourceOptions(program.command('triage'))
    .usage('[options] [dump...]')
    .description(
      'find problems in a dump, a kernel log, a snapshot or the running kernel, the most severe first',
    )
    .addOption(
      new Option(
        '--fail-on <what>',
        'exit with status 1 on findings of this severity or worse, or of this code (repeatable)',
      ).argParser(parseFailOn),
    )
    .addOption(
      new Option('--rules <file>', 'your own rules: findings to add or silence (docs/rules.md)'),
    )
    .option('-v, --verbose', 'show everything that findings are based on, and commands for more')
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
      throw new UsageError('--html and --rules need a dump or a log, not a snapshot');
    const { tellCaptured } = await import('./captured.js');
    return tellCaptured(inputs.from, inputs.files, options, severe);
  }
  checkBoot(options);
  const many = manyOptions(options, args);
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
    doing: 'reading page frames',
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
