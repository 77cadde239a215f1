import { ReadError } from '../base/errors/kernel.js';

/** What a step reads; undefined where the dump lacks it. Other errors go on. */
export function readOrNot<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ReadError) return undefined;
    throw error;
  }
}
