import { methodsJson, methodsText } from '../../answers/leaks/methods.js';
import { methodWords } from '../../answers/leaks/words.js';
import { collectNow, staySmall } from '../../base/collect-garbage.js';
import { HostError, WalkError } from '../../base/errors.js';
import { checkOutput, OutputFile } from '../../base/output-file.js';
import { formatCount } from '../../base/size.js';
import { formatJson } from '../../base/util.js';
import type { LeaksAnswer } from '../../contracts/leaks.js';
import { liveHost } from '../../host/live.js';
import { ThreadFilter } from '../../host/proc/chosen-threads.js';
import { readPageSize } from '../../host/proc/memory.js';
import { findProcess } from '../../host/proc/process.js';
import { leaksAnswer, type ThreadFilterFacts } from '../../leaks/answer.js';
import { recordingFrom } from '../../leaks/from/recording-from.js';
import { defaultMethod } from '../../leaks/readings/methods.js';
import { recordReadings } from '../../leaks/readings/takes.js';
import type { TraceFigures } from '../../leaks/record/tracefs/kinds.js';
import { recordTraced } from '../../leaks/record/tracefs/session.js';
import type { Recording } from '../../leaks/recording.js';
import { noLookup } from '../../leaks/survivors/lookup.js';
import { EXIT, UsageError } from '../kit/failure.js';
import { checkPage, writePage } from '../kit/html-page.js';
import { printAnswer, printText, printWarnings, STDOUT } from '../kit/output.js';
import { Progress, terminalWidth } from '../kit/terminal.js';
import { VERSION } from '../kit/version.js';
import { withAreas, withLookup } from './lookup.js';
import {
  checkLeaksOptions,
  eventOptions,
  type LeakMethod,
  type LeaksOptions,
  methodsHere,
  profileFiles,
} from './options.js';

const USUAL_SECONDS = 600;
const USUAL_WINDOWS = 15;
/**
 * Default number of windows for page_owner: each reading has hundreds of bytes per allocation of the machine.
 */
const PAGE_OWNER_WINDOWS = 5;
const USUAL_BUDGET = 0.02;

/** Maximum number of stored allocations, which limits this program to less than 150 MiB. */
const MAX_BLOCKS = 500_000;
/**
 * Maximum number of surviving allocations that are looked up individually, sampled evenly from each stack
 * trace.
 */
const MAX_SURVIVORS = 50_000;

/** Exit status after Ctrl-C, as shells report it. */
const INTERRUPTED = 130;

/**
 * Runs `kdump-mem leaks`. @throws {UsageError}, {@link TraceError}, {@link HostError}, {@link OutputError}
 */
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
    // Frees the event tracer's memory, since the scan of all memory needs as much.
    collectNow();
    const chosen = chosenOf(options, threads);
    const answer = await withLookup(recording, progress, (lookup) => leaksAnswer(recording, lookup, chosen));
    await printLeaks(answer, options);
  } finally {
    progress.clear();
    signals.end();
  }
}

/** Answers from files. Allocations are not looked up, since they are from another time or machine. */
async function answerFrom(options: LeaksOptions, paths: readonly string[]): Promise<void> {
  const { type = 'page', interval, windows } = options;
  const recording = await advised(
    'Give perf script or tracefs output with kmem events, output of memleak, or copies of page_owner, allocinfo, alloc_traces or vmallocinfo.',
    () =>
      recordingFrom({
        type,
        paths,
        windows: windows ?? null,
        seconds: interval ?? null,
        pageSize: readPageSize(liveHost),
        maxBlocks: MAX_BLOCKS,
        maxSurvivors: MAX_SURVIVORS,
      }),
  );
  await printLeaks(leaksAnswer(recording, noLookup('from-file')), options);
}

/** Adds advice to an error that has none. */
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
  threads: ThreadFilter | null,
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
        maxSurvivors: MAX_SURVIVORS,
        windows: options.windows ?? (method === 'page-owner' ? PAGE_OWNER_WINDOWS : USUAL_WINDOWS),
        pageSize: readPageSize(liveHost),
        progress: ({ readings, of }) => progress.show(`${methodWords(method)}: reading ${readings} of ${of}`),
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
    maxBlocks: MAX_BLOCKS,
    maxSurvivors: MAX_SURVIVORS,
    progress: (figures) => progress.show(figuresWords(figures, interval)),
  });
}

/** Records with bpftrace, whose code is loaded on demand. */
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
    maxBlocks: MAX_BLOCKS,
    maxSurvivors: MAX_SURVIVORS,
    progress: (since, events) =>
      progress.show(
        `${Math.round(since)} of ${Math.round(seconds)} s: ${formatCount(events)} events, matched by bpftrace`,
      ),
  });
}

