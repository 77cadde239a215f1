import { setTimeout as delay } from 'node:timers/promises';
import { TraceError } from '../../base/errors.js';
import type { AllocationStacks } from '../../contracts/stacks.js';
import type { HostSource } from '../../host/host-source.js';
import { readPageSize } from '../../host/proc/memory.js';
import { optionalText } from '../../host/proc/process.js';
import { type Moment, type Recording, type RecordOptions, record, STACK_BYTES } from '../perf/record.js';
import { PerfScratch } from '../perf/run.js';
import { type Losses, readRecording } from '../perf/script.js';
import {
  type CountedMeanwhile,
  checkFaults,
  checkGrowth,
  type FaultCounts,
  grown,
  readAnonymous,
  readFaultCounts,
  readHeapEnd,
  type StacksWarning,
  stateOf,
} from './counts.js';
import { StackSums } from './stack-sums.js';

/** Parameters of a recording. */
export interface StacksRequest {
  readonly pid: number;
  readonly seconds: number;
  /** Maximum size of perf.data, bytes. */
  readonly maxBytes: number;
  /** Ends the recording early: the data so far is evaluated. */
  readonly stop: AbortSignal;
  readonly abort: AbortSignal;
  readonly progress: (text: string) => void;
}

/** Time to sample the process before the recording, to determine its fault rate. */
const RATE_SAMPLE_MS = 250;

/**
 * Records the page faults of a process for some seconds, and attributes new memory to stacks.
 *
 * @throws {TraceError} perf is missing, refused or failed; `process-ended` before anything was recorded
 */
export async function recordStacks(source: HostSource, question: StacksRequest): Promise<AllocationStacks> {
  const { pid, seconds, maxBytes, stop, abort, progress } = question;
  const comm = optionalText(source, `/proc/${pid}/comm`).replace(/\n$/, '');
  const period = await choosePeriod(source, question);
  const scratch = new PerfScratch();
  try {
    const heapEnd = await readHeapEnd(source, pid);
    const watch = new Watch(source, pid);
    progress(`recording page faults of pid ${pid} for ${seconds} s (Ctrl-C ends the recording) …`);
    const order: RecordOptions = {
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
        throw new TraceError('process-ended', `pid ${pid} exited before the recording began`);
      // perf itself reports no reason in this case.
      if (error instanceof TraceError && error.code === 'perf-failed' && scratch.isFull)
        throw new TraceError('no-room', 'no space left for perf.data', { cause: error });
      throw error;
    });
    const pageSize = readPageSize(source);
    const sums = new StackSums(pid, period, pageSize, heapEnd);
    progress('resolving symbols …');
    const losses = await readRecording(scratch.file, recording.names, (sample) => sums.add(sample), abort);
    return answerOf({ comm, question, recording, sums, losses, watch });
  } finally {
    scratch.remove();
  }
}

/** Samples /proc data of the process while perf runs. */
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

  /** RssAnon is read within the interval in which faults are counted. */
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

async function choosePeriod(source: HostSource, { pid, seconds, maxBytes }: StacksRequest): Promise<number> {
  const before = readFaultCounts(source, pid);
  const began = performance.now();
  await delay(RATE_SAMPLE_MS);
  const after = readFaultCounts(source, pid);
  if (!before || !after) throw new TraceError('process-ended', `pid ${pid} exited before the recording began`);
  const rate = (1000 * (after.minor - before.minor)) / (performance.now() - began);
  return periodFor(rate, seconds, maxBytes);
}

function isAlive(source: HostSource, pid: number): boolean {
  return stateOf(source, pid) === 'alive';
}

interface RecordedFaults {
  readonly comm: string;
  readonly question: StacksRequest;
  readonly recording: Recording;
  readonly sums: StackSums;
  readonly losses: Losses;
  readonly watch: Watch;
}

