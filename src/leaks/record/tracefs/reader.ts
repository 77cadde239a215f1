import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs';
import { CpuStream, type StreamPlan } from './cpu-stream.js';
import type { TraceInstance } from './instance.js';
import { filledBytes } from './page.js';
import type { PageLayout } from './page-layout.js';
import { refused } from './root.js';

interface Pipe {
  readonly cpu: number;
  readonly descriptor: number;
  readonly stream: CpuStream;
  /** It may have written since it was read last. */
  isOpen: boolean;
}

/** What one round of reading came to. */
export interface Round {
  /** Each buffer was empty at its end. */
  readonly drained: boolean;
  /** Of the buffer that had most, pages. */
  readonly mostPages: number;
}

/** The buffers of an instance, a page with each read: plain reads that never wait. */
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
        pipes.push({
          cpu,
          descriptor: openPipe(instance, cpu),
          stream: new CpuStream(plan),
          isOpen: true,
        });
    } catch (error) {
      this.close();
      throw error;
    }
    this.streams = pipes.map(({ stream }) => stream);
  }

  /** {@link CpuStream.upper} of all of them. */
  get upper(): number | null | undefined {
    const found = new Set(this.streams.map(({ upper }) => upper));
    found.delete(undefined);
    return found.size > 1 ? null : [...found][0];
  }

  /**
   * @param most pages of each buffer
   * @param now nanoseconds since the origin: of a buffer that is empty all is known up to then
   * @param online CPUs that may have written; undefined: all
   */
  read(most: number, now: number, online?: ReadonlySet<number>): Round {
    let drained = true;
    let mostPages = 0;
    // Most buffers are empty most of the time, which comes as an error: its stack would cost ten times as much.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    try {
      for (const pipe of this.#pipes) {
        const isOnline = online === undefined || online.has(pipe.cpu);
        // What a CPU wrote before it went off waits still.
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

  /** That were read. */
  get events(): number {
    return this.streams.reduce((sum, { events }) => sum + events, 0);
  }

  /** Events that the buffers lost, by their own counters; null: they cannot be read. */
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
   * By how many events of any kind what the kernel says was read differs from what was read here, and those that it
   * has still: somebody else read the buffers, or emptied them. To be asked when all is read. Null: it does not tell.
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
      // A page that is hardly half full is the one that is written now: there is no other. The first may be what
      // was left of one that was read in part.
      if (pages > 0 && filledBytes(this.#page, this.#layout) < this.#page.length / 2)
        return pages + 1;
    }
    return most;
  }
}

/** CPUs that run now; undefined: the kernel does not tell. */
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

/** @returns bytes; 0: it is empty */
function readPage(descriptor: number, page: Buffer): number {
  try {
    return readSync(descriptor, page);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
    throw error;
  }
}
