import { KdumpMemError } from '../error.js';

/**
 * Why lines cannot be stored. `cannot-write`: the disk is full, or the file may not be written; `locked`: another
 * one stores into it; `other-writer`: something was written into it meanwhile that is not ours.
 */
export const STORE_ERROR_CODES = ['cannot-write', 'locked', 'other-writer'] as const;
export type StoreErrorCode = (typeof STORE_ERROR_CODES)[number];

export class StoreError extends KdumpMemError<StoreErrorCode> {}
