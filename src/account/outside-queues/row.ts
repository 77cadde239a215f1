import type { SocketsAnswer } from '../../contracts/sockets.js';
import type { SkbCache } from '../../walk/pages/slab-caches.js';

/** Packets queued in one kind of place. */
export interface Waiting {
  readonly packets: number;
}

/** Objects of a slab cache. */
export interface SlabFigures {
  /** Allocated objects; an upper bound if the cache is merged. */
  readonly used: number;
  /** Free objects that CPUs keep in reserve. */
  readonly reserve: number;
  /** Objects in queues and earlier rows. */
  readonly met: number;
  /** Unattributed objects; below 0 if the figures contradict each other. */
  readonly left: number;
  /** Whether the cache also contains other kinds of objects. */
  readonly merged: boolean;
}

/** All memory of the machine by use, in base pages. */
export interface OtherPages {
  readonly present: number;
  /** Reserved at boot. */
  readonly atBoot: number;
  readonly free: number;
  readonly slabs: number;
  /** Pages of files and processes, on the LRU lists. */
  readonly lru: number;
  readonly pageTables: number;
  /** Undefined if this kernel's counter is not found; the same for `huge`. */
  readonly vmalloced: number | undefined;
  readonly huge: number | undefined;
  readonly compressed: number;
  /** Pages without one of these uses, attributed or not. */
  readonly others: number;
  /** Pages in queues and earlier rows. */
  readonly explained: number;
  readonly left: number;
}

/** Figures of the rows by code. Codes are stable; figures may only be added. */
export interface OutsideFigures {
  'cpu-queues': Waiting;
  /** @property queued number of packets whose memory is unknown */
  qdiscs: Waiting & { readonly queued: number };
  'ip-fragments': Waiting;
  neighbours: Waiting;
  gro: Waiting;
  /** Pages: all that are kept, those that queues hold as well, and those that no earlier row holds. */
  'page-fragments': { readonly kept: number; readonly shared: number; readonly pages: number };
  /** Pages: all that page pools own, and those that no earlier row holds. */
  'page-pools': { readonly owned: number; readonly pages: number };
  /** One row for each driver. `pages`: those that no earlier row holds. */
  'receive-rings': { readonly buffers: number; readonly pages: number };
  /** One row for each kind of software device. `frames`: XDP frames. */
  rings: Waiting & { readonly frames: number };
  'xdp-rings': { readonly rings: number; readonly vmalloced: number };
  skbs: SlabFigures;
  'skb-fclones': SlabFigures;
  'skb-heads': SlabFigures;
  'other-pages': OtherPages;
}

export type OutsideCode = keyof OutsideFigures;

/** Codes of slab cache rows; the same as the kinds of the caches. */
export type SlabCode = SkbCache['kind'];

/** Subject of a row. */
export interface Subject<Code extends OutsideCode> {
  readonly code: Code;
  /** Driver or kind of devices, if several rows have the same code; untrusted. */
  readonly of?: string;
  /** Names of the devices; untrusted. */
  readonly devices?: readonly string[];
}

/**
 * State of a row; its bytes exclude what a socket queue or an earlier row holds as well:
 * - `counted`: objects or bytes are null if unknown;
 * - `at-most`: figures may include memory of incomplete rows or sockets;
 * - `contradicted`: the figures contradict each other;
 * - `not-walked`: unsupported, or the kernel does not expose it. The dump is not damaged;
 * - `not-counted`: its memory is missing or damaged.
 */
export type CountStatus<Code extends OutsideCode> =
  | { readonly status: 'counted'; readonly figures: OutsideFigures[Code] }
  | {
      readonly status: 'at-most';
      readonly figures: OutsideFigures[Code];
      /** Names of incomplete rows, and `sockets` if they are incomplete. */
      readonly unknown: readonly string[];
    }
  | { readonly status: 'contradicted'; readonly figures: OutsideFigures[Code] }
  | { readonly status: 'not-walked' }
  | { readonly status: 'not-counted'; readonly reason: string };

export type CountOf<Code extends OutsideCode> = Subject<Code> & CountStatus<Code>;

type ListedRow = SocketsAnswer['outsideQueues'][number];

export type RowOf<Code extends OutsideCode> = CountOf<Code> & ListedRow;

/** Network memory outside socket queues. */
export type OutsideRow = { readonly [Code in OutsideCode]: RowOf<Code> }[OutsideCode];

/** Returns the unique name of a row: `page-pools`, `rings tun`. */
export function rowName({ code, of }: Subject<OutsideCode>): string {
  return of === undefined ? code : `${code} ${of}`;
}

/** Returns what JSON has. */
export const listedRow = ({ status, what, objects, bytes, message, complete }: OutsideRow): ListedRow =>
  // Keys stand where they always stood.
  status === 'at-most' || status === 'not-counted'
    ? { what, objects, bytes, message, complete }
    : { what, complete, objects, bytes, message };
