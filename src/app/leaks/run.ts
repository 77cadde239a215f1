import { methodsJson, methodsText } from '../../answers/leaks/methods.js';
import { methodWords } from '../../answers/leaks/words.js';
import { formatCount } from '../../answers/text/size.js';
import { collectNow, staySmall } from '../../base/collect-garbage.js';
import { HostError } from '../../base/errors/host.js';
import { WalkError } from '../../base/errors/walk.js';
import { formatJson } from '../../base/json.js';
import { checkOutput, OutputFile } from '../../base/output-file.js';
import { liveHost } from '../../host/live.js';
import { ChosenThreads } from '../../host/proc/chosen-threads.js';
import { readPageSize } from '../../host/proc/memory.js';
import { findProcess } from '../../host/proc/process.js';
import { type Chosen, type LeaksAnswer, leaksAnswer } from '../../leaks/answer.js';
import { recordingFrom } from '../../leaks/from/recording-from.js';
import { defaultMethod } from '../../leaks/offered-method.js';
import { recordReadings } from '../../leaks/readings/record.js';
import { recordTraced } from '../../leaks/record/tracefs/record.js';
import type { TraceFigures } from '../../leaks/record/tracefs/trace-order.js';
import type { Recording } from '../../leaks/recording.js';
import { noLookup } from '../../leaks/survivors/lookup.js';
import { EXIT, UsageError } from '../kit/failure.js';
import { printAnswer, printWarnings, STDOUT } from '../kit/output.js';
import { Progress, terminalWidth } from '../kit/terminal.js';
import { VERSION } from '../kit/version.js';
import { withAreas, withLookup } from './lookup.js';
import { methodsHere } from './methods.js';
import {
  checkLeaksOptions,
  type LeakMethod,
  type LeaksOptions,
  ofEvents,
  ofProfiles,
} from './options.js';

const USUAL_SECONDS = 600;
const USUAL_WINDOWS = 15;
/** Where a reading has hundreds of bytes for each allocation of the machine. */
const DEAR_WINDOWS = 5;
const USUAL_BUDGET = 0.02;

/** Allocations that are kept at most: this program then takes less than 150 MiB. */
const MOST_BLOCKS = 500_000;
/** Those that are looked up one by one, taken evenly from each stack. */
const MOST_SURVIVORS = 50_000;

/** Status of a program that Ctrl-C ended, as shells tell it. */
const INTERRUPTED = 130;

/** `kdump-mem leaks`. @throws {UsageError}, {@link TraceError}, {@link HostError}, {@link OutputError} */
export async function runLeaks(options: LeaksOptions): Promise<void> {
  checkLeaksOptions(options);
  if (options.methods) return printMethods(options);
  checkLeaksOutput(options);
  staySmall();
  if (options.from !== undefined) return answerFrom(options, options.from);
  const threads = threadsOf(options);
  const progress = new Progress();
  const signals = new Signals();
  try {
    const recording = await advised('List other methods: kdump-mem leaks --methods', () =>
      record(options, threads, progress, signals.stop),
    );
    progress.clear();
    signals.recorded();
    // What followed events is of no more use, and the look at all memory takes as much.
    collectNow();
    const chosen = chosenOf(options, threads);
    const answer = await withLookup(recording, progress, (lookup) =>
      leaksAnswer(recording, lookup, chosen),
    );
    await printLeaks(answer, options);
  } finally {
    progress.clear();
    signals.end();
  }
}

/** Of files: blocks of another time or machine are not looked up. */
async function answerFrom(options: LeaksOptions, paths: readonly string[]): Promise<void> {
  const { type = 'page', interval, windows } = options;
  const recording = await advised(
    'Give perf script or tracefs output with kmem events, or copies of page_owner, allocinfo, alloc_traces or vmallocinfo.',
    () =>
      recordingFrom({
        type,
        paths,
        windows: windows ?? null,
        seconds: interval ?? null,
        pageSize: readPageSize(liveHost),
        maxBlocks: MOST_BLOCKS,
        maxSurvivors: MOST_SURVIVORS,
      }),
  );
  await printLeaks(leaksAnswer(recording, noLookup('from-file')), options);
}

