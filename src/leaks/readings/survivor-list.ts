import type { Survivor } from '../recording.js';
import type { ReportedBlock } from './tally.js';

/** Of one site. */
const MOST_OF_SITE = 500;
const MOST_PLACES = 4_000_000;

/** Blocks that were there at the end and not at the beginning, for sources that tell each by itself. */
export class SurvivorList {
  /** It is not known of all whether they were there at the beginning. */
  unknown = false;
  leftOut = 0;
  readonly survivors: Survivor[] = [];
  /** Places of the beginning; of blocks that tell when they were allocated none is kept. */
  readonly #before = new Set<bigint>();
  readonly #ofSite = new Map<string, number>();
  /** Nanoseconds on the kernel's clock. */
  #began = 0;
  #told = 0;

  constructor(readonly max: number) {}

  /** A block of the first reading. */
  first({ place, time }: ReportedBlock): void {
    if (time !== null) {
      this.#began = Math.max(this.#began, time);
      return;
    }
    if (this.#before.size < MOST_PLACES) this.#before.add(place);
    else this.unknown = true;
  }

  /** What an earlier last reading told no longer counts. */
  again(): void {
    this.survivors.length = 0;
    this.#ofSite.clear();
    this.leftOut = 0;
    this.#told = 0;
  }

  /** A block of the last reading. */
  last({ site, place, bytes, order, time, tid, command }: ReportedBlock): void {
    this.#told++;
    const isNew = time === null ? !this.#before.has(place) : time > this.#began;
    if (!isNew) return;
    const count = this.#ofSite.get(site) ?? 0;
    this.#ofSite.set(site, count + 1);
    if (count >= MOST_OF_SITE || this.survivors.length >= this.max) {
      this.leftOut++;
      return;
    }
    const since = time === null ? null : (time - this.#began) / 1e6;
    this.survivors.push({ site, place, bytes, order, since, tid, command });
  }

  /** Whether the source tells blocks at all. */
  get isTold(): boolean {
    return this.#told > 0 && !this.unknown;
  }
}
