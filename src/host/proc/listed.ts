import { isHostError } from '../error.js';

/** What a file lists; or why it cannot be had. */
export type Listed<T> = { readonly list: T } | { readonly why: string };

/** A reading that an answer can do without, if it says so. @throws what is no {@link HostError} */
export function listed<T>(read: () => T): Listed<T> {
  try {
    return { list: read() };
  } catch (error) {
    if (!isHostError(error)) throw error;
    return { why: error.message };
  }
}
