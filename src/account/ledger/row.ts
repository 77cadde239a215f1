import type { SkbCache } from '../../walk/pages/skb-caches.js';

/** Packets that wait in one kind of place. */
export interface Waiting {
  readonly packets: number;
}

/** Of a slab cache, in objects. */
export interface SlabFigures {
  /** Its slabs have given out so many; an upper bound where the cache is merged. */
  readonly used: number;
  /** Kept ready by CPUs to be handed out. */
  readonly reserve: number;
  /** Met in queues and in rows before. */
  readonly met: number;
  /** Explained by nothing; below 0 where figures contradict each other. */
  readonly left: number;
  /** The allocator keeps objects of other kinds in this cache too. */
  readonly merged: boolean;
}

/** Of all of the machine's memory, in base pages. */
export interface OtherPages {
  readonly present: number;
  /** Set aside while the machine booted. */
  readonly atBoot: number;
  readonly free: number;
  readonly slabs: number;
  /** Of files and processes. */
  readonly lru: number;
  readonly pageTables: number;
  /** Undefined where this kernel's count of them is not found; so is `huge`. */
  readonly vmalloced: number | undefined;
  readonly huge: number | undefined;
  readonly compressed: number;
  /** Given out to nobody of those: what is explained, and what is left. */
  readonly others: number;
  /** In queues and in rows before. */
  readonly explained: number;
  readonly left: number;
}

/** What rows of each code count: codes are stable, figures are only ever added. */
export interface LedgerFigures {
  'cpu-queues': Waiting;
  /** @property queued of the packets, those of which it is not told what they pin */
  qdiscs: Waiting & { readonly queued: number };
  'ip-fragments': Waiting;
  neighbours: Waiting;
  gro: Waiting;
  /** Pages: all that are kept, those of them that queues hold too, those that nothing before holds. */
  'page-fragments': { readonly kept: number; readonly shared: number; readonly pages: number };
  /** Pages: all that pools own, and those that nothing before holds. */
  'page-pools': { readonly owned: number; readonly pages: number };
  /** A row for each driver. `pages`: those that nothing before holds. */
  'receive-rings': { readonly buffers: number; readonly pages: number };
  /** A row for each kind of software device. `frames`: packets of XDP. */
  rings: Waiting & { readonly frames: number };
  'xdp-rings': { readonly rings: number; readonly vmalloced: number };
  skbs: SlabFigures;
  'skb-fclones': SlabFigures;
  'skb-heads': SlabFigures;
  'other-pages': OtherPages;
}

export type LedgerCode = keyof LedgerFigures;

/** Codes of rows of slab caches are the kinds of these. */
export type SlabCode = SkbCache['kind'];

/** What a row is about. */
export interface Subject<Code extends LedgerCode> {
  readonly code: Code;
  /** Of several rows of one code: the driver, or the kind of the devices; hostile. */
  readonly of?: string;
  /** Names of the devices; hostile. */
  readonly devices?: readonly string[];
}

/**
 * How far a row is known:
 * - `counted`. Objects or bytes are null where that part is not told;
 * - `at-most`: figures may count what belongs to rows or sockets that are not known whole;
 * - `contradicted`: figures that cannot all be true;
 * - `not-walked`: by this program, or the kernel doesn't tell. No fault of the dump;
 * - `not-counted`: memory that it would be counted from is missing or damaged.
 */
type CountStatus<Code extends LedgerCode> =
  | { readonly status: 'counted'; readonly figures: LedgerFigures[Code] }
  | {
      readonly status: 'at-most';
      readonly figures: LedgerFigures[Code];
      /** Names of the rows that are not known whole, and `sockets`. */
      readonly unknown: readonly string[];
    }
  | { readonly status: 'contradicted'; readonly figures: LedgerFigures[Code] }
  | { readonly status: 'not-walked' }
  | { readonly status: 'not-counted'; readonly reason: string };

export type RowOf<Code extends LedgerCode> = Subject<Code> &
  CountStatus<Code> & {
    /** Null where they are not counted, or not for sure. */
    readonly objects: number | null;
    /** Of this row alone: what a socket's queue or a row before holds as well is left out. */
    readonly bytes: number | null;
    /** False if memory that it would be counted from is missing or damaged. */
    readonly complete: boolean;
  };

/** Memory that the network holds and no socket explains. */
export type LedgerRow = { readonly [Code in LedgerCode]: RowOf<Code> }[LedgerCode];

/** The name of a row, which none beside it has: `page-pools`, `rings tun`. */
export function rowName({ code, of }: Subject<LedgerCode>): string {
  return of === undefined ? code : `${code} ${of}`;
}
