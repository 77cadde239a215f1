import { randomBytes } from 'node:crypto';
import { accessSync, constants, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { TraceError } from '../../base/errors/trace.js';
import { asMissing, type PerfRun, signalPerf, startPerf, Words } from './run.js';
import type { EventNames } from './sample.js';

/** What is to be recorded. */
export interface RecordOrder {
  readonly pid: number;
  readonly seconds: number;
  /** Each so many faults one is recorded. */
  readonly period: number;
  /** Of perf.data, bytes. */
  readonly maxBytes: number;
  readonly file: string;
  /** Ends it early. */
  readonly stop: AbortSignal;
  /** Told before and after perf begins to record, and before and after it ends. */
  readonly mark: (moment: Moment) => void;
}

export type Moment = 'before' | 'begun' | 'ending' | 'ended';

/** What was recorded. */
export interface Recording {
  readonly names: EventNames;
  readonly seconds: number;
  /** Sizes of pages are recorded. */
  readonly pageSizes: boolean;
  /** Calls of mmap and brk are recorded. */
  readonly spaceCalls: boolean;
  /** By itself: the process is gone, or the file is full. */
  readonly endedItself: boolean;
  /** perf said that the file is full. */
  readonly full: boolean;
}

/** Bytes of stack that perf copies of each sample: most of 64 KiB would be for nothing. */
export const STACK_BYTES = 8192;

/** How long perf may take to begin, and to write down what it has. */
const PATIENCE_MS = 20_000;

/**
 * Records page faults of a process, and where that is each of them and tracepoints can be read calls of mmap
 * and brk too.
 *
 * @throws {TraceError} `perf-missing`, `perf-refused`, `perf-failed`
 */
export async function record(order: RecordOrder): Promise<Recording> {
  const options = await optionsOfPerf();
  if (!options.includes('--control') || !options.includes('--data '))
    throw new TraceError('perf-failed', 'perf: version too old (--control requires 5.10)');
  const pageSizes = options.includes('--data-page-size');
  // Where not each fault is recorded, such calls would fill the file before faults do.
  const spaceCalls =
    order.period === 1 && isReadable('/sys/kernel/tracing/events/syscalls/sys_enter_mmap/id');
  const secret = randomBytes(8).toString('hex');
  const names = { minor: `minor_${secret}`, major: `major_${secret}` };
  const perf = startPerf(argumentsOf(order, names, { pageSizes, spaceCalls }), { control: true });
  const session = new Session(perf, order.mark);
  try {
    const outcome = await session.run(order);
    return { names, pageSizes, spaceCalls, ...outcome };
  } finally {
    session.kill();
  }
}

function argumentsOf(
  { pid, seconds, period, maxBytes, file }: RecordOrder,
  { minor, major }: EventNames,
  { pageSizes, spaceCalls }: Pick<Recording, 'pageSizes' | 'spaceCalls'>,
): string[] {
  return [
    'record',
    ...['--output', file, '--max-size', `${maxBytes}B`],
    ...['--no-buildid-cache', '--delay', '-1', '--control', 'fd:3,4'],
    ...['--call-graph', `dwarf,${STACK_BYTES}`, '--user-callchains', '--data'],
    ...(pageSizes ? ['--data-page-size'] : []),
    ...['--mmap-pages', bufferSize()],
    ...['--event', `minor-faults/name=${minor},period=${period}/`],
    // Each of them: they are few, since each waits for a disk.
    ...['--event', `major-faults/name=${major},period=1/`],
    ...(spaceCalls ? ['--event', 'syscalls:sys_enter_mmap,syscalls:sys_enter_brk'] : []),
    ...['--pid', String(pid)],
    // Should we be killed, perf ends all the same.
    ...['--', 'sleep', String(seconds + PATIENCE_MS / 1000)],
  ];
}

/** Its buffer for each CPU: 64 MiB for all at most. Without root the kernel grants what is the default. */
function bufferSize(): string {
  if (process.geteuid?.() !== 0) return '512K';
  const each = Math.min(8192, 65_536 / availableParallelism());
  return `${2 ** Math.floor(Math.log2(Math.max(512, each)))}K`;
}

/** perf, told by its control descriptor when to record. */
class Session {
  readonly #perf: PerfRun;
  readonly #mark: (moment: Moment) => void;
  readonly #words: Words;
  readonly #control: Duplex | undefined;
  readonly #ended: Promise<'ended'>;
  /** perf says so at once, and takes a second to end. */
  readonly #full: Promise<'full'>;
  #answers = 0;
  /** It has ended, and was not killed by us. */
  #over = false;
  #killed = false;
  #wake: () => void = () => {};

  constructor(perf: PerfRun, mark: (moment: Moment) => void) {
    this.#perf = perf;
    this.#mark = mark;
    this.#words = new Words(perf.stderr);
    perf.stdout?.resume();
    for (const stream of perf.control ?? []) stream?.on('error', () => undefined);
    this.#control = perf.control?.[0];
    perf.control?.[1]?.on('data', (bytes: Buffer) => {
      this.#answers += bytes.toString('latin1').split('ack').length - 1;
      this.#wake();
    });
    this.#ended = perf.ended.then(() => {
      this.#over = !this.#killed;
      return 'ended';
    });
    this.#full = new Promise((done) => {
      perf.stderr?.on('data', () => {
        if (this.#isFull) done('full');
      });
    });
  }

  get #isFull(): boolean {
    return /size limit reached/.test(this.#words.text);
  }

  async run({
    seconds,
    stop,
  }: RecordOrder): Promise<Pick<Recording, 'seconds' | 'endedItself' | 'full'>> {
    // Nothing is enabled yet: it is asked for its answer.
    if (!(await this.#told('disable'))) throw await this.#failure();
    this.#mark('before');
    const began = performance.now();
    if (!(await this.#told('enable'))) throw await this.#failure();
    this.#mark('begun');
    const timer = new AbortController();
    const reason = await Promise.race([
      this.#ended,
      this.#full,
      delay(seconds * 1000, 'time', { signal: AbortSignal.any([stop, timer.signal]) }).catch(
        () => 'stopped',
      ),
    ]);
    timer.abort();
    const took = (performance.now() - began) / 1000;
    let endedItself = reason === 'ended' || reason === 'full';
    if (!endedItself) {
      this.#mark('ending');
      if (await this.#told('disable')) this.#mark('ended');
      else endedItself = true;
      signalPerf(this.#perf.pid, 'SIGINT');
    }
    await this.#settled();
    const { failed, signal } = await this.#perf.ended;
    if (failed && signal !== 'SIGINT' && signal !== 'SIGTERM') throw await this.#failure();
    return { seconds: took, endedItself, full: this.#isFull };
  }

  kill(): void {
    this.#killed = true;
    signalPerf(this.#perf.pid, 'SIGKILL');
  }

  /** Whether it has done as it was told: not if it ended, or says nothing. */
  async #told(command: 'enable' | 'disable'): Promise<boolean> {
    const wanted = this.#answers + 1;
    this.#control?.write(`${command}\n`);
    const answered = new Promise<'answered'>((done) => {
      this.#wake = () => {
        if (this.#answers >= wanted) done('answered');
      };
    });
    const timer = new AbortController();
    const reason = await Promise.race([
      ...[answered, this.#ended],
      delay(PATIENCE_MS, 'late', { signal: timer.signal }).catch(() => 'late'),
    ]);
    timer.abort();
    return reason === 'answered';
  }

  async #settled(): Promise<void> {
    const timer = new AbortController();
    await Promise.race([
      this.#ended,
      delay(PATIENCE_MS, undefined, { signal: timer.signal }).catch(() => undefined),
    ]);
    timer.abort();
    this.kill();
    await this.#ended;
  }

  async #failure(): Promise<TraceError> {
    const over = this.#over;
    this.kill();
    const { cause, signal } = await this.#perf.ended;
    const missing = asMissing(cause);
    if (missing) return missing;
    const { reason, text } = this.#words;
    if (over && signal !== undefined)
      return new TraceError('perf-failed', `perf record: killed by ${signal}`, { cause });
    if (/No space left on device/.test(text))
      return new TraceError('no-room', 'no space left for perf.data', { cause });
    const refused = /paranoid|permission|not permitted|access to performance/i.test(text);
    return new TraceError(refused ? 'perf-refused' : 'perf-failed', `perf record: ${reason}`, {
      cause,
    });
  }
}

/** What `perf record -h` lists. */
async function optionsOfPerf(): Promise<string> {
  const perf = startPerf(['record', '-h'], { timeout: PATIENCE_MS });
  const [out, errors] = [new Words(perf.stdout), new Words(perf.stderr)];
  const { cause } = await perf.ended;
  const missing = asMissing(cause);
  if (missing) throw missing;
  const text = out.text + errors.text;
  if (/--output/.test(text)) return text;
  // Ubuntu’s is a script that looks for the perf of the kernel that runs.
  throw new TraceError('perf-missing', `perf: start failed (${errors.reason})`);
}

function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
