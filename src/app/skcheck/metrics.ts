import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import type { MemoryAnswer } from '../../account/memory/answer.js';
import { memoryMetrics } from '../../answers/memory/prometheus.js';
import { formatHealth, formatPrometheus, readHealth, type ScanHealth } from '../../answers/skcheck/prometheus.js';
import { formatMetric, gauge } from '../../answers/text/prometheus.js';
import { ExhaustedError, isHostError, KdumpMemError } from '../../base/errors.js';
import { escapeText } from '../../base/escape.js';
import type { HostSource } from '../../host/host-source.js';
import type { ListenAddress } from '../kit/arguments.js';
import { EXHAUSTION_ADVICE } from '../kit/failure.js';
import type { LiveSource } from '../kit/from-argument.js';
import { serveMetrics } from '../kit/metrics-server.js';
import { writeTextfile } from '../kit/output.js';
import { adviceFor, EXIT, type SkcheckOptions } from './options.js';
import { scan } from './scan.js';

type Past = Pick<ScanHealth, 'failures' | 'lastSuccessMs'>;

/** Scans as metrics. A failed scan is reported in the metrics and on stderr. */
class ScanMetrics {
  #failures: number;
  #lastSuccessMs: number | null;
  readonly #memory: MemoryMetrics | undefined;
  /** The last message: a repeated failure, such as one of every scrape, is printed only once. */
  #lastMessage = '';

  constructor(
    readonly source: HostSource,
    readonly options: SkcheckOptions,
    { failures, lastSuccessMs }: Past = { failures: 0, lastSuccessMs: null },
  ) {
    this.#failures = failures;
    this.#lastSuccessMs = lastSuccessMs;
    this.#memory = options.memory === undefined ? undefined : machineMemory(options.memory);
  }

  /**
   * Returns the metrics of one scan, and of the memory breakdown if requested. If one fails, the other is
   * still returned.
   */
  async next(): Promise<{ readonly text: string; readonly ok: boolean }> {
    const sockets = await this.#sockets();
    const memory = await this.#memory?.next();
    if (!memory) return sockets;
    return { text: `${sockets.text}${memory.text}`, ok: sockets.ok && memory.ok };
  }

