import type { Pointer } from './pointer.js';

/** Bytes that were read: in `view`, which may show more, from `base` on. Never write to it. */
export interface ByteWindow {
  view: DataView;
  base: number;
}

/** Reads for loops over hundreds of thousands of objects. Only cursors use them (walk/cursor.ts). */
export interface FastReads {
  /**
   * Like a kernel's `read`, and makes nothing: sets `window` to where the bytes are. They may be
   * overwritten by whatever the kernel reads next.
   *
   * @throws {ReadError} as read does; `window` then means nothing.
   */
  locate(at: Pointer, length: number, window: ByteWindow): void;
}

/** What a kernel has of reads: the fast ones need not be there. */
interface Reads {
  read(address: bigint, length: number): DataView;
  readonly fast?: FastReads;
}

/** The kernel's own fast reads, or its plain ones in their form. */
export function fastReads(kernel: Reads): FastReads {
  return (
    kernel.fast ?? {
      locate(at, length, window) {
        window.view = kernel.read(at.address, length);
        window.base = 0;
      },
    }
  );
}
