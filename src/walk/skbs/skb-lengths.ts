import { KernelError } from '../../kernel/error.js';

/** What an skb says of its own bytes. */
export interface Lengths {
  /** `len`: all. */
  readonly length: number;
  /** `data_len`: those outside of its head. */
  readonly paged: number;
  /** Offsets in the head. */
  readonly tail: number;
  readonly end: number;
  /** From `head` to `data`. */
  readonly headroom: number;
}

/** What `len` counts besides the linear part is between `data` and `tail` (skb_headlen). */
export function checkLinear({ length, paged, tail, end, headroom }: Lengths): void {
  if (tail > end) {
    throw new KernelError('damaged', `its data ends at ${tail}, its head at ${end}`);
  }
  const [claimed, linear] = [length - paged, tail - headroom];
  if (claimed === linear) return;
  throw new KernelError(
    'damaged',
    `it counts ${claimed} bytes in its head, where ${linear} lie between data and tail`,
  );
}

/** `data_len` counts the frags and the frag_list; netlink's own use of the list it leaves out. */
export function checkPaged(claimed: number, frags: number, list: number): void {
  if (claimed === frags + list || claimed === frags) return;
  throw new KernelError(
    'damaged',
    `it counts ${claimed} bytes outside its head, its frags and frag_list have ${frags + list}`,
  );
}
