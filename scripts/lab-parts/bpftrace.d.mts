// Types of bpftrace.mjs, for tests.
import type { GuestOptions } from './guest.mjs';

/** Kernels whose Debian has a bpftrace that follows pages. */
export type BpftraceKernel = '6.1' | '6.12' | 'newest';

/** bpftrace as /bin/bpftrace, once {@link MOUNT} was run. */
export declare function bpftraceInGuest(kernel: BpftraceKernel): Pick<GuestOptions, 'disks' | 'modules' | 'files'>;

/** Mounts the disk that they are on. */
export declare const MOUNT: string;
