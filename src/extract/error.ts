import { KdumpMemError } from '../error.js';

/**
 * Why an extract could not be written. `exists`: the file is there and may not be replaced;
 * `cannot-write`: the file system refuses, or no list has room for what is to be kept;
 * `no-compressor`: this Node cannot compress so.
 */
export type ExtractErrorCode = 'exists' | 'cannot-write' | 'no-compressor';

export class ExtractError extends KdumpMemError<ExtractErrorCode> {}
