import { setTimeout as delay } from 'node:timers/promises';
import { TraceError } from '../../base/errors/trace.js';
import type { HostSource } from '../../host/host-source.js';
import { readPageSize } from '../../host/proc/memory.js';
import { optionalText } from '../../host/proc/process.js';
import {
  type Moment,
  type Recording,
  type RecordOrder,
  record,
  STACK_BYTES,
} from '../perf/record.js';
import { PerfScratch } from '../perf/scratch.js';
import { type Losses, readRecording } from '../perf/script.js';
import type { RecordingEnd, StacksAnswer, StacksWarning } from './answer.js';
import { type CountedMeanwhile, checkFaults, checkGrowth, grown } from './checks.js';
import {
  type FaultCounts,
  readAnonymous,
  readFaultCounts,
  readHeapEnd,
  stateOf,
} from './counts.js';
import { newBytes, StackSums } from './stack-sums.js';

/** What is asked. */
export interface StacksQuestion {
  readonly pid: number;
  readonly seconds: number;
  /** Of perf.data, bytes. */
  readonly maxBytes: number;
  /** Ends the recording early: what there is counts. */
  readonly stop: AbortSignal;
  /** Gives up. */
  readonly abort: AbortSignal;
  readonly progress: (text: string) => void;
}

/** How long the process is looked at before, to learn how many faults a second it has. */
const LOOK_MS = 250;

/**
 * Records the page faults of a process for some seconds, and says which stacks brought new memory.
 *
 * @throws {TraceError} perf is missing, refused or failed; `process-ended` before anything was recorded
 */
export async function askStacks(
  source: HostSource,
  question: StacksQuestion,
): Promise<StacksAnswer> {
  const { pid, seconds, maxBytes, stop, abort, progress } = question;
  const comm = optionalText(source, `/proc/${pid}/comm`).replace(/\n$/, '');
  const period = await choosePeriod(source, question);
  const scratch = new PerfScratch();
  try {
    const heapEnd = await readHeapEnd(source, pid);
    const watch = new Watch(source, pid);
    progress(`perf records pid ${pid} for ${seconds} s (Ctrl-C: until now) …`);
    const order: RecordOrder = {
      pid,
      seconds,
      period,
      maxBytes,
      stop,
      file: scratch.file,
      mark: (moment) => {
        watch.mark(moment);
        if (moment === 'begun') scratch.hide();
      },
    };
    const recording = await record(order).catch((error: unknown) => {
      if (error instanceof TraceError && error.code !== 'perf-missing' && !isAlive(source, pid))
        throw new TraceError('process-ended', `pid ${pid} exited before perf began to record`);
      // perf itself says nothing then.
      if (error instanceof TraceError && error.code === 'perf-failed' && scratch.isFull)
        throw new TraceError('no-room', 'no space left for perf.data', { cause: error });
      throw error;
    });
    const pageSize = readPageSize(source);
    const sums = new StackSums(pid, period, pageSize, heapEnd);
    progress('perf looks for functions …');
    const losses = await readRecording(scratch.file, recording.names, (it) => sums.add(it), abort);
    return answerOf({ comm, question, recording, sums, losses, watch });
  } finally {
    scratch.remove();
  }
}

/** What /proc tells of the process while perf works. */
class Watch {
  readonly threads: number;
  growth: number | null = null;
  readonly #counts = new Map<Moment, FaultCounts | null>();
  readonly #source: HostSource;
  readonly #pid: number;
  #begun: ReturnType<typeof readAnonymous> = null;

  constructor(source: HostSource, pid: number) {
    this.#source = source;
    this.#pid = pid;
    this.threads = readAnonymous(source, pid)?.threads ?? 1;
  }

