import { closeSync, openSync, statSync } from 'node:fs';
import { type Command, type CommandUnknownOpts, Option } from 'commander';
import type { Kernel } from '../../kernel/kernel.js';
import type { BootChoice } from '../../log/boots.js';
import type { KernelTriage } from '../../triage/answer.js';
import { type FailOn, failOn, isFailing, type TriageDetail } from '../../triage/finding.js';
import { leavesComplete } from '../../walk/warnings.js';
import { answer } from '../kit/answer.js';
import { type OptionsOf, parseInterval, parseNumber } from '../kit/arguments.js';
import { EXIT, UsageError } from '../kit/failure.js';
import { addBootOption, addFromOption, checkBoot, checkFrom, type FromOptions } from '../kit/from-argument.js';
import { checkPage } from '../kit/html-page.js';
import { addSourceOptions, namesNoSource, sourceWords } from '../kit/kernel-source.js';
import type { CaptureInputs, LogInputs } from '../kit/log-inputs.js';
import { addManyOptions, checkFailOn, type ManyTriageOptions, manyOptions, parseFailOn } from './options.js';
import { rulesStep, rulesSum } from './rules.js';

const EXAMPLES = `
Examples:
  kdump-mem triage                                     this machine: kernel memory if /proc/kcore is readable,
                                                       otherwise log, counters, cgroups, processes and sockets
  kdump-mem triage --html now.html                     the same as one page for a browser
  kdump-mem triage --brief                             the headline and the most severe findings, for a chat
  kdump-mem triage --watch                             a live table; in a pipe, findings that begin or end
  kdump-mem triage --watch --fail-on warning           wait until something is wrong: status 1
  kdump-mem triage --baseline monday.tar.gz            with what grew since a snapshot
  kdump-mem triage --vmcore vmcore                     findings, the most severe first
  kdump-mem triage --vmcore vmcore -v                  with all evidence, and a command for more of each
  kdump-mem triage --vmcore vmcore --fail-on critical  for scripts: status 1 if there is a critical finding
  kdump-mem triage --vmcore vmcore --fail-on oom-kill,panic
                                                       the same for findings with these codes
  kdump-mem triage --vmcore vmcore --html crash.html   one self-contained page for a browser
  kdump-mem triage --vmcore vmcore --rules fleet.yaml  with your own rules
  kdump-mem triage dmesg.txt                           a text log (dmesg, journal, syslog, console; also
                                                       compressed)
  kdump-mem triage ticket.txt                          text that people paste: meminfo, slabtop, ss, ps, log lines
  journalctl -k -o short-monotonic | kdump-mem triage - the same from standard input
  kdump-mem triage --from host.tar.gz                  the same findings of a snapshot
  kdump-mem triage /var/crash                          a table, if the folder contains several dumps
  kdump-mem triage /var/crash --similar                the same dumps, grouped by problem
  kdump-mem triage /var/crash --ndjson --output all.ndjson
                                                       one JSON line per dump; an interrupted run continues
  kdump-mem triage /nfs/crash --ndjson --shard 0/8     the first of eight parts, for eight machines
  kdump-mem triage /var/crash --beside                 answers beside each new dump (deploy/systemd runs it)

triage checks the kernel log (panics, oopses, lockups, hung tasks, the OOM killer, allocation failures,
warnings, disk and hardware errors), the panic itself, the memory breakdown, and sockets that are not read.
Docs: docs/triage.md, docs/findings.md, docs/causes.md, docs/many-dumps.md.

Exit status: 0 success, 1 a finding of --fail-on, 2 usage error, 3 the dump or kernel could not be read (with
--ndjson: some of them), 5 (with --strict) the answer is incomplete.`;

/** Options that apply only to kernels, or to many dumps. */
const NOT_OF_CAPTURES = [
  'rules',
  'ndjson',
  'similar',
  'jobs',
  'timeout',
  'workerMemory',
  'output',
  'resume',
  'symbolsDir',
  'retry',
  'shard',
  'beside',
  'anonymize',
  'keep',
  'keepBytes',
  'settle',
  'notify',
];

