import type { UnavailableCode } from '../base/errors.js';

/** Kinds of memory that a source beside /proc/meminfo names. */
export const NAMED_KINDS = [
  'huge-pages',
  'balloon',
  'zram',
  'zswap',
  'zfs-arc',
  'dying-cgroups',
  'gpu',
  'dma-buf',
  'page-pools',
  'nic-rings',
  'bpf-maps',
  'trace-rings',
  'pinned',
] as const;
export type NamedKind = (typeof NAMED_KINDS)[number];

/** The category that contains such memory; null: several do. */
export type NamedCategory = 'hugetlb' | 'balloon' | 'compressed' | 'zfs-arc' | DeviceCategory | null;

/** Categories whose memory is in no counter of the kernel, and in no other category. */
export const DEVICE_CATEGORIES = ['gpu', 'dma-buf', 'network-other', 'rings', 'compressed'] as const;
export type DeviceCategory = (typeof DEVICE_CATEGORIES)[number];

/** A part of memory that a source beside /proc/meminfo names: no memory beside that of the categories. */
export interface NamedMemory {
  readonly kind: NamedKind;
  /** Size of huge pages, driver, device, cgroup, exporter, interface. Untrusted. */
  readonly name: string;
  readonly category: NamedCategory;
  /** Null: only a number of objects is known. */
  readonly bytes: number | null;
  /** The file or folder that reports it. */
  readonly source: string;
  /** Further figures, by name; null: unknown. */
  readonly figures: Readonly<Record<string, number | null>>;
  /** Huge pages by NUMA node, in pages. */
  readonly nodes?: readonly NodeHugePages[];
  /** Processes that map most of it, or have it open, in bytes; a page counts for each of them. */
  readonly processes?: readonly { readonly pid: number; readonly comm: string | null; readonly bytes: number }[];
}

/** Kinds that are followed over time: no category is theirs alone. */
export const DEVICE_KINDS = ['gpu', 'dma-buf', 'trace-rings', 'pinned'] as const satisfies readonly NamedKind[];
export type DeviceKind = (typeof DEVICE_KINDS)[number];

export const isDeviceKind = (kind: string): kind is DeviceKind => DEVICE_KINDS.some((known) => known === kind);

/** Bounds may differ by this share of an amount that counts as known: a busy ring, or a buffer that two devices share. */
const MAX_UNSURE = 0.02;

/** Bounds of such memory, in bytes. `bytes`: null where they differ too much to be compared with another time. */
export function deviceBounds({ bytes, figures: { mostBytes, mappedBytes } }: Pick<NamedMemory, 'bytes' | 'figures'>) {
  const least = bytes ?? 0;
  const most = Math.max(least, mostBytes ?? mappedBytes ?? least);
  return { least, most, bytes: bytes !== null && most <= least * (1 + MAX_UNSURE) ? bytes : null };
}

export interface NodeHugePages {
  readonly node: number;
  readonly pages: number;
  readonly free: number;
  readonly surplus: number;
}

/** A source that is unreadable or contradictory, although the host uses what it reports. */
export interface NotRead {
  readonly kind: NamedKind;
  readonly code: UnavailableCode;
  /** Names the source. Untrusted. */
  readonly why: string;
}

/**
 * DRM drivers whose buffers in the machine's memory are pages of TTM (drivers/gpu/drm/ttm/ttm_pool.c). Those of others are
 * shared memory (drm_gem_shmem_helper.c, i915_gem_shmem.c).
 */
export const DRM_IN_TTM: ReadonlySet<string> = new Set(['amdgpu', 'nouveau', 'qxl', 'radeon', 'vmwgfx', 'xe']);

/** Removed cgroups that memory keeps: fewer are normal while services and pods come and go. */
export const MANY_DYING = 1000;

/** Balloon drivers by the name of their module, and their hypervisor. */
export const BALLOON_DRIVERS = {
  hv_balloon: 'Hyper-V',
  virtio_balloon: 'virtio',
  vmw_balloon: 'VMware',
  xen_balloon: 'Xen',
} as const;
export type BalloonDriver = keyof typeof BALLOON_DRIVERS;

/** Memory that a guest returned to its hypervisor, in bytes. */
export interface Balloon {
  /** Null: no driver is known, only a counter. */
  readonly driver: BalloonDriver | null;
  readonly bytes: number;
  /** The smallest of several counters that disagree; otherwise the same. */
  readonly least: number;
  /** Whether MemTotal contains it (adjust_managed_page_count of the driver); null: unknown. */
  readonly isInTotal: boolean | null;
  readonly source: string;
  /** The size that the hypervisor requests; null: unknown. */
  readonly targetBytes: number | null;
}

/** ZFS's adaptive replacement cache, in bytes. */
export interface ZfsCache {
  /** All of it, slab objects included. */
  readonly size: number;
  /** Its pages from the buddy allocator, which no counter of the kernel includes; undefined: not reported. */
  readonly pages: number | undefined;
  /** Upper bound of these pages: data and metadata, which are also in slab caches or vmalloc. */
  readonly mostPages: number;
  readonly target: number | null;
  readonly min: number | null;
  readonly max: number | null;
}
