import type { CensusEntry } from '../census-entry.js';
import type { Tally } from '../tally.js';
import type { QueueBytes } from './answer.js';
import type { FrameLedger } from './frame-ledger.js';

export type OnSocket = (entry: CensusEntry, tally: Tally) => void;

/** Which socket's queue each page is in: of several that share one, the first that was found. */
export class QueueFrames {
  readonly #entries: CensusEntry[] = [];
  /** By the first frame of an allocation, the place of its socket among these. */
  readonly #sockets = new Map<number, number>();
  readonly #onSocket: OnSocket | undefined;

  /** @param onSocket told what each socket holds */
  constructor(onSocket?: OnSocket) {
    this.#onSocket = onSocket;
  }

  add(entry: CensusEntry, tally: Tally): void {
    const place = this.#entries.push(entry) - 1;
    for (const { frame } of tally.pages())
      if (!this.#sockets.has(frame)) this.#sockets.set(frame, place);
    this.#onSocket?.(entry, tally);
  }

  /** What the ledger is to call who has a page; undefined: no socket has it alone. */
  ownerOf(frame: number): string | undefined {
    return this.#sockets.get(frame)?.toString();
  }

  /** The socket that has the allocation which begins with this frame; undefined: none has it alone. */
  entryOf(frame: number): CensusEntry | undefined {
    const place = this.#sockets.get(frame);
    return place === undefined ? undefined : this.#entries[place];
  }

  /** What each socket has in the category once all is in one, the most first. */
  bytes(ledger: FrameLedger, pageSize: number): QueueBytes[] {
    return [...ledger.ownersOf('network-sockets')]
      .map(([place, frames]) => ({
        entry: this.#entries[Number(place)]!,
        bytes: frames * pageSize,
      }))
      .toSorted((a, b) => b.bytes - a.bytes);
  }
}
