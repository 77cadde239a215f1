import { StoredError } from '../../answers/growth/stored.js';
import { watchHtml } from '../../answers/watch/html/page.js';
import { watchAnswer, watchMetrics, watchText } from '../../answers/watch/render.js';
import { storedWatchSample } from '../../answers/watch/sample.js';
import { isComplete, verdictWords, type Watched } from '../../answers/watch/words.js';
import { HostError, KdumpMemError } from '../../base/errors.js';
import { escapeText } from '../../base/escape.js';
import { shellPath } from '../../base/shell.js';
import { inflect } from '../../base/size.js';
import { storeFiles } from '../../base/store.js';
import { formatJson } from '../../base/util.js';
import type { WatchSample } from '../../growth/watch/answer.js';
import { WatchGrowth } from '../../growth/watch/watch.js';
import { LineCutter } from '../../host/lines.js';
import { liveHost } from '../../host/live.js';
import { readMachine } from '../../host/proc/machine-sample.js';
import { Warnings } from '../../walk/warnings.js';
import { EXIT } from '../kit/failure.js';
import { type Page, writePage } from '../kit/html-page.js';
import { printAnswer, printText, printWarnings, writeTextfile } from '../kit/output.js';
import { SampleLoop } from '../kit/screen.js';
import { terminalWidth } from '../kit/terminal.js';
import { liveMemory } from '../memory/live.js';
import type { WatchOptions } from './options.js';
import { checkSameHost, Sampler, WatchStore } from './sample.js';

/** Watches a machine, and stores its samples. */
export class Watch {
  readonly #growth = new WatchGrowth();
  readonly #warnings = new Warnings();
  readonly #again = new SampleLoop();
  readonly #sampler: Pick<Sampler, 'take' | 'resume'>;
  readonly #options: WatchOptions;
  #store: WatchStore | undefined;
  #stored: StoredSamples = { last: undefined, torn: 0 };
  #count = 0;
  /** Failed samples: in total, and since the last successful one. */
  #lost = { all: 0, since: 0 };
  #up = true;
  #metrics: { readonly tried: number; readonly text: string } | undefined;
  #ended: Watched['ended'] = 'signal';
  /** The last message, so that a failure that repeats every minute is printed only once. */
  #lastMessage = '';

  /** @param sampler takes the samples; by default, samples this machine */
  constructor(options: WatchOptions, sampler?: Pick<Sampler, 'take' | 'resume'>) {
    this.#options = options;
    const { source } = options;
    this.#sampler =
      sampler ??
      new Sampler(liveHost, () => liveMemory({ live: true, engine: 'native', source }, () => undefined), options);
  }

  /** @throws {StoreError}, {@link HostError}: the store cannot be continued */
  async open(): Promise<void> {
    const { store: file, rotate, keep } = this.#options;
    if (file === undefined) return;
    this.#store = await WatchStore.open(file, { rotate, keep });
    this.#stored = readStore(file, this.#warnings, (sample) => this.#growth.add(sample));
    const { last } = this.#stored;
    if (!last) return;
    checkSameHost(file, last, readMachine(liveHost, new Date()));
    this.#sampler.resume(last);
  }

