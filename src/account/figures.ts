/** The figures of a queue, or of several: `Q` of the JSON contract. Sizes are bytes. */
export interface Figures {
  /** List entries. */
  readonly skbs: number;
  /** Σ `skb->len`. */
  readonly payloadBytes: number;
  /** Σ `skb->truesize`. */
  readonly truesizeBytes: number;
  /** Frag entries, those of frag_lists too; those that clones share once. */
  readonly frags: number;
  /** The most frags of one list entry, its frag_list included. */
  readonly maxFragsPerSkb: number;
  /** Unique page allocations. */
  readonly pages: number;
  /** How many of them have which order; `unknown` where the kernel doesn't record it. */
  readonly orders: Readonly<Record<string, number>>;
  /** Σ page size << order over the unique allocations; one page where the order is unknown. */
  readonly pageBytes: number;
  /** Slab slots held: skb objects and slab-allocated linear heads, each once. */
  readonly slabBytes: number;
  readonly pinnedBytes: number;
  /** False if something could not be read or told; a warning says what. */
  readonly complete: boolean;
}
