import { NO_STACK } from '../follow/stack-table.js';
import { KnownSites } from '../readings/tally.js';
import type { FrameNumbers } from './text-event.js';

/** Numbers stacks of text; those that differ beyond an interruption only are one site. */
export class TextStacks {
  readonly known = new KnownSites();
  readonly #ids: string[] = [];
  readonly #byId = new Map<string, number>();

  readonly siteOf = (stack: number): string =>
    stack === NO_STACK ? this.known.idOfFrames([]) : (this.#ids[stack] ?? '');

  readonly frameOf: FrameNumbers = (line, read) => this.known.numberOf(line, read);

  /** @param frames innermost first, as {@link frameOf} numbers them; none: {@link NO_STACK} */
  numberOf(frames: readonly number[]): number {
    if (frames.length === 0) return NO_STACK;
    const entry = frames.findIndex((frame) => this.known.isEntry(frame));
    const id = this.known.idOfFrames(entry < 0 ? frames : frames.slice(0, entry + 1));
    const known = this.#byId.get(id);
    if (known !== undefined) return known;
    const number = this.#ids.push(id) - 1;
    this.#byId.set(id, number);
    return number;
  }
}
