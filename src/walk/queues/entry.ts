/**
 * Memory that a queue holds besides skbs: a block of a ring, a page of a message, a page that user
 * space lent. Payload is what of it waits to be read or sent, in bytes; 0 where nothing tells.
 */
export type Held = HeldPage | HeldObject | HeldSkb;

export interface HeldPage {
  readonly kind: 'page';
  /** Address of the `struct page` that it begins in; may be a tail of a compound page. */
  readonly page: bigint;
  readonly payload: number;
}

/** What an allocator gave out: a slab slot, or whole pages. */
export interface HeldObject {
  readonly kind: 'object';
  /** Direct-map address. */
  readonly address: bigint;
  readonly payload: number;
}

/** An skb that is none of the queue's, but kept for the sake of one: its bytes are those again. */
export interface HeldSkb {
  readonly kind: 'skb';
  readonly address: bigint;
  readonly payload: number;
}

/** What comes out of a queue: the address of an skb, or something held without one. */
export type Entry = bigint | Held;
