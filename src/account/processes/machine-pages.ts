import { KIND } from '../../walk/memory/page-kinds.js';

/** Memory of one kind in bytes, each page counted once. */
export interface KindOfPages {
  /** Mapped by a process. */
  readonly mapped: number;
  readonly unmapped: number;
}

/**
 * Mapped and unmapped memory of the machine by kind: the PSS of all processes sums to the mapped part. Bytes.
 */
export interface MachinePages {
  readonly anonymous: KindOfPages;
  readonly swapCache: KindOfPages;
  readonly pageCache: KindOfPages;
  readonly shared: KindOfPages;
  /** Not included in PSS. */
  readonly hugetlb: KindOfPages;
  /** The kernel's own memory that processes map: code, clocks, rings. */
  readonly otherMapped: number;
}

/**
 * @param kinds kind of each frame
 * @param isMapped whether a process maps it
 */
export function machinePages(
  kinds: Uint8Array,
  isMapped: (index: number) => boolean,
  pageSize: number,
): MachinePages {
  const [mapped, all] = [new Float64Array(256), new Float64Array(256)];
  let other = 0;
  for (let index = 0; index < kinds.length; index++) {
    const kind = kinds[index]!;
    all[kind]!++;
    if (!isMapped(index)) continue;
    mapped[kind]!++;
    if (!LISTED_KINDS.has(kind)) other++;
  }
  const of = (kind: number): KindOfPages => ({
    mapped: mapped[kind]! * pageSize,
    unmapped: (all[kind]! - mapped[kind]!) * pageSize,
  });
  return {
    anonymous: of(KIND.anonymous),
    swapCache: of(KIND['swap-cache']),
    pageCache: of(KIND.file),
    shared: of(KIND.shmem),
    hugetlb: of(KIND.hugetlb),
    otherMapped: other * pageSize,
  };
}

const LISTED_KINDS: ReadonlySet<number> = new Set([
  ...[KIND.anonymous, KIND['swap-cache'], KIND.file, KIND.shmem, KIND.hugetlb],
]);

export interface SwapEntry {
  readonly type: number;
  readonly offset: number;
}

/** Maximum number of swapped pages whose sharers are determined: 16 GiB. */
export const MOST_ENTRIES = 2 ** 22;

/** Offsets have 50 bits, of which a swap area of 2^47 bytes uses 35. */
export function swapKey({ type, offset }: SwapEntry): number {
  return type * 2 ** 47 + (offset % 2 ** 47);
}
