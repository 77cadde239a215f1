import zlib from 'node:zlib';

/**
 * Decompresses a page of exactly `size` bytes. Returns undefined if the input is corrupt or has
 * another length; never allocates more than `size` bytes for it, and never throws.
 */
export type Codec = (input: Uint8Array, size: number) => Uint8Array | undefined;

/** DUMP_DH_COMPRESSED_ZLIB: one zlib stream per page. */
export const inflateZlib: Codec = (input, size) => {
  inflater ??= zlibCodec(zlib, isZlibError);
  return inflater(input, size);
};

let inflater: Codec | undefined;

/**
 * Decompression with one state of zlib for all pages: with one for each, as `inflateSync` has, a page of 4 KiB takes twice as
 * long. A node whose parts are others, or give another result, gets `inflateSync`. Threads run the text of this function.
 *
 * @param allocate returns memory for a result; the same again where a result is valid until the next one only
 */
export function zlibCodec(
  { constants, createInflate, deflateSync, inflateSync }: typeof zlib,
  isRefusal: typeof isZlibError,
  allocate: (size: number) => Buffer = (size) => Buffer.allocUnsafe(size),
): Codec {
  /** What zlib is called through in node (`lib/zlib.js`), which has no public way to use a state twice. */
  interface Handle {
    onerror: (message: string) => void;
    reset(): void;
    writeSync(
      flush: number,
      input: Uint8Array,
      inputAt: number,
      inputLength: number,
      output: Uint8Array,
      outputAt: number,
      outputLength: number,
    ): void;
  }
  const isHandle = (handle: unknown): handle is Handle =>
    typeof handle === 'object' &&
    handle !== null &&
    ['reset', 'writeSync'].every((name) => typeof Reflect.get(handle, name) === 'function');
  const same = (bytes: Uint8Array | undefined, other: Uint8Array | undefined): boolean =>
    bytes === undefined || other === undefined ? bytes === other : Buffer.compare(bytes, other) === 0;
  const inflateOnce: Codec = (input, size) => {
    try {
      // One spare byte: without it, node calls zlib again with another buffer to check for more output.
      const output = inflateSync(input, { maxOutputLength: size, chunkSize: Math.max(size + 1, 64) });
      return output.byteLength === size ? output : undefined;
    } catch (error) {
      if (isRefusal(error)) return undefined;
      throw error;
    }
  };
  const stream = createInflate();
  const [handle, state]: unknown[] = [Reflect.get(stream, '_handle'), Reflect.get(stream, '_writeState')];
  if (!isHandle(handle) || !(state instanceof Uint32Array)) return inflateOnce;
  let failed = false;
  handle.onerror = () => {
    failed = true;
  };
  const codec: Codec = (input, size) => {
    failed = false;
    // One spare byte: a full buffer would not show that the stream ends.
    const output = allocate(size + 1);
    handle.reset();
    handle.writeSync(constants.Z_FINISH, input, 0, input.byteLength, output, 0, output.byteLength);
    return failed || state[0] !== 1 ? undefined : output.subarray(0, size);
  };
  const sample = deflateSync(Buffer.from('struct page'));
  const isAlike = [sample, sample.subarray(2), sample.subarray(0, -1), Buffer.concat([sample, sample]), sample].every(
    (input) => [10, 11, 12].every((size) => same(codec(input, size), inflateOnce(input, size))),
  );
  return isAlike ? codec : inflateOnce;
}

/** Errors of node:zlib for bad input (Z_DATA_ERROR, Z_BUF_ERROR) or for too much output. */
export function isZlibError(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false;
  const code = String(error.code);
  return code.startsWith('Z_') || code.startsWith('ZSTD_') || code === 'ERR_BUFFER_TOO_LARGE';
}
