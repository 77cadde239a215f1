import { watchSampleJson } from '../../answers/watch/sample.js';
import { HostError, StoreError } from '../../base/errors.js';
import { formatJson } from '../../base/json.js';
import { LineStore, type StoreLimits } from '../../base/store/line-store.js';
import { lockStore } from '../../base/store/lock.js';
import type { WatchSample } from '../../growth/watch/categories.js';
import type { MachineSample } from '../../records/machine-sample.js';

/** Start of every sample's line: a file that begins differently is not a store. */
const HEAD = '{"schema":"kdump-mem.watch-sample/1"';

/** A file with one line per sample, and a single writer. */
export class WatchStore {
  /** Number of samples of this run that could not be stored. */
  notStored = 0;
  readonly #lines: LineStore;
  readonly #unlock: () => void;
  /** Number of missing samples since the last stored line. */
  #missing = 0;

  private constructor(lines: LineStore, unlock: () => void) {
    this.#lines = lines;
    this.#unlock = unlock;
  }

  /** @throws {StoreError} it cannot be written, or another process writes to it */
  static async open(file: string, limits: StoreLimits): Promise<WatchStore> {
    const unlock = await lockStore(file);
    return new WatchStore(new LineStore(file, limits, HEAD), unlock);
  }

  /**
   * Stores a sample. If that fails, the sample is counted, and the next line reports the number.
   *
   * @returns why it could not be stored, or null
   * @throws {StoreError} `other-writer`: another program writes to the file
   */
  add(sample: WatchSample): StoreError | null {
    const lost = sample.lost + this.#missing;
    try {
      this.#lines.append(formatJson(watchSampleJson({ ...sample, lost })));
      this.#missing = 0;
      return null;
    } catch (error) {
      if (!(error instanceof StoreError) || error.code === 'other-writer') throw error;
      this.notStored++;
      this.#missing = lost + 1;
      return error;
    }
  }

  close(): void {
    this.#lines.close();
    this.#unlock();
  }
}

/**
 * Rejects samples of another machine: one with a different host name and a different boot ID.
 *
 * @throws {HostError}
 */
export function checkSameHost(file: string, last: WatchSample, here: MachineSample): void {
  const { machine: there } = last.look;
  const sameBoot = there.bootId !== null && there.bootId === here.bootId;
  if (sameBoot || there.host === here.host) return;
  const [theirs, ours] = [there, here].map(({ host }) => host ?? 'an unnamed host');
  throw new HostError(
    'unreadable',
    `${file}: contains samples of ${theirs}, but this host is ${ours}`,
    {
      next: 'Name another file, or move this one away.',
    },
  );
}
