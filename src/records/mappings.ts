/** Kinds of mappings. */
export const MAPPING_KINDS = [
  'file',
  /** A tmpfs file. */
  'shmem',
  'memfd',
  'sysv',
  /** Without a file, shared with child processes (MAP_SHARED | MAP_ANONYMOUS). */
  'shared-anonymous',
  'hugetlb',
  /** A file in /dev, or device memory. */
  'device',
  'heap',
  /** Stack of the first thread: the others' are anonymous memory. */
  'stack',
  'anonymous',
  /** Kernel code and clock data that are mapped into every process. */
  'vdso',
  /** Rings and other memory shared by the kernel and the process. */
  'kernel',
] as const;

export type MappingKind = (typeof MAPPING_KINDS)[number];

/** Names of the sizes here and in /proc/PID/smaps (fs/proc/task_mmu.c). */
export const MAPPING_SIZES = {
  /** Mapped pages, without hugetlb pages. */
  rssBytes: 'Rss',
  /** Each page divided by the number of its mappings. */
  pssBytes: 'Pss',
  /** Pages with no other mapping, and pages with others; dirty: not the same as on disk. */
  privateCleanBytes: 'Private_Clean',
  privateDirtyBytes: 'Private_Dirty',
  sharedCleanBytes: 'Shared_Clean',
  sharedDirtyBytes: 'Shared_Dirty',
  /** Referenced since the last reclaim scan. */
  referencedBytes: 'Referenced',
  anonBytes: 'Anonymous',
  /** Pages mapped by a huge page table entry. */
  anonHugeBytes: 'AnonHugePages',
  shmemHugeBytes: 'ShmemPmdMapped',
  fileHugeBytes: 'FilePmdMapped',
  privateHugetlbBytes: 'Private_Hugetlb',
  sharedHugetlbBytes: 'Shared_Hugetlb',
  swapBytes: 'Swap',
  swapPssBytes: 'SwapPss',
  /** Part of PSS that is locked by mlock. */
  lockedBytes: 'Locked',
} as const;

export type MappingSize = keyof typeof MAPPING_SIZES;

/** Facts about a mapping beside its name. */
export interface MappingTraits {
  readonly hugetlb: boolean;
  /** Whether it maps device memory (VM_IO, VM_PFNMAP). */
  readonly device: boolean;
  /**
   * Type of the file system of its file, if that is mounted; undefined: no file, or internal to the kernel.
   */
  readonly fsType: string | undefined;
}

const BRACKETS: readonly (readonly [string, MappingKind])[] = [
  ['[heap]', 'heap'],
  ['[stack', 'stack'],
  ['[anon:', 'anonymous'],
  ['[anon_shmem:', 'shared-anonymous'],
  ['[vdso', 'vdso'],
  ['[vvar', 'vdso'],
  ['[vsyscall]', 'vdso'],
];

/** The kernel's names for its own files without a directory. */
const OWN_FILES: readonly (readonly [string, MappingKind])[] = [
  ['/memfd:', 'memfd'],
  ['/SYSV', 'sysv'],
  ['/dev/zero', 'shared-anonymous'],
  ['/[aio]', 'kernel'],
];

const BY_FILE_SYSTEM: ReadonlyMap<string, MappingKind> = new Map([
  ['tmpfs', 'shmem'],
  ['devtmpfs', 'device'],
  ['hugetlbfs', 'hugetlb'],
]);

/** Kind of a mapping by its name in /proc/PID/maps. File names begin with a slash. */
export function kindOfMapping(name: string, traits: MappingTraits): MappingKind {
  const { hugetlb, device, fsType } = traits;
  const called = (known: typeof OWN_FILES) => known.find(([text]) => name.startsWith(text))?.[1];
  if (hugetlb) return 'hugetlb';
  if (name === '') return device ? 'device' : 'anonymous';
  if (name.startsWith('[')) return called(BRACKETS) ?? 'kernel';
  if (device) return 'device';
  if (!name.startsWith('/')) return 'kernel';
  if (fsType === undefined) return called(OWN_FILES) ?? 'file';
  return BY_FILE_SYSTEM.get(fsType) ?? 'file';
}
