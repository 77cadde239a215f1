import { watchSampleJson } from '../../answers/watch/sample.js';
import { HostError } from '../../base/errors/host.js';
import { StoreError } from '../../base/errors/store.js';
import { formatJson } from '../../base/json.js';
import { LineStore, type StoreLimits } from '../../base/store/line-store.js';
import { lockStore } from '../../base/store/lock.js';
import type { WatchSample } from '../../growth/watch/sample.js';
import type { MachineSample } from '../../records/machine-sample.js';

/** Every sample begins so: a file that does not is not a store. */
const HEAD = '{"schema":"kdump-mem.watch-sample/1"';

/** A line for each sample, in a file that nobody else writes into. */
export class WatchStore {
  /** Samples of this run that could not be stored. */
  notStored = 0;
  readonly #lines: LineStore;
  readonly #unlock: () => void;
  /** Since the last line. */
  #missing = 0;

  private constructor(lines: LineStore, unlock: () => void) {
    this.#lines = lines;
    this.#unlock = unlock;
  }

  /** @throws {StoreError} it cannot be written, or another one stores into it */
  static async open(file: string, limits: StoreLimits): Promise<WatchStore> {
    const unlock = await lockStore(file);
    return new WatchStore(new LineStore(file, limits, HEAD), unlock);
  }

  /**
   * Stores a sample. One that cannot be is counted, and the next line says so.
   *
   * @returns why it could not be stored, or null
   * @throws {StoreError} `other-writer`: another program writes into the file
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
 * Samples of two machines are never put together: one that has another name and another boot is another one.
 *
 * @throws {HostError}
 */
export function checkSameHost(file: string, last: WatchSample, here: MachineSample): void {
  const { machine: there } = last.look;
  const sameBoot = there.bootId !== null && there.bootId === here.bootId;
  if (sameBoot || there.host === here.host) return;
  const [theirs, ours] = [there, here].map(({ host }) => host ?? 'a machine without a name');
  throw new HostError(
    'unreadable',
    `${file}: contains samples of ${theirs}, but this host is ${ours}`,
    {
      next: 'Name another file, or move it away.',
    },
  );
}
