/** Choices of `--pss`: processes whose PSS is read. */
export const PSS_CHOICES = ['small', 'all'] as const;
export type PssChoice = (typeof PSS_CHOICES)[number];

/**
 * A process is large if it has more than this in memory, or in swap. The kernel generates smaps_rollup under the
 * process's mmap_lock ({@link BLOCKED_MS_PER_GIB}), during which it can map and unmap nothing.
 */
export const LARGE_BYTES = 512 * 2 ** 20;

/** Measured on 4 KiB pages: 14 ms. */
export const BLOCKED_MS_PER_GIB = 15;

/**
 * Why a process has no PSS. `large`: it was not requested for large processes; `unreadable`: also no permission, and not
 * in the input.
 */
export const PSS_UNKNOWN = ['large', 'blocked', 'unreadable'] as const;
export type PssUnknown = (typeof PSS_UNKNOWN)[number];
