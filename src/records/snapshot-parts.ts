/** Parts that are only captured on request. */
export const OPTIONAL_PARTS = ['smaps', 'stacks', 'arguments', 'unix-paths', 'kpageflags', 'perf'] as const;
export type OptionalPart = (typeof OPTIONAL_PARTS)[number];

/** Optional parts that the script supports too. */
export const SCRIPT_PARTS: readonly OptionalPart[] = ['smaps', 'stacks', 'arguments', 'unix-paths'];

/** Secrets that are omitted unless requested by these names. */
export const SECRET_PARTS = ['arguments', 'unix-paths'] as const satisfies readonly OptionalPart[];

/** Parts that are always omitted. */
export const NEVER_TAKEN = ['environment'] as const;

/** Parts that are omitted from an anonymized snapshot. */
export const NAMING = ['log', 'names'] as const;

/** All parts that may be omitted on purpose. */
export const LEFT_OUT = [...NEVER_TAKEN, ...SECRET_PARTS, ...NAMING] as const;
export type LeftOut = (typeof LEFT_OUT)[number];

/** Possible problems of a capture. */
export const CAPTURE_FAULT_CODES = [
  'archive-damaged',
  'archive-unreadable',
  'manifest-missing',
  'manifest-damaged',
  'file-missing',
  'file-changed',
  'file-foreign',
  'file-twice',
  'file-too-large',
] as const;

/**
 * Why data is missing in a snapshot. `absent`: this host or kernel does not have it; `gone`: it
 * disappeared meanwhile; `cut`: only its beginning is included; `large`: reading the mappings of a large process blocks
 * it, and was not requested.
 */
export const FAILURE_CODES = ['gone', 'denied', 'unreadable', 'absent', 'cut', 'large'] as const;
export type FailureCode = (typeof FAILURE_CODES)[number];
