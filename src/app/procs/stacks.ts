import { type Command, Option } from 'commander';
import { WalkError } from '../../base/errors.js';
import { OutputFile } from '../../base/output-file.js';
import { formatJson } from '../../base/util.js';
import type { AllocationStacks } from '../../contracts/stacks.js';
import { type OptionsOf, parseShortInterval, sizeFrom } from '../kit/arguments.js';
import { EXIT, UsageError } from '../kit/failure.js';
import type { PageOptions } from '../kit/html-page.js';
import { checkPrintedProfile, printAnswer, printWarnings, STDOUT } from '../kit/output.js';
import { Progress, terminalWidth } from '../kit/terminal.js';
import { VERSION } from '../kit/version.js';

/** Options of `procs --stacks`. */
export type StacksOptions = OptionsOf<typeof addStacksOptions>;

/** Default maximum size of perf.data, bytes. */
const USUAL_SIZE = 256 * 2 ** 20;
const MIN_SIZE = 2 ** 20;

/** Exit status after Ctrl-C, as shells report it. */
const INTERRUPTED = 130;

export function addStacksOptions(command: Command) {
  return command
    .addOption(
      new Option('--stacks <time>', 'record allocation sites with perf for this long (requires --live --pid)')
        .argParser(parseShortInterval)
        .conflicts(['by', 'sort', 'sockets', 'verbose']),
    )
    .option('--folded', 'with --stacks: print folded stacks with bytes of new memory')
    .option('--speedscope <file>', 'with --stacks: also write a speedscope file (-: to stdout instead)')
    .option('--force', 'overwrite an existing file')
    .option(
      '--max-size <size>',
      'with --stacks: maximum size of perf.data (default 256M)',
      sizeFrom(MIN_SIZE, '1M or more'),
    );
}

/** @throws {UsageError} for options that require --stacks */
export function checkStacksOptions(options: StacksOptions & PageOptions): void {
  const { stacks, folded, speedscope, maxSize } = options;
  const force = options.html === undefined ? options.force : undefined;
  if (stacks !== undefined) return;
  const given = Object.entries({ folded, speedscope, force, 'max-size': maxSize });
  const [alone] = given.find(([, value]) => value !== undefined) ?? [];
  if (alone !== undefined) throw new UsageError(`--${alone} belongs to --stacks`);
}

/** Options of `procs --stacks`, with the general options of `procs` that apply. */
interface StacksRequest extends StacksOptions {
  readonly live?: true;
  readonly json?: true;
  readonly strict?: true;
  readonly limit?: number;
}

/**
 * Runs `kdump-mem procs --stacks`.
 *
 * @param findPid returns the process; called after the options were checked
 */
export async function answerStacks(options: StacksRequest, findPid: () => Promise<number>): Promise<void> {
  const { stacks: seconds = 0, maxSize = USUAL_SIZE, limit = 10 } = options;
  if (!options.live) throw new UsageError('--stacks records a running process: it needs --live');
  if (options.folded && options.json)
    throw new UsageError('--folded and --json are two forms of one answer: give one of them');
  checkPrintedProfile([options.speedscope], options);
  const isPrinted = options.speedscope === STDOUT;
  const pid = await findPid();
  const [{ liveHost }, { recordStacks }, { stateOf }] = await Promise.all([
    import('../../host/live.js'),
    import('../../profile/faults/ask.js'),
    import('../../profile/faults/counts.js'),
  ]);
  refuseIfNothingToRecord(pid, stateOf(liveHost, pid));
  const output =
    options.speedscope && !isPrinted ? new OutputFile(options.speedscope, options.force ?? false) : undefined;
  const progress = new Progress();
  const interrupts = new Interrupts();
  try {
    const stacks = await recordStacks(liveHost, {
      pid,
      seconds,
      maxBytes: maxSize,
      stop: interrupts.first.signal,
      abort: interrupts.second.signal,
      progress: (text) => progress.show(text),
    });
    progress.clear();
    if (options.speedscope) {
      const { speedscope } = await import('../../answers/stacks/render.js');
      const profile = formatJson(speedscope(stacks, VERSION));
      output?.write(0, Buffer.from(`${profile}\n`));
      output?.finish();
      if (isPrinted) printAnswer(profile);
    }
    if (!isPrinted) printAnswer(await inForm(stacks, options, limit));
    if (!options.json) printWarnings(stacks.warnings);
    if (options.strict && !stacks.complete) process.exitCode = EXIT.incomplete;
  } catch (error) {
    if (!interrupts.second.signal.aborted) throw error;
    process.exitCode = INTERRUPTED;
  } finally {
    progress.clear();
    interrupts.end();
    output?.discard();
  }
}

async function inForm(stacks: AllocationStacks, { json, folded }: StacksRequest, limit: number): Promise<string> {
  if (json) return formatJson(stacks, 2);
  if (folded) {
    const { foldedStacks } = await import('../../answers/stacks/render.js');
    return foldedStacks(stacks).join('\n');
  }
  const { stacksText } = await import('../../answers/stacks/render.js');
  return stacksText(stacks, { limit, width: terminalWidth() });
}

function refuseIfNothingToRecord(pid: number, state: 'alive' | 'gone' | 'zombie' | 'kernel-thread'): void {
  if (state === 'gone')
    throw new WalkError(
      'no-such-pid',
      `no process has pid ${pid}. For a pid inside a container use --container ID or --pid NS:PID`,
    );
  if (state === 'zombie') throw new WalkError('no-such-pid', `pid ${pid} is a zombie: it allocates no memory`);
  if (state === 'kernel-thread')
    throw new WalkError('kernel-thread', `pid ${pid} is a kernel thread: it has no page faults`);
}

/** Ctrl-C handling: the first one stops the recording, the second one cancels everything. */
class Interrupts {
  readonly first = new AbortController();
  readonly second = new AbortController();
  readonly #hear = (): void => {
    if (this.first.signal.aborted) this.second.abort();
    this.first.abort();
  };

  constructor() {
    process.on('SIGINT', this.#hear);
  }

  end(): void {
    process.off('SIGINT', this.#hear);
  }
}