function declareTriage(program: Command) {
  return addSourceOptions(program.command('triage'))
    .usage('[options] [dump...]')
    .description('find problems in a dump, a kernel log, a snapshot or the running kernel, the most severe first')
    .addOption(
      new Option(
        '--fail-on <what>',
        'exit with status 1 on findings of this severity or worse, or of this code (repeatable)',
      ).argParser(parseFailOn),
    )
    .addOption(new Option('--rules <file>', 'your own rules: findings to add or silence (docs/rules.md)'))
    .addOption(
      new Option(
        '--baseline <file>',
        'this machine or a snapshot, by counters: report growth since a snapshot, a store of watch, or an answer of memory --json',
      ).conflicts(['ndjson', 'similar', 'vmcore']),
    )
    .option('--ring <file>', 'a ring of kdump-mem watch: report what grew in the ten minutes before its last sample')
    .option('-v, --verbose', 'show everything that findings are based on, and commands for more')
    .addOption(
      new Option('--brief', 'print only the headline and the most severe findings').conflicts([
        'json',
        'html',
        'verbose',
        'ndjson',
        'similar',
      ]),
    )
    .option('--json', 'print the answer as JSON')
    .addOption(new Option('--html <file>', 'write a page for a browser; - prints it').conflicts('json'))
    .option('--force', 'replace the page if it exists')
    .addOption(
      new Option(
        '--watch',
        'check this machine again and again, without its kernel memory, until a finding of --fail-on appears',
      ).conflicts(['html', 'brief', 'verbose']),
    )
    .option('--interval <time>', 'time between checks (default 10 s)', parseInterval)
    .option('--count <n>', 'number of checks, then exit', parseNumber)
    .option('--strict', 'exit with status 5 if anything could not be read')
    .addOption(new Option('--as-worker').hideHelp())
    .addOption(new Option('--beside-prefix <path>').hideHelp())
    .addOption(new Option('--beside-extract').hideHelp());
}

type TriageOptions = OptionsOf<typeof declareTriage> & ManyTriageOptions & FromOptions & { readonly boot?: BootChoice };

/** Registers `kdump-mem triage`, which reports findings of a machine. */
export function registerTriage(program: Command): void {
  const triage = declareTriage(program).addHelpText('after', EXAMPLES);
  addManyOptions(triage);
  addBootOption(addFromOption(triage, NOT_OF_CAPTURES)).action(answerTriage);
}

/** What the answer is read from. */
type Source =
  | { readonly kind: 'watch' | 'host' }
  | { readonly kind: 'kernel'; readonly isHere: boolean }
  | { readonly kind: 'logs'; readonly inputs: LogInputs }
  | { readonly kind: 'capture'; readonly inputs: CaptureInputs }
  | { readonly kind: 'many'; readonly search: NonNullable<ReturnType<typeof manyOptions>> };

async function answerTriage(options: TriageOptions, { args }: CommandUnknownOpts): Promise<void> {
  if (options.asWorker) return (await import('./line.js')).printTriageLine(options);
  const source = await sourceOf(options, args);
  await checkFailOn(options.failOn, options.rules);
  const failing = options.failOn === undefined ? null : failOn(options.failOn);
  switch (source.kind) {
    case 'watch': {
      const [{ hostTriage }, { watchTriage }] = await Promise.all([import('./captured.js'), import('./watch.js')]);
      return watchTriage(() => hostTriage(options), options, failing);
    }
    case 'logs':
      return (await import('./text-log.js')).triageTextLog(source.inputs, options, failing);
    case 'capture': {
      const { from, files } = source.inputs;
      return (await import('./captured.js')).printCapturedTriage(from, files, options, failing);
    }
    case 'many': {
      // Checked once here: invalid rules would fail for each dump.
      const rulesFile = options.rules && (await rulesSum(options.rules));
      const { triageMany } = await import('./many.js');
      return triageMany(source.search, { ...options, ...(rulesFile ? { rulesFile } : {}) }, failing);
    }
    case 'host':
      return (await import('./captured.js')).printHostTriage(options, failing);
    case 'kernel':
      return kernelTriage(source.isHere ? { ...options, live: true } : options, failing);
  }
}

/** @throws {UsageError} for options that this source does not have */
async function sourceOf(options: TriageOptions, words: readonly string[]): Promise<Source> {
  const { from, vmcore, ndjson, similar, beside, baseline, rules } = options;
  checkFrom(options);
  if (checkWatch(options, words)) return { kind: 'watch' };
  const { inputsAmong, inputsFrom } = await import('../kit/log-inputs.js');
  const inputs =
    from !== undefined
      ? await inputsFrom(from)
      : ndjson || similar || beside
        ? undefined
        : await inputsAmong(vmcore, { pasted: true });
  if (inputs && 'logs' in inputs) return { kind: 'logs', inputs };
  checkBoot(options);
  if (inputs && rules !== undefined) throw new UsageError('--rules needs a dump or a log, not a snapshot');
  if (inputs) return { kind: 'capture', inputs };
  if (baseline !== undefined && !readsThisHost(options, words))
    throw new UsageError('--baseline compares this machine or a snapshot, not a dump');
  const search = manyOptions(options, words);
  if (search) return { kind: 'many', search };
  const isHere = readsThisHost({ ...options, rules: undefined }, words);
  if (isHere && rules !== undefined && !isKcoreReadable())
    throw new UsageError('--rules needs a dump, a log, or a readable /proc/kcore');
  // A snapshot contains counters: those of now are compared with them.
  if (isHere && (baseline !== undefined || !isKcoreReadable())) return { kind: 'host' };
  return { kind: 'kernel', isHere };
}