  /**
   * Takes samples until a signal, or until the requested time is over.
   *
   * @throws {HostError} the first sample fails, or samples are of another machine
   * @throws {StoreError} `other-writer`
   */
  async run(): Promise<void> {
    const { interval, for: time = Number.POSITIVE_INFINITY } = this.#options;
    const begun = performance.now();
    await this.#again.run(interval, Number.POSITIVE_INFINITY, async () => {
      await this.#sample();
      // Stops if the next sample would be after the requested time.
      if ((performance.now() - begun) / 1000 + interval <= time) return;
      if (!this.#again.interrupted) this.#ended = 'time';
      this.#again.stop();
    });
    this.#store?.close();
  }

  /**
   * Returns the metrics as of the last sample. They are cached: scrapes may be more frequent than samples,
   * and computing trends is expensive.
   */
  readonly metrics = (): string => {
    const tried = this.#count + this.#lost.all;
    if (this.#metrics?.tried !== tried)
      this.#metrics = {
        tried,
        text: watchMetrics(this.#growth.answer(), {
          up: this.#up,
          lost: this.#lost.all,
          notStored: this.#store?.notStored ?? 0,
        }),
      };
    return this.#metrics.text;
  };

  /** @throws {HostError} there is no sample */
  answer(): Watched {
    const answer = this.#growth.answer();
    if (!answer) throw new HostError('unreadable', 'no samples');
    const { store } = this.#options;
    const [warnings, notStored] = [this.#warnings, this.#store?.notStored ?? 0];
    if (notStored > 0)
      warnings.add(
        'unreadable',
        `${notStored} ${inflect(notStored, 'sample')} could not be stored: see the last error`,
      );
    return {
      answer,
      ended: this.#ended,
      store: store === undefined ? null : { file: store, tornLines: this.#stored.torn, notStored },
      warnings: warnings.list(),
    };
  }

  async #sample(): Promise<void> {
    let sample: WatchSample;
    try {
      sample = await this.#sampler.take(new Date(), this.#lost.since);
    } catch (error) {
      // If the first sample fails, the command exits: its user is still there to read the error.
      if (!(error instanceof KdumpMemError) || this.#count === 0) throw error;
      this.#lost = { all: this.#lost.all + 1, since: this.#lost.since + 1 };
      this.#up = false;
      // A stale file that still reports `up` would hide the failure.
      const unwritten = this.#writeMetrics();
      this.#say(`sample failed: ${error.message}${unwritten === null ? '' : `; ${unwritten}`}`);
      return;
    }
    this.#count++;
    this.#lost.since = 0;
    this.#up = true;
    if (this.#growth.add(sample) === 'mixed')
      throw new HostError('unreadable', 'samples of several machines or boots are mixed');
    const failed = this.#store?.add(sample) ?? null;
    const unwritten = this.#writeMetrics();
    const { noCategories } = sample;
    if (failed) this.#say(`sample not stored: ${failed.message}`);
    else if (unwritten !== null) this.#say(unwritten);
    else if (noCategories !== null) this.#say(`memory breakdown not available: ${noCategories}`);
    else this.#lastMessage = '';
  }

  /** @returns why the metrics cannot be written, or null */
  #writeMetrics(): string | null {
    const { prometheus } = this.#options;
    if (typeof prometheus !== 'string') return null;
    try {
      writeTextfile(prometheus, this.metrics());
      return null;
    } catch (error) {
      if (error instanceof KdumpMemError) return error.message;
      throw error;
    }
  }

  #say(words: string): void {
    if (words !== this.#lastMessage) process.stderr.write(`kdump-mem: ${escapeText(words)}\n`);
    this.#lastMessage = words;
  }
}

/**
 * Reports the growth in a store, without watching.
 *
 * @throws {HostError} it does not exist, or contains something else
 */
export function reportStore(file: string): Watched {
  const [growth, warnings] = [new WatchGrowth(), new Warnings()];
  const { torn: tornLines } = readStore(file, warnings, (sample) => growth.add(sample));
  const answer = growth.answer();
  if (!answer)
    throw new HostError('unreadable', `${file}: contains no samples`, {
      next: 'Record some: kdump-mem watch --store FILE',
    });
  return { answer, ended: 'stored', store: { file, tornLines, notStored: 0 }, warnings: warnings.list() };
}

/** Contents of a store. */
interface StoredSamples {
  /** Undefined if the store has no sample. */
  readonly last: WatchSample | undefined;
  /** Number of truncated lines. */
  readonly torn: number;
}

/**
 * Reads all samples of a store, the oldest first.
 *
 * @param add takes each; it may return `mixed`
 * @throws {HostError} a file cannot be read, or contains something else
 */
export function readStore(file: string, warnings: Warnings, add: (sample: WatchSample) => unknown): StoredSamples {
  let last: WatchSample | undefined;
  let torn = 0;
  for (const name of storeFiles(file)) {
    const cut: number[] = [];
    let number = 0;
    const wrong = (words: string) =>
      new HostError('unreadable', `${name}:${number}: ${words}`, {
        next: 'Give a file that kdump-mem watch --store wrote.',
      });
    const cutter = new LineCutter((bytes, from, to) => {
      number++;
      if (from === to) return;
      const sample = sampleOf(bytes.toString('utf8', from, to), wrong);
      if (sample === null) {
        cut.push(number + cutter.overlong);
        return;
      }
      if (add(sample) === 'mixed') throw wrong('samples of several machines or boots are mixed');
      last = sample;
    });
    liveHost.readBytes(name, (bytes) => cutter.push(bytes));
    cutter.end();
    const lost = cut.length + cutter.overlong;
    torn += lost;
    if (lost > 0)
      warnings.add(
        'unreadable',
        lost === 1 && cut[0] === number
          ? `${name}:${number}: the last line is truncated, and ignored`
          : `${name}:${cut[0] ?? number}: ${lost === 1 ? '1 line is' : `${lost} lines are`} truncated or too long, and ignored`,
      );
  }
  return { last, torn };
}

function sampleOf(line: string, wrong: (words: string) => HostError): WatchSample | null {
  try {
    return storedWatchSample(line);
  } catch (error) {
    throw error instanceof StoredError ? wrong(error.message) : error;
  }
}

/** Prints the growth in the requested format. */
export function printWatched(watched: Watched, options: WatchOptions): void {
  const { html, json, limit, strict, prometheus } = options;
  const metrics = () => watchMetrics(watched.answer, null);
  if (watched.ended === 'stored' && typeof prometheus === 'string') writeTextfile(prometheus, metrics());
  if (watched.ended === 'stored' && prometheus === true) process.stdout.write(metrics());
  else if (json) printAnswer(formatJson(watchAnswer(watched), 2));
  else if (html !== undefined) printAnswer(writePage(options, page(watched, options)));
  else printText(watchText(watched, { limit, width: terminalWidth() }));
  if (!json) printWarnings(watched.warnings);
  if (strict && !isComplete(watched)) process.exitCode = EXIT.incomplete;
}

function page(watched: Watched, options: WatchOptions): Page {
  const { store, limit } = options;
  const source = store === undefined ? 'kdump-mem watch' : `kdump-mem watch --for 0 --store ${shellPath(store)}`;
  return { source, headline: verdictWords(watched.answer), html: (facts) => watchHtml(watched, facts, limit) };
}