/** With what to do next where whoever failed does not tell. */
async function advised<T>(next: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    if (!(cause instanceof HostError) || cause.next !== undefined) throw cause;
    throw new HostError(cause.code, cause.message, { cause, next });
  }
}

function record(
  options: LeaksOptions,
  threads: ChosenThreads | null,
  progress: Progress,
  stop: AbortSignal,
): Promise<Recording> {
  const { type = 'page', interval = USUAL_SECONDS } = options;
  const method = methodOf(options);
  if (method !== 'tracefs')
    return withAreas(method, (areas) =>
      recordReadings({
        type,
        method,
        seconds: interval,
        stop,
        maxSurvivors: MOST_SURVIVORS,
        windows: options.windows ?? (method === 'page-owner' ? DEAR_WINDOWS : USUAL_WINDOWS),
        pageSize: readPageSize(liveHost),
        progress: ({ readings, of }) =>
          progress.show(`${methodWords(method)}: reading ${readings} of ${of}`),
        ...(areas && { areas }),
      }),
    );
  if (options.engine === 'bpftrace') return recordPaired(options, interval, progress, stop);
  return recordTraced({
    type,
    seconds: interval,
    windows: options.windows ?? USUAL_WINDOWS,
    stop,
    sample: options.sample ?? 'auto',
    budget: options.budget ?? USUAL_BUDGET,
    minOrder: options.order ?? 0,
    threads: threads && ((tid) => threads.has(tid)),
    maxBlocks: MOST_BLOCKS,
    maxSurvivors: MOST_SURVIVORS,
    progress: (figures) => progress.show(figuresWords(figures, interval)),
  });
}

/** By bpftrace, which is loaded where it is asked for. */
async function recordPaired(
  { windows, order, pid }: LeaksOptions,
  seconds: number,
  progress: Progress,
  stop: AbortSignal,
): Promise<Recording> {
  const { recordByBpftrace } = await import('../../leaks/record/bpftrace/record.js');
  return recordByBpftrace({
    seconds,
    windows: windows ?? USUAL_WINDOWS,
    stop,
    minOrder: order ?? 0,
    pid: pid ?? null,
    maxBlocks: MOST_BLOCKS,
    maxSurvivors: MOST_SURVIVORS,
    progress: (since, events) =>
      progress.show(
        `${Math.round(since)} of ${Math.round(seconds)} s: ${formatCount(events)} events, matched by bpftrace`,
      ),
  });
}

/** How to record: what was asked for, or the first that this kernel offers. @throws {UsageError} */
function methodOf(options: LeaksOptions): LeakMethod {
  const { type = 'page', method } = options;
  const offered = methodsHere(type);
  const names = offered.flatMap((one) => (one.method === 'bpftrace' ? [] : [one.method]));
  if (method !== undefined) {
    if (!names.includes(method))
      throw new UsageError(
        `--method ${method} does not support --type ${type} (methods: ${names.join(', ')})`,
      );
    return method;
  }
  const [alone] = ofEvents(options);
  if (alone !== undefined && !names.includes('tracefs'))
    throw new UsageError(
      `--${alone} needs events, and --type ${type} has none (methods: ${names.join(', ')})`,
    );
  // Who says how to sample, or whom to follow, asks for events.
  if (alone !== undefined) return 'tracefs';
  // What it is refused for it says itself, in more words.
  return defaultMethod(offered) ?? (names.includes('tracefs') ? 'tracefs' : names[0]!);
}

function printMethods({ type = 'page', json }: LeaksOptions): void {
  const offered = methodsHere(type);
  printAnswer(
    json ? formatJson(methodsJson(type, offered), 2) : methodsText(type, offered, terminalWidth()),
  );
}

function figuresWords(figures: TraceFigures, seconds: number): string {
  const { perSecond, oneIn, share, kept } = figures;
  const of = oneIn === 1 ? '' : `, one in ${formatCount(oneIn)} followed`;
  const cost = `${(100 * share).toFixed(1)} % of a CPU`;
  return `${Math.round(figures.seconds)} of ${Math.round(seconds)} s: ${formatCount(Math.round(perSecond))} events a second${of}, ${formatCount(kept)} held, ${cost}`;
}

