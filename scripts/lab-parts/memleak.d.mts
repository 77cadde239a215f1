// Types of memleak.mjs, for tests.
import type { GuestOptions } from './guest.mjs';

/** memleak of libbpf-tools as /bin/memleak-libbpf. */
export declare function memleakInGuest(): NonNullable<GuestOptions['files']>;
