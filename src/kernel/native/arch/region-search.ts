import { KernelError, ReadError } from '../../../base/errors/kernel.js';
import type { Sought } from './arch.js';

/** So many misses are told. */
const MOST_TOLD = 2;

/**
 * A search for a region of the kernel's addresses. What cannot be read on the way is no error as long
 * as something else tells where the region lies; where nothing does, it is why.
 */
export class RegionSearch {
  readonly #region: string;
  readonly #misses = new Map<string, ReadError>();

  /** @param region what is sought, in words: `struct pages` */
  constructor(region: string) {
    this.#region = region;
  }

  /** What a step reads; undefined where that is missing, which is noted under this name. */
  try<T>(name: string, step: () => T): T | undefined {
    try {
      return step();
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      this.missed(name, error);
      return undefined;
    }
  }

  /** Notes that what has this name could not be read. */
  missed(name: string, error: ReadError): void {
    if (this.#misses.size < MOST_TOLD && !this.#misses.has(name)) this.#misses.set(name, error);
  }

  /** Not found, for what could not be read; if everything could, then for what was read. */
  notFound(why: string): Sought<never> {
    const [first] = this.#misses.values();
    if (first === undefined) return this.contradicted(why);
    const names = [...this.#misses.keys()].join(' and ');
    const detail = `${names}, needed to find the ${this.#region}`;
    const error = new ReadError(first.code, first.address, detail, { cause: first });
    return { found: undefined, error };
  }

  /** Not found, whatever could not be read: what was read rules it out. */
  contradicted(why: string): Sought<never> {
    const message = `${this.#region} not found: ${why}`;
    return { found: undefined, error: new KernelError('damaged', message) };
  }
}