/** @throws {WalkError} the process is not there */
function threadsOf({ pid, cgroup }: LeaksOptions): ChosenThreads | null {
  if (cgroup !== undefined) return ChosenThreads.ofCgroup(liveHost, cgroup);
  if (pid === undefined) return null;
  try {
    return ChosenThreads.ofProcess(liveHost, findProcess(liveHost, pid));
  } catch (error) {
    if (!(error instanceof HostError) || error.code !== 'no-such-process') throw error;
    throw new WalkError('no-such-pid', error.message, { cause: error });
  }
}

function chosenOf(
  { pid, cgroup }: LeaksOptions,
  threads: ChosenThreads | null,
): Chosen | undefined {
  if (threads === null) return undefined;
  return { who: pid === undefined ? `cgroup ${cgroup}` : `pid ${pid}`, ended: threads.ended };
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The first ends the recording with what there is; a later one, once that is over, all of it. */
class Signals {
  readonly #stop = new AbortController();
  #recorded = false;
  readonly #hear = (): void => {
    if (this.#recorded) process.exit(INTERRUPTED);
    this.#stop.abort();
  };

  constructor() {
    for (const signal of SIGNALS) process.on(signal, this.#hear);
  }

  get stop(): AbortSignal {
    return this.#stop.signal;
  }

  /** Nothing of ours is left in the kernel. */
  recorded(): void {
    this.#recorded = true;
  }

  end(): void {
    for (const signal of SIGNALS) process.off(signal, this.#hear);
  }
}

const USUAL_LIMIT = 20;

/** Whether files could be written, before minutes are spent. @throws {UsageError}, {@link OutputError} */
function checkLeaksOutput(options: LeaksOptions): void {
  for (const file of ofProfiles(options))
    if (file !== STDOUT) checkOutput(file, options.force ?? false, options.from ?? []);
  if (options.pprof === STDOUT && process.stdout.isTTY)
    throw new UsageError(
      'a profile cannot be printed to a terminal: redirect stdout to a file or a pipe',
    );
}

/**
 * Writes the files that were asked for, and prints the answer; where a profile goes to stdout, what makes the answer
 * doubtful goes to stderr, as with folded stacks. @throws {OutputError}
 */
async function printLeaks(answer: LeaksAnswer, options: LeaksOptions): Promise<void> {
  const { pprof, speedscope, folded, json, limit, strict } = options;
  if (pprof !== undefined || speedscope !== undefined || folded) {
    const profiles = await import('../../answers/leaks/profiles.js');
    const write = (file: string | undefined, bytes: () => Buffer) => {
      if (file === STDOUT) process.stdout.write(bytes());
      else if (file !== undefined) writeWhole(file, options.force ?? false, bytes());
    };
    write(pprof, () => profiles.leaksPprof(answer));
    write(speedscope, () =>
      Buffer.from(`${formatJson(profiles.leaksSpeedscope(answer, VERSION))}\n`),
    );
    if (folded) printAnswer(profiles.leaksFolded(answer).join('\n'));
  }
  if (pprof === STDOUT || speedscope === STDOUT || folded) {
    const { noteWords } = await import('../../answers/leaks/words.js');
    printWarnings(answer.notes.map((note) => ({ message: noteWords(note) })));
  } else if (json) {
    const { leaksJson } = await import('../../answers/leaks/json.js');
    printAnswer(formatJson(leaksJson(answer, limit), 2));
  } else {
    const { leaksText } = await import('../../answers/leaks/text.js');
    printAnswer(leaksText(answer, { limit: limit ?? USUAL_LIMIT, width: terminalWidth() }));
  }
  if (strict && !answer.complete) process.exitCode = EXIT.incomplete;
}

function writeWhole(file: string, replace: boolean, bytes: Buffer): void {
  const output = new OutputFile(file, replace);
  try {
    output.write(0, bytes);
    output.finish();
  } finally {
    output.discard();
  }
}
