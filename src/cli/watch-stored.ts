import type { WatchSample } from '../growth/watch/sample.js';
import type { WatchGrowth } from '../growth/watch/watch.js';
import { HostError } from '../host/error.js';
import { liveHost } from '../host/live.js';
import { LineCutter } from '../host/ss/lines.js';
import { StoredError } from '../report/growth/stored.js';
import { storedWatchSample } from '../report/watch/sample.js';
import { storeFiles } from '../store/rotated.js';
import type { Warnings } from '../walk/warnings.js';

/** What a store has. */
export interface StoredSamples {
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
export function readStore(file: string, growth: WatchGrowth, warnings: Warnings): StoredSamples {
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
        throw wrong('samples of several machines, or of boots, are mixed');
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
          ? `${name}:${number}: the last line is cut off, and left out`
          : `${name}:${cut[0] ?? number}: ${lost === 1 ? '1 line is' : `${lost} lines are`} cut off or too long, and left out`,
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