/** Returns the requested method, or the first that this kernel offers. @throws {UsageError} */
function methodOf(options: LeaksOptions): LeakMethod {
  const { type = 'page', method } = options;
  const offered = methodsHere(type);
  const names = offered.flatMap((method) => (method.method === 'bpftrace' ? [] : [method.method]));
  if (method !== undefined) {
    if (!names.includes(method))
      throw new UsageError(`--method ${method} does not support --type ${type} (methods: ${names.join(', ')})`);
    return method;
  }
  const [alone] = eventOptions(options);
  if (alone !== undefined && !names.includes('tracefs'))
    throw new UsageError(`--${alone} needs events, and --type ${type} has none (methods: ${names.join(', ')})`);
  // Options for sampling and filtering require event tracing.
  if (alone !== undefined) return 'tracefs';
  // If no method is available, the error of this one has the details.
  return defaultMethod(offered) ?? (names.includes('tracefs') ? 'tracefs' : names[0]!);
}

function printMethods({ type = 'page', json }: LeaksOptions): void {
  const offered = methodsHere(type);
  if (json) printAnswer(formatJson(methodsJson(type, offered), 2));
  else printText(methodsText(type, offered, terminalWidth()));
}

function figuresWords(figures: TraceFigures, seconds: number): string {
  const { perSecond, oneIn, share, kept } = figures;
  const of = oneIn === 1 ? '' : `, one in ${formatCount(oneIn)} followed`;
  const cost = `${(100 * share).toFixed(1)} % of a CPU`;
  return `${Math.round(figures.seconds)} of ${Math.round(seconds)} s: ${formatCount(Math.round(perSecond))} events a second${of}, ${formatCount(kept)} held, ${cost}`;
}

/** @throws {WalkError} the process does not exist */
function threadsOf({ pid, cgroup }: LeaksOptions): ThreadFilter | null {
  if (cgroup !== undefined) return ThreadFilter.ofCgroup(liveHost, cgroup);
  if (pid === undefined) return null;
  try {
    return ThreadFilter.ofProcess(liveHost, findProcess(liveHost, pid));
  } catch (error) {
    if (!(error instanceof HostError) || error.code !== 'no-such-process') throw error;
    throw new WalkError('no-such-pid', error.message, { cause: error });
  }
}

function chosenOf({ pid, cgroup }: LeaksOptions, threads: ThreadFilter | null): ThreadFilterFacts | undefined {
  if (threads === null) return undefined;
  return { who: pid === undefined ? `cgroup ${cgroup}` : `pid ${pid}`, ended: threads.exited };
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Signal handling: the first signal stops the recording and keeps its results. A signal after the recording
 * exits the program.
 */
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

  /**
   * Marks the recording as finished: nothing of kdump-mem is left in the kernel, so the next signal may exit
   * at once.
   */
  recorded(): void {
    this.#recorded = true;
  }

  end(): void {
    for (const signal of SIGNALS) process.off(signal, this.#hear);
  }
}

const USUAL_LIMIT = 20;

/** Checks before a long recording that the files can be written. @throws {UsageError}, {@link OutputError} */
function checkLeaksOutput(options: LeaksOptions): void {
  const { html, force, from = [] } = options;
  if (html !== undefined) checkPage({ html, ...(force ? { force } : {}), vmcore: [...from] });
  for (const file of profileFiles(options))
    if (file !== STDOUT) checkOutput(file, options.force ?? false, options.from ?? []);
  if (options.pprof === STDOUT && process.stdout.isTTY)
    throw new UsageError('a profile cannot be printed to a terminal: redirect stdout to a file or a pipe');
}

/**
 * Writes the requested files, and prints the answer. If a profile goes to stdout, warnings go to stderr, as
 * with folded stacks. @throws {OutputError}
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
    write(speedscope, () => Buffer.from(`${formatJson(profiles.leaksSpeedscope(answer, VERSION))}\n`));
    if (folded) printAnswer(profiles.leaksFolded(answer).join('\n'));
  }
  if (pprof === STDOUT || speedscope === STDOUT || folded) {
    printWarnings(answer.warnings);
  } else if (options.html !== undefined) {
    const { leaksPage } = await import('./page.js');
    printAnswer(writePage(options, leaksPage(answer, options)));
  } else if (json) {
    const sites = answer.sites.slice(0, limit);
    printAnswer(formatJson({ ...answer, sites, omitted: answer.sites.length - sites.length }, 2));
  } else {
    const { leaksText } = await import('../../answers/leaks/text.js');
    printText(leaksText(answer, { limit: limit ?? USUAL_LIMIT, width: terminalWidth() }));
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
