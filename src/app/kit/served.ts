/** Environment variable of a process that answers one call of `kdump-mem mcp`. */
export const SERVED_VARIABLE = 'KDUMP_MEM_SERVED';

/**
 * Whether this process answers one call of `kdump-mem mcp`: with --json it prints the answer in both forms, writes
 * progress to stderr, and exits with its parent.
 */
export const isServed = process.env[SERVED_VARIABLE] !== undefined;

/** Separates JSON from text. JSON escapes it, and so does text from a dump. */
export const FORMS_SEPARATOR = '\0';

/** Begins a line of stderr that reports progress: the completed part, 0 to 1, and the activity. */
export const PROGRESS_MARK = '\x1e';
