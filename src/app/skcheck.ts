import { CommanderError } from 'commander';
import type { SkcheckReport } from '../answers/skcheck/schema.js';
import { formatSkcheckText } from '../answers/skcheck/text.js';
import { ExhaustedError, HostError } from '../base/errors.js';
import { escapeText } from '../base/escape.js';
import { OutputError } from '../base/output-file.js';
import { formatJson } from '../base/util.js';
import { endAll, READER_VARIABLE } from '../host/child.js';
import type { HostSource } from '../host/host-source.js';
import { liveHost } from '../host/live.js';
import { asCalled, escapeUsage, usageSentences } from './kit/called-as.js';
import { EXHAUSTION_ADVICE, reportBugs } from './kit/failure.js';
import { endWithReader, printAnswer, printText } from './kit/output.js';
import { Progress } from './kit/terminal.js';
import {
  adviceFor,
  EXIT,
  OUTPUT_ADVICE,
  refuseContradictions,
  type SkcheckOptions,
  skcheckCommand,
} from './skcheck/options.js';
import { scan, statusOf, textOptions } from './skcheck/scan.js';

void main();

async function main(): Promise<void> {
  if (process.env[READER_VARIABLE]) return (await import('../host/proc/memory-files.js')).runReader();
  reportBugs('skcheck');
  endWithReader('skcheck', EXIT.scanIncomplete);
  const program = skcheckCommand();
  try {
    program.parse();
    refuseContradictions(program);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? EXIT.nothingStale : EXIT.usage;
    if (error.exitCode !== 0) complain(`${usageWords(error, program.args)} Try skcheck --help.`);
    return;
  }
  const options = program.opts();
  try {
    process.exitCode = await run(options);
  } catch (error) {
    // Other concurrent ss processes may still be running.
    endAll();
    if (error instanceof ExhaustedError) {
      complain(`${escapeText(error.message)}. ${EXHAUSTION_ADVICE}`);
      process.exitCode = EXIT.scanIncomplete;
      return;
    }
    if (error instanceof OutputError) {
      complain(`${escapeText(error.message)}. ${OUTPUT_ADVICE[error.code]}`);
      process.exitCode = error.code === 'exists' ? EXIT.usage : EXIT.scanIncomplete;
      return;
    }
    if (!(error instanceof HostError)) throw error;
    complain(`${escapeText(error.message)}. ${adviceFor(error.code, options.from !== undefined)}`);
    process.exitCode = EXIT.scanIncomplete;
  }
}

/** Runs the action that the options select. Returns the exit status. */
async function run(options: SkcheckOptions): Promise<number> {
  if (options.doctor) return doctor(options);
  if (options.captureScript || options.capture !== undefined) {
    const { capture, printScript } = await import('./skcheck/capture.js');
    return options.capture === undefined ? printScript() : capture(options.capture, options);
  }
  const source = await sourceOf(options);
  if (options.watch) return (await import('./skcheck/watch.js')).watch(source, options);
  if (options.listen || options.prometheus) {
    if (options.listen) return (await import('./skcheck/metrics.js')).serve(source, options, options.listen);
    return (await import('./skcheck/metrics.js')).printMetrics(source, options);
  }
  return check(source, options);
}

/** Doctor checks that skcheck needs. */
const OWN_CHECKS = ['root', 'processes', 'ss', 'namespaces', 'counters', 'kcore'] as const;

async function doctor(options: SkcheckOptions): Promise<number> {
  const { printDoctor } = await import('./doctor/command.js');
  await printDoctor('skcheck', options, OWN_CHECKS);
  return EXIT.nothingStale;
}

async function sourceOf({ from }: SkcheckOptions): Promise<HostSource> {
  if (from === undefined) return liveHost;
  const { readCapture } = await import('../capture/read/files.js');
  const { CapturedHost } = await import('../capture/read/host.js');
  return new CapturedHost(await readCapture(from));
}

async function check(source: HostSource, options: SkcheckOptions): Promise<number> {
  const gaps = Math.max(1, (options.samples ?? 2) - 1);
  const progress = new Progress();
  if (options.interval > 0 && !options.quiet && options.from === undefined)
    progress.show(`watching for ${options.interval * gaps} s …`);
  let report: SkcheckReport;
  try {
    ({ report } = await scan(source, options));
  } finally {
    progress.clear();
  }
  const status = statusOf(report, options);
  if (options.quiet && status === EXIT.nothingStale) return status;
  if (!options.quiet || status === EXIT.stale) {
    if (options.json) printAnswer(formatJson(report));
    else printText(formatSkcheckText(report, textOptions(options)));
  }
  // Warnings can contain names chosen by the host or a capture.
  for (const { message } of report.warnings) complain(`note: ${escapeText(message)}.`);
  if (status === EXIT.scanIncomplete) complain('no stalled socket found, but the scan is incomplete.');
  return status;
}

function complain(words: string): void {
  process.stderr.write(`skcheck: ${asCalled(words)}\n`);
}

/** Returns commander's message in one escaped line, without its own "error:". */
function usageWords({ code, message }: CommanderError, args: readonly string[]): string {
  if (code === 'commander.excessArguments')
    return `unknown argument "${escapeText(args.join(' '))}": skcheck accepts only options.`;
  const words = usageSentences(escapeUsage(message));
  return /[.!?]$/.test(words) ? words : `${words}.`;
}
