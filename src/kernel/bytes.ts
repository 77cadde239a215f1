import type { Pointer } from './pointer.js';

/** Returns the bytes of a view (by default all) without copying them. */
export function bytesOf(view: DataView, offset = 0, length = view.byteLength - offset): Uint8Array<ArrayBufferLike> {
  return new Uint8Array(view.buffer, view.byteOffset + offset, length);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Returns the bytes before the first NUL; all if there is none. */
export function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

/** Decodes Latin-1 text up to the first NUL, as fixed-size names in headers are stored. */
export function textOf(bytes: Uint8Array): string {
  const text = untilNul(bytes);
  return Buffer.from(text.buffer, text.byteOffset, text.length).toString('latin1');
}

/** A window on bytes that were read: they begin at `base` in `view`, which may extend further. Read-only. */
export interface ByteWindow {
  view: DataView;
  base: number;
}

export interface AnnouncedRead {
  readonly address: bigint;
  readonly length: number;
}

/** Allocation-free reads for loops over hundreds of thousands of objects. Used only by cursors (walk/cursor.ts). */
export interface FastReads {
  /**
   * Like a kernel's `read`, but allocates nothing: points `window` at the bytes. The kernel's next
   * read may overwrite them.
   *
   * @throws {ReadError} as read does; the contents of `window` are then undefined.
   */
  locate(at: Pointer, length: number, window: ByteWindow): void;

  /**
   * Announces reads in ascending order: threads decompress these pages meanwhile where that pays. The reads have the same
   * results and errors without it.
   *
   * @param count about how many pages these are
   * @returns a function that ends it
   */
  ahead?(reads: Iterable<AnnouncedRead>, count: number): () => void;
}

/** The read functions of a kernel; the fast ones are optional. */
interface Reads {
  read(address: bigint, length: number): DataView;
  readonly fast?: FastReads;
}

/** Returns the kernel's fast reads, or an adapter around its plain ones. */
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
