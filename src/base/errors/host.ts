import { KdumpMemError } from '../error.js';
import { exhaustionOf } from '../exhaustion.js';

/**
 * Why the host could not be asked. `gone`: the file, process or link is not there (any more);
 * `denied`: it is there and we may not look;
 * `unreadable`: it answers in a way that we do not understand. `blocked`: a read made no progress, as while the
 * mmap_lock of the process is held. `netns-closed`: we may not enter that
 * network namespace. The `ss-` codes are about the `ss` command itself.
 */
export const HOST_ERROR_CODES = [
  'gone',
  'denied',
  'unreadable',
  'blocked',
  'no-such-process',
  'no-such-netns',
  'netns-closed',
  'not-a-capture',
  'capture-failed',
  'ss-missing',
  'ss-failed',
  'ss-hung',
  'ss-too-much',
] as const;
export type HostErrorCode = (typeof HOST_ERROR_CODES)[number];

export class HostError extends KdumpMemError<HostErrorCode> {}

/** True for an error of the host (with one of these codes): anything else is not ours to catch. */
export function isHostError(error: unknown, ...codes: HostErrorCode[]): error is HostError {
  return error instanceof HostError && (codes.length === 0 || codes.includes(error.code));
}

/**
 * We ourselves ran out of descriptors, processes or memory. It says nothing about the host, so it is no
 * `HostError`: whoever takes those for "it is not there" must not take this for it.
 */
export class ExhaustedError extends KdumpMemError<'exhausted'> {
  constructor(message: string, options?: { cause?: unknown }) {
    super('exhausted', message, options);
  }
}

/** Reads something of a path. @throws {HostError} `gone`, `denied`, `unreadable`; {@link ExhaustedError} */
export function attempt<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    // Of whoever is told the bytes.
    if (cause instanceof HostError) throw cause;
    const lacking = exhaustionOf(cause);
    if (lacking !== undefined) throw new ExhaustedError(`${path}: ${lacking}`, { cause });
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    switch (code) {
      case 'ENOENT':
      case 'ESRCH':
      case 'ENOTDIR':
        throw new HostError('gone', `${path}: not found`, { cause });
      case 'EACCES':
      case 'EPERM':
        throw new HostError('denied', `${path}: permission denied`, { cause });
      default:
        if (typeof code !== 'string') throw cause;
        throw new HostError('unreadable', `${path}: read failed (${code})`, { cause });
    }
  }
}
