// Types of own-kernel.mjs, for tests.

/** As the lab calls the kernel that remembers by itself who allocated what. */
export declare const OWN_KERNEL: 'newest-profiled';

/** Builds it where it is not there. @throws {Error} it cannot be built */
export declare function buildOwnKernel(): void;
