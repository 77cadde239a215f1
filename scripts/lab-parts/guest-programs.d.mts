// Types of guest-programs.mjs, for tests.
import type { GuestOptions } from './guest.mjs';

/** A program of guest-programs/NAME.c as /bin/NAME. */
export declare function guestTool(name: string): NonNullable<GuestOptions['files']>[number];
