/** Versions of bpftrace with which `leaks --engine bpftrace` was held against modules that tell what they hold. */
export const TRIED_BPFTRACES = ['0.17.0', '0.23.2', '0.27.1'] as const;

/** What recording needs of the kernel, as `bpftrace -l` lists it. */
export const NEEDED_PROBE = 'tracepoint:kmem:mm_page_alloc';
