/** What a fault on a mapping brings. */
export type MappingKind =
  /** New memory of the process alone: heap, stacks, anonymous mappings. */
  | 'anonymous'
  /** tmpfs, memfd, shared anonymous memory: new for who is the first to touch it. */
  | 'shared'
  /** Huge pages of the pool of hugetlb. */
  | 'hugetlb'
  /** A file's pages, which lie in the page cache, and private copies of them. */
  | 'file'
  /** perf does not know what is mapped there. */
  | 'unknown';

/**
 * A mapping by the name that perf has for it, which is the kernel's (perf_event_mmap_event,
 * kernel/events/core.c): `//anon`, `[heap]`, `[stack]`, or a path.
 */
export function mappingKind(name: string): MappingKind {
  if (/^(\/\/anon|\[heap\]|\[stack(:\d+)?\]|\[anon:.*\])$/s.test(name)) return 'anonymous';
  if (name === '/anon_hugepage (deleted)') return 'hugetlb';
  if (
    /^\/(memfd:|dev\/shm\/|SYSV[0-9a-f]{8})|^\/dev\/zero( \(deleted\))?$|^\[anon_shmem:/.test(name)
  )
    return 'shared';
  return name === '[unknown]' || name === '' ? 'unknown' : 'file';
}
