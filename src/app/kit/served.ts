/** Environment variable of a process that answers one call of `kdump-mem mcp`. */
export const SERVED_VARIABLE = 'KDUMP_MEM_SERVED';

/**
 * Whether this process answers one call of `kdump-mem mcp`: with --json it prints the answer in both forms, sends
 * progress to its parent, and exits with it.
 */
export const isServed = process.env[SERVED_VARIABLE] !== undefined;

/** Separates JSON from text. JSON escapes it, and so does text from a dump. */
export const FORMS_SEPARATOR = '\0';
