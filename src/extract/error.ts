import { KdumpMemError } from '../error.js';

/**
 * Why an extract could not be written. `exists`: the file is there and may not be replaced;
 * `cannot-write`: the file system refuses; `no-compressor`: this Node cannot compress so; `too-large`:
 * there is no room for the list of what is kept.
 */
export type ExtractErrorCode = 'exists' | 'cannot-write' | 'no-compressor' | 'too-large';

export class ExtractError extends KdumpMemError<ExtractErrorCode> {}
