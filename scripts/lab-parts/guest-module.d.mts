// Types of guest-module.mjs, for tests.
import type { GuestOptions } from './guest.mjs';

/** The module of guest-modules/NAME.c as /NAME.ko, for guests of a kernel of the lab. */
export declare function guestModule(name: string, kernel: string): NonNullable<GuestOptions['files']>[number];
