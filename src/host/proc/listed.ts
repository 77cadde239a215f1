import { type HostErrorCode, isHostError } from '../../base/errors/host.js';

/** Why a file lists nothing. */
export interface Unlisted {
  readonly code: HostErrorCode;
  readonly why: string;
}

/** What a file lists; or why it cannot be had. */
export type Listed<T> = { readonly list: T } | Unlisted;

/** A reading that an answer can do without, if it says so. @throws what is no {@link HostError} */
export function listed<T>(read: () => T): Listed<T> {
  try {
    return { list: read() };
  } catch (error) {
    if (!isHostError(error)) throw error;
    return { code: error.code, why: error.message };
  }
}
