import { KIND } from '../../walk/memory/page-kinds.js';

/** Memory of one kind, bytes, each page once. */
export interface KindOfPages {
  /** Some process maps it. */
  readonly mapped: number;
  readonly unmapped: number;
}

/**
 * What of a machine's memory processes map, and what of the same kinds nobody does: PSS of all processes adds up
 * to what is mapped. Bytes.
 */
export interface MachinePages {
  readonly anonymous: KindOfPages;
  readonly swapCache: KindOfPages;
  readonly pageCache: KindOfPages;
  readonly shared: KindOfPages;
  /** In no PSS. */
  readonly hugetlb: KindOfPages;
  /** The kernel's own memory that it shows to processes: code, clocks, rings. */
  readonly otherMapped: number;
}

/**
 * @param kinds of each frame
 * @param isMapped whether some process maps it
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
    if (!TOLD.has(kind)) other++;
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

const TOLD: ReadonlySet<number> = new Set([
  ...[KIND.anonymous, KIND['swap-cache'], KIND.file, KIND.shmem, KIND.hugetlb],
]);