  /** Returns metrics of all sockets. Filters apply only to lists. */
  async #sockets(): Promise<{ readonly text: string; readonly ok: boolean }> {
    const began = performance.now();
    const { stale: _, top: __, verdict: ___, ...all } = this.options;
    try {
      const { report } = await scan(this.source, all);
      this.#lastSuccessMs = Date.now();
      this.#lastMessage = '';
      const figures = formatPrometheus(report, performance.now() - began);
      return { text: `${this.#health(null)}${figures}`, ok: true };
    } catch (error) {
      const exhausted = error instanceof ExhaustedError;
      if (!exhausted && !isHostError(error)) throw error;
      this.#failures++;
      const advice = exhausted ? EXHAUSTION_ADVICE : adviceFor(error.code, this.options.from !== undefined);
      const words = `skcheck: ${escapeText(error.message)}. ${advice}\n`;
      if (words !== this.#lastMessage) process.stderr.write(words);
      this.#lastMessage = words;
      return { text: this.#health(error.code), ok: false };
    }
  }

  #health(failure: ScanHealth['failure']): string {
    return formatHealth({ failure, failures: this.#failures, lastSuccessMs: this.#lastSuccessMs });
  }
}

/**
 * A result is reused for this multiple of its duration, so that sampling takes at most a twentieth of the
 * time.
 */
const REUSE_FACTOR = 20;

interface TimedSample {
  readonly answer: MemoryAnswer;
  readonly at: number;
  readonly durationMs: number;
}

/**
 * Memory breakdown as metrics, in addition to those of skcheck. Each scrape takes a new sample, unless that
 * would use more than a small share of the time: reading the flags of all page frames of a large machine
 * takes seconds. The age of the values is a metric. A failed sample is a metric too, and is logged once.
 */
export class MemoryMetrics {
  readonly #sample: () => Promise<MemoryAnswer>;
  readonly #now: () => number;
  #last: TimedSample | undefined;
  #reported = '';

  /** @param sample throws a {@link KdumpMemError} if permission is denied or no source is available */
  constructor(sample: () => Promise<MemoryAnswer>, now: () => number = () => performance.now()) {
    this.#sample = sample;
    this.#now = now;
  }

  async next(): Promise<{ readonly text: string; readonly ok: boolean }> {
    const kept = this.#last;
    if (kept && this.#now() - kept.at < REUSE_FACTOR * kept.durationMs) return { text: this.#metrics(kept), ok: true };
    const begun = this.#now();
    try {
      const answer = await this.#sample();
      const at = this.#now();
      this.#last = { answer, at, durationMs: at - begun };
      this.#reported = '';
      return { text: this.#metrics(this.#last), ok: true };
    } catch (error) {
      if (!(error instanceof KdumpMemError)) throw error;
      this.#last = undefined;
      const words = `skcheck: memory: ${escapeText(error.message)}.\n`;
      if (words !== this.#reported) process.stderr.write(words);
      this.#reported = words;
      return { text: up(0), ok: false };
    }
  }

  #metrics({ answer, at, durationMs }: TimedSample): string {
    const figures = [
      gauge('kdump_mem_memory_age_seconds', 'Age of the memory figures.', [[{}, (this.#now() - at) / 1000]]),
      gauge('kdump_mem_memory_scan_seconds', 'Duration of the scan.', [[{}, durationMs / 1000]]),
    ];
    return `${up(1)}${memoryMetrics(answer)}\n${figures.map(formatMetric).join('')}`;
  }
}

function up(value: 0 | 1): string {
  const help = '1: the last memory scan succeeded. 0: it failed.';
  return formatMetric(gauge('kdump_mem_memory_up', help, [[{}, value]]));
}

/** Returns metrics of this machine from one source. */
function machineMemory(source: LiveSource): MemoryMetrics {
  return new MemoryMetrics(async () => {
    const { liveMemory: lookLive } = await import('../memory/live.js');
    return lookLive({ live: true, engine: 'native', source }, () => undefined);
  });
}

/**
 * Serves `/metrics` until it is stopped. Each scrape scans anew; simultaneous scrapes share a scan. A failed
 * scan is reported in the metrics too (`skcheck_up 0`), since Prometheus discards the body of an error
 * response.
 */
export async function serve(source: HostSource, options: SkcheckOptions, address: ListenAddress): Promise<number> {
  const metrics = new ScanMetrics(source, options);
  let running: ReturnType<ScanMetrics['next']> | null = null;
  const fresh = async () => {
    running ??= metrics.next().finally(() => {
      running = null;
    });
    return (await running).text;
  };
  const ended = new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
  const server = await serveMetrics('skcheck', address, fresh);
  if (!server) return EXIT.scanIncomplete;
  await ended;
  await server.close();
  return EXIT.nothingStale;
}

/**
 * Maximum size of an existing metrics file. One written by skcheck has a few kilobytes; a larger file is not
 * read.
 */
const MAX_BYTES = 2 ** 20;

/**
 * Prints one scan as metrics: to stdout, or atomically into a file of node_exporter's textfile collector,
 * whose counters it continues. A failed scan prints metrics too (`skcheck_up 0`), and returns status 3.
 */
export async function printMetrics(source: HostSource, options: SkcheckOptions): Promise<number> {
  const file = typeof options.prometheus === 'string' ? options.prometheus : null;
  const past = file === null ? undefined : readHealth(readBefore(file));
  const { text, ok } = await new ScanMetrics(source, options, past).next();
  if (file === null) process.stdout.write(text);
  else writeTextfile(file, text);
  return ok ? EXIT.nothingStale : EXIT.scanIncomplete;
}

/**
 * Returns the content of the existing file; empty if there is none, or if skcheck would not have written it.
 */
function readBefore(file: string): string {
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return '';
  }
  try {
    const there = fstatSync(fd);
    return there.isFile() && there.size <= MAX_BYTES ? readFileSync(fd, 'utf8') : '';
  } finally {
    closeSync(fd);
  }
}
