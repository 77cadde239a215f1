import { KdumpMemError } from '../error.js';

/**
 * Why an extract could not be written, beside `OutputError`. `cannot-write`: no list has room for what is
 * to be kept;
 * `no-compressor`: this Node cannot compress so.
 */
export type ExtractErrorCode = 'cannot-write' | 'no-compressor';

export class ExtractError extends KdumpMemError<ExtractErrorCode> {}
