// Types of paths.mjs, for tests.

/** Files of a kernel of the lab. */
export declare function kernelFiles(version: string): { vmlinuz: string; modules: string; release: string };