async function kernelTriage(options: TriageOptions, failing: FailOn | null): Promise<void> {
  const [{ hasWholeLog, triage }, { earlyLines }, { triageWords }] = await Promise.all([
    import('../../triage/triage.js'),
    import('../../answers/triage/text.js'),
    import('./print.js'),
  ]);
  const rules = options.rules === undefined ? undefined : await rulesStep(options.rules);
  checkPage(options);
  const page = options.html === undefined ? undefined : await pageStep();
  let shown: KernelTriage | undefined;
  const printed = answer(options, {
    doing: 'reading page frames',
    ask: async (kernel, progress, soFar) => {
      const whole = triage(kernel, progress, (early) => soFar(earlyLines(early)));
      const logged =
        options.live || hasWholeLog(whole)
          ? whole
          : await (await import('./text-log.js')).withLogBeside(whole, options.vmcore);
      const here = options.live ? await withHost(logged) : logged;
      const recorded = await recordedBy(here, options);
      const judged = rules ? rules(recorded, kernel) : recorded;
      shown = judged;
      return page ? page.read(kernel, judged) : judged;
    },
    ...triageWords(options, sourceWords(options), page?.detail),
  });
  try {
    await printed;
  } catch (error) {
    process.exitCode = EXIT.unreadable;
    const { inputsBeside } = await import('../kit/log-inputs.js');
    const inputs = inputsBeside(error, options);
    return (await import('./text-log.js')).triageTextLog(inputs, options, failing);
  }
  if (failing && shown?.findings.some((finding) => isFailing(failing, finding))) process.exitCode = EXIT.differs;
}

/** With what a recorder kept of the time before. */
async function recordedBy(triage: KernelTriage, { ring, live, vmcore }: TriageOptions): Promise<KernelTriage> {
  const { bootId, momentOf, ringsBeside, withRing } = await import('./ring.js');
  if (live) return withRing(triage, ring, [], { bootId: bootId() });
  return withRing(triage, ring, vmcore?.slice(0, 1).flatMap(ringsBeside) ?? [], momentOf(triage.machine));
}

/** With the findings of this host's files. */
async function withHost(triage: KernelTriage): Promise<KernelTriage> {
  const [{ withHostFindings }, { HostReader }, { liveHost }] = await Promise.all([
    import('../../triage/host-checks.js'),
    import('../../triage/host-reader.js'),
    import('../../host/live.js'),
  ]);
  return withHostFindings(triage, await new HostReader(liveHost, triage.kernel.pageSize).readMappings());
}

/** Whether to watch this machine. @throws {UsageError} for anything else that is to be watched */
function checkWatch(options: TriageOptions, words: readonly string[]): boolean {
  const { watch, interval, count, ndjson, similar } = options;
  if (!watch && interval !== undefined) throw new UsageError('--interval requires --watch');
  if (!watch && count !== undefined) throw new UsageError('--count requires --watch');
  if (!watch) return false;
  if (count === 0) throw new UsageError('--count must be at least 1');
  if (!readsThisHost(options, words) || ndjson || similar)
    throw new UsageError('--watch checks this machine: a dump, log or snapshot does not change');
  return true;
}

/** Whether the command is about this machine, and does not need its kernel memory. */
function readsThisHost(options: Readonly<Record<string, unknown>>, words: readonly string[]): boolean {
  return words.length === 0 && options.rules === undefined && namesNoSource(options);
}

/**
 * Tests by opening /proc/kcore, which fails under lockdown or without the required capabilities. Containers mount
 * /dev/null there.
 */
function isKcoreReadable(): boolean {
  try {
    closeSync(openSync('/proc/kcore', 'r'));
    return statSync('/proc/kcore').isFile();
  } catch {
    return false;
  }
}

/** Returns a step that reads the details of the page while the kernel is open. */
async function pageStep() {
  const { triageDetail } = await import('../../triage/finding.js');
  let detail: TriageDetail | undefined;
  return {
    read: (kernel: Kernel, triage: KernelTriage): KernelTriage => {
      detail = triageDetail(kernel);
      const known = new Set(triage.warnings.map(({ message }) => message));
      const more = detail.warnings.filter(({ message }) => !known.has(message));
      const complete = triage.complete && more.every(leavesComplete);
      return { ...triage, complete, warnings: [...triage.warnings, ...more] };
    },
    detail: () => detail,
  };
}
