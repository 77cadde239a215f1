import { randomBytes } from 'node:crypto';
import { accessSync, constants, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { TraceError } from '../../base/errors.js';
import { CappedText, missingPerf, type PerfRun, signalPerf, startPerf } from './run.js';
import type { EventNames } from './script.js';

/** Parameters of a recording. */
export interface RecordOptions {
  readonly pid: number;
  readonly seconds: number;
  /** Sampling period of faults. */
  readonly period: number;
  /** Maximum size of perf.data, bytes. */
  readonly maxBytes: number;
  readonly file: string;
  /** Ends the recording early. */
  readonly stop: AbortSignal;
  /** Called before and after perf starts to record, and before and after it stops. */
  readonly mark: (moment: Moment) => void;
}

export type Moment = 'before' | 'begun' | 'ending' | 'ended';

export interface Recording {
  readonly names: EventNames;
  readonly seconds: number;
  readonly pageSizes: boolean;
  /** Calls of mmap and brk are recorded. */
  readonly spaceCalls: boolean;
  /** perf ended by itself: the process exited, or the file is full. */
  readonly endedItself: boolean;
  /** perf reported that the file is full. */
  readonly full: boolean;
}

/** Bytes of stack that perf copies per sample: most of 64 KiB would be wasted. */
export const STACK_BYTES = 8192;

/** Time limit for perf to start, and to write its data. */
const RESPONSE_MS = 20_000;

/**
 * Records page faults of a process; if each fault is recorded and tracepoints are readable, also calls
 * of mmap and brk.
 *
 * @throws {TraceError} `perf-missing`, `perf-refused`, `perf-failed`
 */
export async function record(order: RecordOptions): Promise<Recording> {
  const options = await optionsOfPerf();
  if (!options.includes('--control') || !options.includes('--data '))
    throw new TraceError('perf-failed', 'perf: version too old (--control requires 5.10)');
  const pageSizes = options.includes('--data-page-size');
  // If faults are sampled, such calls would fill the file first.
  const spaceCalls = order.period === 1 && isReadable('/sys/kernel/tracing/events/syscalls/sys_enter_mmap/id');
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
  { pid, seconds, period, maxBytes, file }: RecordOptions,
  { minor, major }: EventNames,
  { pageSizes, spaceCalls }: Pick<Recording, 'pageSizes' | 'spaceCalls'>,
): string[] {
  return [
    'record',
    '--output',
    file,
    '--max-size',
    `${maxBytes}B`,
    '--no-buildid-cache',
    '--delay',
    '-1',
    '--control',
    'fd:3,4',
    '--call-graph',
    `dwarf,${STACK_BYTES}`,
    '--user-callchains',
    '--data',
    ...(pageSizes ? ['--data-page-size'] : []),
    '--mmap-pages',
    bufferSize(),
    '--event',
    `minor-faults/name=${minor},period=${period}/`,
    // Every major fault: they are few, since each waits for a disk.
    '--event',
    `major-faults/name=${major},period=1/`,
    ...(spaceCalls ? ['--event', 'syscalls:sys_enter_mmap,syscalls:sys_enter_brk'] : []),
    '--pid',
    String(pid),
    // perf ends even if kdump-mem is killed.
    '--',
    'sleep',
    String(seconds + RESPONSE_MS / 1000),
  ];
}

/** Buffer size per CPU: at most 64 MiB in total. Without root the kernel only grants the default. */
function bufferSize(): string {
  if (process.geteuid?.() !== 0) return '512K';
  const perCpu = Math.min(8192, 65_536 / availableParallelism());
  return `${2 ** Math.floor(Math.log2(Math.max(512, perCpu)))}K`;
}

/** A perf process controlled through its control descriptor. */
class Session {
  readonly #perf: PerfRun;
  readonly #mark: (moment: Moment) => void;
  readonly #messages: CappedText;
  readonly #control: Duplex | undefined;
  readonly #ended: Promise<'ended'>;
  /** perf reports it immediately, but takes a second to exit. */
  readonly #full: Promise<'full'>;
  #answers = 0;
  /** It has exited, and was not killed by kdump-mem. */
  #hasEnded = false;
  #killed = false;
  #wake: () => void = () => {};

  constructor(perf: PerfRun, mark: (moment: Moment) => void) {
    this.#perf = perf;
    this.#mark = mark;
    this.#messages = new CappedText(perf.stderr);
    perf.stdout?.resume();
    for (const stream of perf.control ?? []) stream?.on('error', () => undefined);
    this.#control = perf.control?.[0];
    perf.control?.[1]?.on('data', (bytes: Buffer) => {
      this.#answers += bytes.toString('latin1').split('ack').length - 1;
      this.#wake();
    });
    this.#ended = perf.ended.then(() => {
      this.#hasEnded = !this.#killed;
      return 'ended';
    });
    this.#full = new Promise((done) => {
      perf.stderr?.on('data', () => {
        if (this.#isFull) done('full');
      });
    });
  }

  get #isFull(): boolean {
    return /size limit reached/.test(this.#messages.text);
  }

  async run({ seconds, stop }: RecordOptions): Promise<Pick<Recording, 'seconds' | 'endedItself' | 'full'>> {
    // Nothing is enabled yet: this only checks that perf responds.
    if (!(await this.#command('disable'))) throw await this.#failure();
    this.#mark('before');
    const began = performance.now();
    if (!(await this.#command('enable'))) throw await this.#failure();
    this.#mark('begun');
    const timer = new AbortController();
    const reason = await Promise.race([
      this.#ended,
      this.#full,
      delay(seconds * 1000, 'time', { signal: AbortSignal.any([stop, timer.signal]) }).catch(() => 'stopped'),
    ]);
    timer.abort();
    const took = (performance.now() - began) / 1000;
    let endedItself = reason === 'ended' || reason === 'full';
    if (!endedItself) {
      this.#mark('ending');
      if (await this.#command('disable')) this.#mark('ended');
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

  /** Whether perf acknowledged a command: false if it exited or does not respond. */
  async #command(command: 'enable' | 'disable'): Promise<boolean> {
    const wanted = this.#answers + 1;
    this.#control?.write(`${command}\n`);
    const answered = new Promise<'answered'>((done) => {
      this.#wake = () => {
        if (this.#answers >= wanted) done('answered');
      };
    });
    const timer = new AbortController();
    const reason = await Promise.race([
      answered,
      this.#ended,
      delay(RESPONSE_MS, 'late', { signal: timer.signal }).catch(() => 'late'),
    ]);
    timer.abort();
    return reason === 'answered';
  }

  async #settled(): Promise<void> {
    const timer = new AbortController();
    await Promise.race([this.#ended, delay(RESPONSE_MS, undefined, { signal: timer.signal }).catch(() => undefined)]);
    timer.abort();
    this.kill();
    await this.#ended;
  }

  async #failure(): Promise<TraceError> {
    const over = this.#hasEnded;
    this.kill();
    const { cause, signal } = await this.#perf.ended;
    const missing = missingPerf(cause);
    if (missing) return missing;
    const { reason, text } = this.#messages;
    if (over && signal !== undefined)
      return new TraceError('perf-failed', `perf record: killed by ${signal}`, { cause });
    if (/No space left on device/.test(text))
      return new TraceError('no-room', 'no space left for perf.data', { cause });
    const refused = /paranoid|permission|not permitted|access to performance/i.test(text);
    return new TraceError(refused ? 'perf-refused' : 'perf-failed', `perf record: ${reason}`, { cause });
  }
}

/** Output of `perf record -h`. */
async function optionsOfPerf(): Promise<string> {
  const perf = startPerf(['record', '-h'], { timeout: RESPONSE_MS });
  const [out, errors] = [new CappedText(perf.stdout), new CappedText(perf.stderr)];
  const { cause } = await perf.ended;
  const missing = missingPerf(cause);
  if (missing) throw missing;
  const text = out.text + errors.text;
  if (/--output/.test(text)) return text;
  // Ubuntu’s perf is a script that searches for the running kernel's perf.
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
