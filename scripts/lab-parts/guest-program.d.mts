// Types of guest-program.mjs, for tests.
import type { GuestOptions } from './guest.mjs';

/** The program of guest-programs/NAME.c as /bin/NAME, for guests of a kernel of the lab. */
export declare function guestTool(name: string, kernel: string): NonNullable<GuestOptions['files']>[number];
