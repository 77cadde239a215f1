import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs';
import { CpuStream, type StreamPlan } from './cpu-stream.js';
import { refused, type TraceInstance } from './instance.js';
import { filledBytes, type PageLayout } from './page.js';

interface Pipe {
  readonly cpu: number;
  readonly descriptor: number;
  readonly stream: CpuStream;
  /** The CPU may have written since the last read. */
  isOpen: boolean;
}

/** Result of one round of reading. */
export interface Round {
  /** All buffers were empty at the end. */
  readonly drained: boolean;
  /** Pages of the fullest buffer. */
  readonly mostPages: number;
}

/** Reads the buffers of an instance, one page per read, without blocking. */
export class InstanceReader {
  readonly streams: readonly CpuStream[];
  readonly #instance: TraceInstance;
  readonly #page: Buffer;
  readonly #layout: PageLayout;
  readonly #pipes: readonly Pipe[];
  #closed = false;

  /** @throws {TraceError} `trace-no-root`, `trace-locked-down` */
  constructor(instance: TraceInstance, plan: StreamPlan) {
    this.#instance = instance;
    this.#layout = plan.layout;
    this.#page = Buffer.alloc(plan.layout.pageBytes);
    const pipes: Pipe[] = [];
    this.#pipes = pipes;
    try {
      for (const cpu of instance.cpus)
        pipes.push({ cpu, descriptor: openPipe(instance, cpu), stream: new CpuStream(plan), isOpen: true });
    } catch (error) {
      this.close();
      throw error;
    }
    this.streams = pipes.map(({ stream }) => stream);
  }

  /** Common {@link CpuStream.upper} of all streams. */
  get upper(): number | null | undefined {
    const ends = new Set(this.streams.map(({ upper }) => upper));
    ends.delete(undefined);
    return ends.size > 1 ? null : [...ends][0];
  }

  /**
   * @param most pages of each buffer
   * @param now nanoseconds since the origin: all events of an empty buffer are known up to then
   * @param online CPUs that may have written; undefined: all
   */
  read(most: number, now: number, online?: ReadonlySet<number>): Round {
    let drained = true;
    let mostPages = 0;
    // An empty buffer, the most common case, is reported as an error: its stack would cost ten times as much.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    try {
      for (const pipe of this.#pipes) {
        const isOnline = online === undefined || online.has(pipe.cpu);
        // Events that a CPU wrote before it went offline are still queued.
        const pages = isOnline || pipe.isOpen ? this.#readPipe(pipe, most) : 0;
        const isEmpty = pages < most;
        pipe.isOpen = isOnline || !isEmpty;
        if (!isEmpty) drained = false;
        pipe.stream.knownUntil = isEmpty ? now : pipe.stream.lastTime;
        if (pages > mostPages) mostPages = pages;
      }
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
    return { drained, mostPages };
  }

  /** Number of events read. */
  get events(): number {
    return this.streams.reduce((sum, { events }) => sum + events, 0);
  }

  /** Number of events that the buffers lost, by their own counters; null if they cannot be read. */
  overrun(): number | null {
    let sum = 0;
    for (const { cpu } of this.#pipes) {
      const stats = this.#instance.stats(cpu);
      if (stats === null) return null;
      sum += stats.overrun + stats.commitOverrun + stats.dropped;
    }
    return sum;
  }

  /**
   * Difference between the events that the kernel counts as read or still queued, and those read here:
   * another program read or emptied the buffers. To be called when everything is read. Null if the kernel
   * does not report it.
   */
  unmatched(): number | null {
    let sum = 0;
    for (const { cpu, stream } of this.#pipes) {
      const stats = this.#instance.stats(cpu);
      if (stats === null) return null;
      sum += Math.abs(stats.read - stream.records) + stats.entries;
    }
    return sum;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { descriptor } of this.#pipes) closeSync(descriptor);
  }

  #readPipe({ descriptor, stream }: Pipe, most: number): number {
    for (let pages = 0; pages < most; pages++) {
      const length = readPage(descriptor, this.#page);
      if (length === 0) return pages;
      stream.page(this.#page, length);
      // A page that is less than half full is being written: there is no other. The first may be the
      // remainder of a partly read page.
      if (pages > 0 && filledBytes(this.#page, this.#layout) < this.#page.length / 2) return pages + 1;
    }
    return most;
  }
}

/** CPUs that are online; undefined: unknown. */
export function onlineCpus(): ReadonlySet<number> | undefined {
  let text: string;
  try {
    text = readFileSync('/sys/devices/system/cpu/online', 'latin1').trim();
  } catch {
    return undefined;
  }
  const cpus = new Set<number>();
  for (const range of text.split(',')) {
    const { first, last } = /^(?<first>\d{1,5})(?:-(?<last>\d{1,5}))?$/.exec(range)?.groups ?? {};
    if (first === undefined) return undefined;
    for (let cpu = Number(first); cpu <= Number(last ?? first); cpu++) cpus.add(cpu);
  }
  return cpus;
}

function openPipe(instance: TraceInstance, cpu: number): number {
  const file = `${instance.path}/per_cpu/cpu${cpu}/trace_pipe_raw`;
  try {
    return openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw refused(file, (cause as NodeJS.ErrnoException).code ?? 'unknown', cause);
  }
}

/** @returns number of bytes; 0 if it is empty */
function readPage(descriptor: number, page: Buffer): number {
  try {
    return readSync(descriptor, page);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
    throw error;
  }
}
