// Types of initramfs.mjs, for tests.
import type { GuestOptions } from './guest.mjs';

/** What a guest boots with: busybox, the lab's init, modules and these files. */
export declare function initramfs(
  moduleFolder: string,
  more: { files?: GuestOptions['files']; modules?: string[]; busybox?: string },
): Buffer;
