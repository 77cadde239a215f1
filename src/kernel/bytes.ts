/** Bytes of a view, all of them unless told: the same memory. */
export function bytesOf(
  view: DataView,
  offset = 0,
  length = view.byteLength - offset,
): Uint8Array<ArrayBufferLike> {
  return new Uint8Array(view.buffer, view.byteOffset + offset, length);
}

/** Bytes as a view of the same memory. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Bytes up to the first NUL; all where there is none. */
export function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

/** Latin-1 text up to the first NUL: what fixed-size names in headers hold. */
export function textOf(bytes: Uint8Array): string {
  const text = untilNul(bytes);
  return Buffer.from(text.buffer, text.byteOffset, text.length).toString('latin1');
}
