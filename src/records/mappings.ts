/** What memory a mapping of a process shows. */
export const MAPPING_KINDS = [
  'file',
  /** A file of tmpfs. */
  'shmem',
  'memfd',
  'sysv',
  /** Without a file, shared with children (MAP_SHARED | MAP_ANONYMOUS). */
  'shared-anonymous',
  'hugetlb',
  /** A file of /dev, or a device's memory. */
  'device',
  'heap',
  /** That of the first thread: others have theirs in anonymous memory. */
  'stack',
  'anonymous',
  /** The kernel's own code and clock, which it shows to everybody. */
  'vdso',
  /** Rings and other memory that the kernel and the process share. */
  'kernel',
] as const;

export type MappingKind = (typeof MAPPING_KINDS)[number];

/**
 * What of a mapping is in memory and in swap, bytes, as /proc/PID/smaps has it (fs/proc/task_mmu.c); null: it
 * cannot be told.
 */
export interface MappingSizes {
  /** Pages that it maps; huge pages of hugetlb are not among them. */
  readonly rss: number | null;
  /** Each divided among all mappings of it. */
  readonly pss: number | null;
  /** Pages that no other mapping has, and those that others have too; dirty: not as on the disk. */
  readonly privateClean: number | null;
  readonly privateDirty: number | null;
  readonly sharedClean: number | null;
  readonly sharedDirty: number | null;
  /** Used since the kernel last looked. */
  readonly referenced: number | null;
  readonly anonymous: number | null;
  /** Mapped by one entry of a huge page. */
  readonly anonymousHuge: number | null;
  readonly shmemHuge: number | null;
  readonly fileHuge: number | null;
  readonly privateHugetlb: number | null;
  readonly sharedHugetlb: number | null;
  readonly swap: number | null;
  readonly swapPss: number | null;
  /** What of PSS mlock keeps in memory. */
  readonly locked: number | null;
}

/** Names of the sizes, and how /proc/PID/smaps calls them. */
export const MAPPING_SIZES = {
  rss: 'Rss',
  pss: 'Pss',
  privateClean: 'Private_Clean',
  privateDirty: 'Private_Dirty',
  sharedClean: 'Shared_Clean',
  sharedDirty: 'Shared_Dirty',
  referenced: 'Referenced',
  anonymous: 'Anonymous',
  anonymousHuge: 'AnonHugePages',
  shmemHuge: 'ShmemPmdMapped',
  fileHuge: 'FilePmdMapped',
  privateHugetlb: 'Private_Hugetlb',
  sharedHugetlb: 'Shared_Hugetlb',
  swap: 'Swap',
  swapPss: 'SwapPss',
  locked: 'Locked',
} as const satisfies Record<keyof MappingSizes, string>;

/** A mapping of a process. */
export interface Mapping extends MappingSizes {
  /** Addresses of the process; `end` is behind the last byte. */
  readonly start: bigint;
  readonly end: bigint;
  /** As in /proc/PID/maps: `r-xp`. */
  readonly permissions: string;
  /** Where in its file it begins, bytes. */
  readonly offset: bigint;
  /** As /proc/PID/maps names it: a path, `[heap]`, `[anon:NAME]`; '': nothing names it. Hostile. */
  readonly name: string;
  readonly kind: MappingKind;
}

/** What tells of a mapping's kind besides its name. */
export interface MappingTraits {
  readonly hugetlb: boolean;
  /** It shows a device's memory (VM_IO, VM_PFNMAP). */
  readonly device: boolean;
  /** Type of its file's file system, where that is mounted; undefined: the kernel's own, or no file. */
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

/** What the kernel calls files of its own that are in no folder. */
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

/** What a mapping shows, by its name in /proc/PID/maps. Names of files begin with a slash. */
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
