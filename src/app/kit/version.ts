/** Inserted by the bundler (scripts/bundle.mjs, scripts/package). */
declare const KDUMP_MEM_VERSION: string | undefined;

/** The version in package.json. */
export const VERSION = typeof KDUMP_MEM_VERSION === 'string' ? KDUMP_MEM_VERSION : 'unbundled';
