import { KernelError, ReadError } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { CategoryName } from '../../records/categories.js';
import type { OutsideRow } from '../outside-queues/row.js';
import type { CensusEntry, Grouping } from '../owners.js';
import { accountAll, type CensusAnswer, type CensusOptions } from '../sockets.js';
import type { Tally } from '../tally.js';
import type { QueueBytes } from './answer.js';
import type { FrameLedger } from './frame-ledger.js';
import type { Missed } from './missed.js';

/** Receivers of the network's memory. */
interface NetworkSinks {
  readonly ledger: FrameLedger;
  readonly queues: QueueFrames;
  readonly missed: Missed;
}

/** Further options for sockets. */
export interface SocketsQuery {
  /** How they are grouped. */
  readonly socketsBy?: Grouping | undefined;
  /** Whether to keep the address of every slab slot that a socket holds. */
  readonly keepsSlots?: boolean | undefined;
}

/** Puts network memory into categories; the census runs once. */
export function claimNetwork(
  kernel: Kernel,
  { ledger, queues, missed }: NetworkSinks,
  scan: Pick<CensusOptions, 'progress' | 'isKnown'>,
  { socketsBy, keepsSlots }: SocketsQuery,
): CensusAnswer | undefined {
  let census: CensusAnswer;
  try {
    census = accountAll(kernel, {
      by: socketsBy,
      ...scan,
      keepsSlots,
      onSocket: (entry, tally) => queues.add(entry, tally),
      onHeld: (by, tally) => {
        const category = by === 'sockets' ? 'network-sockets' : 'network-other';
        for (const { frame, order } of tally.pages()) {
          const owner = by === 'sockets' ? queues.ownerOf(frame) : by.code;
          ledger.claimBlock(category, frame, order ?? 0, owner);
        }
      },
    });
  } catch (error) {
    if (!(error instanceof ReadError || error instanceof KernelError)) throw error;
    missed.add('network-sockets', error);
    missed.add('network-other', error);
    return undefined;
  }
  if (!census.totals.complete)
    missed.note('network-sockets', 'the queues of some sockets are incomplete', 'unreadable');
  for (const row of census.outsideQueues) noteRow(row, missed);
  return census;
}

/** Rows without pages of their own: slab slots, and remainders. */
const WITHOUT_PAGES: readonly OutsideRow['code'][] = ['skbs', 'skb-fclones', 'skb-heads', 'other-pages'];

/** Records why the row of a part of `network-other` is incomplete. */
function noteRow(row: OutsideRow, missed: Missed): void {
  const category: CategoryName = 'network-other';
  if (WITHOUT_PAGES.includes(row.code)) return;
  if (row.status === 'not-counted') missed.note(category, `${row.what} is not counted: ${row.reason}`, 'unreadable');
  if (row.status === 'contradicted') missed.note(category, `the figures of ${row.what} are inconsistent`, 'corrupt');
  if (row.status === 'not-walked') missed.note(category, `${row.what} is not walked`);
}

export type OnSocket = (entry: CensusEntry, tally: Tally) => void;

/** The socket whose queue contains each page: the first one found, if several share it. */
export class QueueFrames {
  readonly #entries: CensusEntry[] = [];
  /** Index of a socket in the entries, by the first frame of an allocation. */
  readonly #sockets = new Map<number, number>();
  readonly #onSocket: OnSocket | undefined;

  /** @param onSocket receives the memory that each socket holds */
  constructor(onSocket?: OnSocket) {
    this.#onSocket = onSocket;
  }

  add(entry: CensusEntry, tally: Tally): void {
    const place = this.#entries.push(entry) - 1;
    for (const { frame } of tally.pages()) if (!this.#sockets.has(frame)) this.#sockets.set(frame, place);
    this.#onSocket?.(entry, tally);
  }

  /** Owner of a page for the ledger; undefined if no socket holds it. */
  ownerOf(frame: number): string | undefined {
    return this.#sockets.get(frame)?.toString();
  }

  /** The socket that has the allocation beginning with this frame; undefined if it has no single socket. */
  entryOf(frame: number): CensusEntry | undefined {
    const place = this.#sockets.get(frame);
    return place === undefined ? undefined : this.#entries[place];
  }

  /** Bytes of the category by socket once every frame is assigned, largest first. */
  bytes(ledger: FrameLedger, pageSize: number): QueueBytes[] {
    return [...ledger.ownersOf('network-sockets')]
      .map(([place, frames]) => ({ entry: this.#entries[Number(place)]!, bytes: frames * pageSize }))
      .toSorted((a, b) => b.bytes - a.bytes);
  }
}
