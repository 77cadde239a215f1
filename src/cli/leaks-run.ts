import { HostError } from '../host/error.js';
import { liveHost } from '../host/live.js';
import { ChosenThreads } from '../host/proc/chosen-threads.js';
import { findProcess } from '../host/proc/process.js';
import { type Chosen, leaksAnswer } from '../leaks/answer.js';
import type { Recording } from '../leaks/recording.js';
import { formatCount } from '../report/text/size.js';
import { recordTraced } from '../trace/tracefs/record.js';
import type { TraceFigures } from '../trace/tracefs/trace-order.js';
import { WalkError } from '../walk/error.js';
import { withLookup } from './leaks-lookup.js';
import { checkLeaksOptions, type LeaksOptions } from './leaks-options.js';
import { checkLeaksOutput, printLeaks } from './leaks-print.js';
import { Progress } from './progress.js';

const USUAL_SECONDS = 600;
const USUAL_WINDOWS = 15;
const USUAL_BUDGET = 0.02;

/** Allocations that are kept at most: 100 MB or so. */
const MOST_BLOCKS = 1_000_000;
/** Those that are looked up one by one, taken evenly from each stack. */
const MOST_SURVIVORS = 50_000;

/** Status of a program that Ctrl-C ended, as shells tell it. */
const INTERRUPTED = 130;

/** `kdump-mem leaks`. @throws {UsageError}, {@link TraceError}, {@link HostError}, {@link OutputError} */
export async function runLeaks(options: LeaksOptions): Promise<void> {
  checkLeaksOptions(options);
  checkLeaksOutput(options);
  const threads = threadsOf(options);
  const progress = new Progress();
  const signals = new Signals();
  try {
    const recording = await record(options, threads, progress, signals.stop);
    progress.clear();
    signals.recorded();
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

function record(
  options: LeaksOptions,
  threads: ChosenThreads | null,
  progress: Progress,
  stop: AbortSignal,
): Promise<Recording> {
  const { type = 'page', interval = USUAL_SECONDS, windows = USUAL_WINDOWS } = options;
  return recordTraced({
    ...{ type, seconds: interval, windows, stop },
    ...{ sample: options.sample ?? 'auto', budget: options.budget ?? USUAL_BUDGET },
    minOrder: options.order ?? 0,
    threads: threads && ((tid) => threads.has(tid)),
    ...{ maxBlocks: MOST_BLOCKS, maxSurvivors: MOST_SURVIVORS },
    progress: (figures) => progress.show(figuresWords(figures, interval)),
  });
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
