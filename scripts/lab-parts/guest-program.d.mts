// Types of guest-program.mjs, for tests.
import type { GuestOptions } from './guest.mjs';

/** The scenario's program for guests of another architecture; nothing for this machine's. */
export declare function guestProgram(kernel: string): NonNullable<GuestOptions['files']>;
