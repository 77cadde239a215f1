export interface SwapEntry {
  readonly type: number;
  readonly offset: number;
}

/** Pages in swap whose sharers are looked for: 16 GiB. */
export const MOST_ENTRIES = 2 ** 22;

/** Offsets have 50 bits, of which a swap area of 2^47 bytes takes 35. */
export function swapKey({ type, offset }: SwapEntry): number {
  return type * 2 ** 47 + (offset % 2 ** 47);
}
