/** A file with resident pages, which a process has open or mapped. */
export interface CachedFile {
  /** As the process sees it; untrusted. */
  readonly path: string;
  /** A process that has it open or mapped. */
  readonly pid: number;
  readonly deleted: boolean;
  readonly mapped: boolean;
  /** Such as `ext4`. */
  readonly fsType: string;
  readonly inode: string;
  /** Resident pages. */
  readonly bytes: number;
  readonly size: number;
}

/** Files that processes have open or mapped. */
export interface CachedFiles {
  /** Largest first, without files that have no resident pages. */
  readonly files: readonly CachedFile[];
  /**
   * What was not read. `processes`: beyond the limits of number and time; `descriptors`, `maps`: of processes;
   * `file-system`: files of a network, FUSE or unknown file system; `gone`: closed meanwhile; `time`: fincore
   * did not report them in time.
   */
  readonly leftOut: readonly { readonly reason: LeftOutReason; readonly count: number }[];
}

export const LEFT_OUT_REASONS = [
  ...(['processes', 'descriptors', 'maps', 'file-system', 'gone', 'time'] as const),
];
export type LeftOutReason = (typeof LEFT_OUT_REASONS)[number];