  /** RssAnon is read inside of the time that faults are counted in. */
  readonly mark = (moment: Moment): void => {
    if (moment === 'ending') {
      const after = readAnonymous(this.#source, this.#pid);
      if (after && this.#begun) this.growth = after.bytes - this.#begun.bytes;
    }
    this.#counts.set(moment, readFaultCounts(this.#source, this.#pid));
    if (moment === 'begun') this.#begun = readAnonymous(this.#source, this.#pid);
  };

  get counted(): CountedMeanwhile | null {
    const at = (moment: Moment) => this.#counts.get(moment) ?? null;
    const [before, begun, ending, ended] = [at('before'), at('begun'), at('ending'), at('ended')];
    return before && begun && ending && ended ? { before, begun, ending, ended } : null;
  }

  get isAlive(): boolean {
    return isAlive(this.#source, this.#pid);
  }
}

async function choosePeriod(
  source: HostSource,
  { pid, seconds, maxBytes }: StacksQuestion,
): Promise<number> {
  const before = readFaultCounts(source, pid);
  const began = performance.now();
  await delay(LOOK_MS);
  const after = readFaultCounts(source, pid);
  if (!before || !after)
    throw new TraceError('process-ended', `pid ${pid} exited before perf began to record`);
  const rate = (1000 * (after.minor - before.minor)) / (performance.now() - began);
  return periodFor(rate, seconds, maxBytes);
}

function isAlive(source: HostSource, pid: number): boolean {
  return stateOf(source, pid) === 'alive';
}

interface RecordedFaults {
  readonly comm: string;
  readonly question: StacksQuestion;
  readonly recording: Recording;
  readonly sums: StackSums;
  readonly losses: Losses;
  readonly watch: Watch;
}

function answerOf({
  comm,
  question,
  recording,
  sums,
  losses,
  watch,
}: RecordedFaults): StacksAnswer {
  const { pid, seconds: requestedSeconds, stop } = question;
  const { counted, growth, threads } = watch;
  const { lost } = losses;
  const ended = endOf(recording, stop, watch.isAlive);
  const warnings = [
    ...early(ended, recording, requestedSeconds),
    ...lossWords(losses),
    ...(counted ? checkFaults(sums, counted, lost, threads) : []),
  ];
  if (warnings.length === 0 && sums.period === 1 && growth !== null) {
    const contradiction = checkGrowth(sums, growth, threads);
    if (contradiction) warnings.push(contradiction);
  }
  return {
    pid,
    comm,
    requestedSeconds,
    ended,
    lost,
    seconds: recording.seconds,
    period: sums.period,
    samples: sums.samples,
    pageSize: sums.pageSize,
    pageSizesKnown: recording.pageSizes && sums.sizesUnknown === 0,
    ...sums.kinds,
    swappedIn: sums.swappedIn,
    ofChildren: sums.ofChildren,
    minorFaults: sums.minor,
    majorFaults: sums.major,
    kernelCounts: counted && grown(counted, ({ minor, major }) => minor + major),
    anonymousGrowth: growth,
    truncatedBytes: sums.truncatedBytes,
    stacks: [...sums.stacks.values()].toSorted((a, b) => newBytes(b) - newBytes(a)),
    functions: sums.functions().toSorted((a, b) => newBytes(b) - newBytes(a)),
    space: recording.spaceCalls
      ? {
          mmap: [...sums.space.mmap.values()].toSorted((a, b) => b.bytes - a.bytes),
          brk: [...sums.space.brk.values()].toSorted((a, b) => b.bytes - a.bytes),
        }
      : null,
    warnings,
    complete: warnings.length === 0,
  };
}

function endOf(
  { endedItself, full }: Recording,
  { aborted }: AbortSignal,
  alive: boolean,
): RecordingEnd {
  if (!endedItself) return aborted ? 'interrupted' : alive ? 'time' : 'process-ended';
  if (!alive) return 'process-ended';
  return full ? 'size-limit' : 'interrupted';
}

function early(
  ended: RecordingEnd,
  { endedItself, seconds }: Recording,
  asked: number,
): StacksWarning[] {
  const after = `after ${seconds.toFixed(1)} s of ${asked}`;
  if (ended === 'process-ended')
    return [{ code: 'ended-early', message: `the process ended ${after}: this is what it did` }];
  if (ended === 'size-limit')
    return [
      {
        code: 'ended-early',
        message: `the recording was full ${after}: --max-size gives it more room`,
      },
    ];
  // Of a Ctrl-C nobody needs to be told.
  if (ended === 'interrupted' && endedItself)
    return [{ code: 'ended-early', message: `perf was ended ${after}, and not by us` }];
  return [];
}

function lossWords({ lost, strange }: Losses): StacksWarning[] {
  return [
    ...(lost > 0
      ? [
          {
            code: 'lost' as const,
            message: `the kernel had no room for ${lost} records: their stacks are not known`,
          },
        ]
      : []),
    ...(strange > 0
      ? [
          {
            code: 'unreadable' as const,
            message: `${strange} lines of perf script are of no known form`,
          },
        ]
      : []),
  ];
}

/** Samples a second that a machine takes without noticing. */
const MOST_A_SECOND = 4000;

/** Of perf.data for each sample: its stack, registers, and the record around them. */
const SAMPLE_BYTES = STACK_BYTES + 512;

/**
 * Each so many faults one is recorded, by how many there are a second: each one where perf.data has room
 * for that. A prime, since a program's loops have round numbers of pages.
 */
export function periodFor(faultsPerSecond: number, seconds: number, maxBytes: number): number {
  const room = maxBytes / 2 / SAMPLE_BYTES;
  const least = Math.max(
    faultsPerSecond / MOST_A_SECOND,
    (faultsPerSecond * seconds) / Math.max(1, room),
  );
  if (least <= 1) return 1;
  let period = Math.ceil(least);
  while (!isPrime(period)) period++;
  return period;
}

function isPrime(number: number): boolean {
  for (let factor = 2; factor * factor <= number; factor++) if (number % factor === 0) return false;
  return number > 1;
}