function answerOf({ comm, question, recording, sums, losses, watch }: RecordedFaults): AllocationStacks {
  const { pid, seconds: requestedSeconds, stop } = question;
  const { counted, growth, threads } = watch;
  const { lost } = losses;
  const end = endOf(recording, stop, watch.isAlive);
  const warnings = [
    ...early(end, recording, requestedSeconds),
    ...lossMessages(losses),
    ...(counted ? checkFaults(sums, counted, lost, threads) : []),
  ];
  if (warnings.length === 0 && sums.period === 1 && growth !== null) {
    const contradiction = checkGrowth(sums, growth, threads);
    if (contradiction) warnings.push(contradiction);
  }
  const { anonymous, shared, hugetlb, file, unknown } = sums.kinds;
  const newBytes = anonymous.bytes + shared.bytes + hugetlb.bytes;
  return {
    schema: 'kdump-mem.stacks/1',
    source: 'perf',
    pid,
    comm,
    seconds: Math.round(recording.seconds * 1000) / 1000,
    requestedSeconds,
    ended: end,
    period: sums.period,
    samples: sums.samples,
    pageSize: sums.pageSize,
    pageSizesKnown: recording.pageSizes && sums.sizesUnknown === 0,
    newBytes,
    newBytesPerSecond: recording.seconds > 0 ? Math.round(newBytes / recording.seconds) : null,
    anonymous,
    shared,
    hugetlb,
    file,
    unknown,
    swappedIn: sums.swappedIn,
    childFaults: sums.ofChildren,
    minorFaults: sums.minor,
    majorFaults: sums.major,
    kernelFaults: counted && grown(counted, ({ minor, major }) => minor + major),
    anonymousGrowthBytes: growth,
    lostRecords: lost,
    truncatedBytes: sums.truncatedBytes,
    functions: sums.functions().toSorted((a, b) => b.newBytes - a.newBytes),
    stacks: [...sums.stacks.values()].toSorted((a, b) => b.newBytes - a.newBytes),
    addressSpace: recording.spaceCalls
      ? {
          mmap: [...sums.space.mmap.values()].toSorted((a, b) => b.bytes - a.bytes),
          brk: [...sums.space.brk.values()].toSorted((a, b) => b.bytes - a.bytes),
        }
      : null,
    complete: warnings.length === 0,
    warnings,
  };
}

function endOf({ endedItself, full }: Recording, { aborted }: AbortSignal, alive: boolean): AllocationStacks['ended'] {
  if (!endedItself) return aborted ? 'interrupted' : alive ? 'time' : 'process-ended';
  if (!alive) return 'process-ended';
  return full ? 'size-limit' : 'interrupted';
}

function early(
  ended: AllocationStacks['ended'],
  { endedItself, seconds }: Recording,
  requested: number,
): StacksWarning[] {
  const after = `after ${seconds.toFixed(1)} s of ${requested}`;
  if (ended === 'process-ended')
    return [{ code: 'ended-early', message: `the process exited ${after}: all its faults until then are reported` }];
  if (ended === 'size-limit')
    return [{ code: 'ended-early', message: `the recording reached its size limit ${after} (--max-size raises it)` }];
  // After Ctrl-C, the user needs no explanation.
  if (ended === 'interrupted' && endedItself)
    return [{ code: 'ended-early', message: `another program ended perf ${after}` }];
  return [];
}

function lossMessages({ lost, unparsed }: Losses): StacksWarning[] {
  return [
    ...(lost > 0
      ? [
          {
            code: 'lost' as const,
            message: `${lost} records were lost because a kernel buffer was full: their stacks are unknown`,
          },
        ]
      : []),
    ...(unparsed > 0
      ? [{ code: 'unreadable' as const, message: `${unparsed} lines of perf script are malformed or unsupported` }]
      : []),
  ];
}

/** Samples per second that do not noticeably load a machine. */
const MAX_PER_SECOND = 4000;

/** Size of a sample in perf.data: stack, registers, and record overhead. */
const SAMPLE_BYTES = STACK_BYTES + 512;

/**
 * Returns the sampling period for a fault rate: 1 if perf.data has room for every fault. A prime, since
 * loops often fault a round number of pages.
 */
export function periodFor(faultsPerSecond: number, seconds: number, maxBytes: number): number {
  const room = maxBytes / 2 / SAMPLE_BYTES;
  const least = Math.max(faultsPerSecond / MAX_PER_SECOND, (faultsPerSecond * seconds) / Math.max(1, room));
  if (least <= 1) return 1;
  let period = Math.ceil(least);
  while (!isPrime(period)) period++;
  return period;
}

function isPrime(number: number): boolean {
  for (let factor = 2; factor * factor <= number; factor++) if (number % factor === 0) return false;
  return number > 1;
}
