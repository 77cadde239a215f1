import type { NativeKernel } from '../../kernel/native/parts.js';

/** Has the page of an address stored, without keeping anything of it. */
export type Store = (address: bigint) => void;

/** Has all pages stored that so many bytes from an address touch. */
export function storePages(
  kernel: NativeKernel,
  store: Store,
  address: bigint,
  bytes: number,
): void {
  for (let at = 0; at < bytes; at += kernel.facts.pageSize) store(address + BigInt(at));
  store(address + BigInt(bytes - 1));
}
