import { StoredError } from '../../answers/growth/stored.js';
import { escapeText } from '../../answers/text/escape.js';
import { watchMetrics } from '../../answers/watch/prometheus.js';
import { storedWatchSample } from '../../answers/watch/sample.js';
import type { Watched } from '../../answers/watch/watched.js';
import { KdumpMemError } from '../../base/error.js';
import { HostError } from '../../base/errors/host.js';
import { storeFiles } from '../../base/store/rotated.js';
import type { WatchSample } from '../../growth/watch/sample.js';
import { WatchGrowth } from '../../growth/watch/watch.js';
import { liveHost } from '../../host/live.js';
import { readMachine } from '../../host/proc/machine-sample.js';
import { LineCutter } from '../../host/ss/lines.js';
import { Warnings } from '../../walk/warnings.js';
import { writeTextfile } from '../kit/output.js';
import { SampleLoop } from '../kit/sampling.js';
import { liveMemory } from '../memory/live.js';
import type { WatchOptions } from './options.js';
import { Sampler } from './sample.js';
import { checkSameHost, WatchStore } from './store.js';

/** A machine that is watched, and the store that its samples go to. */
export class Watch {
  readonly #growth = new WatchGrowth();
  readonly #warnings = new Warnings();
  readonly #again = new SampleLoop();
  readonly #sampler: Pick<Sampler, 'take' | 'goOn'>;
  readonly #options: WatchOptions;
  #store: WatchStore | undefined;
  #stored: StoredSamples = { last: undefined, torn: 0 };
  #taken = 0;
  /** Samples that could not be taken: in all, and since the last that was. */
  #lost = { all: 0, since: 0 };
  #up = true;
  #metrics: { readonly tried: number; readonly text: string } | undefined;
  #ended: Watched['ended'] = 'signal';
  /** What was said last, so that what fails each minute is said once. */
  #said = '';

  /** @param sampler takes samples: of this machine, unless it is given */
  constructor(options: WatchOptions, sampler?: Pick<Sampler, 'take' | 'goOn'>) {
    this.#options = options;
    const { source } = options;
    this.#sampler =
      sampler ??
      new Sampler(
        liveHost,
        () => liveMemory({ live: true, engine: 'native', source }, () => undefined),
        options,
      );
  }

  /** @throws {StoreError}, {@link HostError}: it cannot be gone on with */
  async open(): Promise<void> {
    const { store: file, rotate, keep } = this.#options;
    if (file === undefined) return;
    this.#store = await WatchStore.open(file, { rotate, keep });
    this.#stored = readStore(file, this.#growth, this.#warnings);
    const { last } = this.#stored;
    if (!last) return;
    checkSameHost(file, last, readMachine(liveHost, new Date()));
    this.#sampler.goOn(last);
  }

  /**
   * Takes samples until a signal ends it, or its time is over.
   *
   * @throws {HostError} the first of them cannot be taken; samples are of another machine
   * @throws {StoreError} `other-writer`
   */
  async run(): Promise<void> {
    const { interval, for: time = Number.POSITIVE_INFINITY } = this.#options;
    const begun = performance.now();
    await this.#again.run(interval, Number.POSITIVE_INFINITY, async () => {
      await this.#look();
      // The next would come after its time.
      if ((performance.now() - begun) / 1000 + interval <= time) return;
      if (!this.#again.interrupted) this.#ended = 'time';
      this.#again.stop();
    });
    this.#store?.close();
  }

  /** As they were after the last sample: scrapes may come more often than samples, and trends cost. */
  readonly metrics = (): string => {
    const tried = this.#taken + this.#lost.all;
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

  /** @throws {HostError} there was no sample */
  answer(): Watched {
    const answer = this.#growth.answer();
    if (!answer) throw new HostError('unreadable', 'no samples');
    const { store } = this.#options;
    const [warnings, notStored] = [this.#warnings, this.#store?.notStored ?? 0];
    if (notStored > 0)
      warnings.add(
        'unreadable',
        `${notStored} ${notStored === 1 ? 'sample' : 'samples'} could not be stored: see the last error`,
      );
    return {
      answer,
      ended: this.#ended,
      store: store === undefined ? null : { file: store, torn: this.#stored.torn, notStored },
      warnings: warnings.list(),
    };
  }

  async #look(): Promise<void> {
    let sample: WatchSample;
    try {
      sample = await this.#sampler.take(new Date(), this.#lost.since);
    } catch (error) {
      // What never worked will not: whoever started it is there to hear it.
      if (!(error instanceof KdumpMemError) || this.#taken === 0) throw error;
      this.#lost = { all: this.#lost.all + 1, since: this.#lost.since + 1 };
      this.#up = false;
      // A file that still says `up` would be an all-clear.
      const unwritten = this.#writeMetrics();
      this.#say(`sample failed: ${error.message}${unwritten === null ? '' : `; ${unwritten}`}`);
      return;
    }
    this.#taken++;
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
    else this.#said = '';
  }

  /** @returns why they cannot be written */
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
    if (words !== this.#said) process.stderr.write(`kdump-mem: ${escapeText(words)}\n`);
    this.#said = words;
  }
}

/**
 * What was stored, without watching.
 *
 * @throws {HostError} there is nothing, or something else
 */
export function askStore(file: string): Watched {
  const [growth, warnings] = [new WatchGrowth(), new Warnings()];
  const { torn } = readStore(file, growth, warnings);
  const answer = growth.answer();
  if (!answer)
    throw new HostError('unreadable', `${file}: contains no samples`, {
      next: 'Record some: kdump-mem watch --store FILE',
    });
  return {
    answer,
    ended: 'stored',
    store: { file, torn, notStored: 0 },
    warnings: warnings.list(),
  };
}

/** What a store has. */
interface StoredSamples {
  /** Undefined: there is none in it. */
  readonly last: WatchSample | undefined;
  /** Lines that were cut off. */
  readonly torn: number;
}

/**
 * Reads all samples of a store, the oldest first.
 *
 * @throws {HostError} a file cannot be read, or has something else in it
 */
function readStore(file: string, growth: WatchGrowth, warnings: Warnings): StoredSamples {
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
      if (growth.add(sample) === 'mixed')
        throw wrong('samples of several machines or boots are mixed');
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
