import { type HostError, isHostError } from './error.js';

/** Receives bytes as they come; it must be done with them when it returns. */
export type OnBytes = (bytes: Buffer) => void;

export type OnLink = (name: string, target: string | HostError | null) => void;

/** `readLinks` for a source that has nothing quicker. */
export function linksOneByOne(
  source: Pick<HostSource, 'readLink'>,
  directory: string,
  names: readonly string[],
  onLink: OnLink,
): void {
  for (const name of names) {
    let target: string | HostError | null;
    try {
      target = source.readLink(`${directory}/${name}`);
    } catch (error) {
      if (!isHostError(error)) throw error;
      target = error.code === 'gone' ? null : error;
    }
    onLink(name, target);
  }
}

/**
 * Everything that is read from a host goes through this: the live host now, and whatever stands in
 * for it (a captured directory, a test). Paths are absolute, as on the host.
 *
 * Reads are synchronous: /proc answers at once, and a scan of ten thousand links should be a loop.
 * Every method throws `HostError`: `gone`, `denied` or `unreadable`; `ss` also its own codes.
 */
export interface HostSource {
  /**
   * The output of `ss` with these arguments, piece by piece. `netns` is a path that names a network
   * namespace to run it in (`/proc/PID/ns/net`, `/run/netns/NAME`), null for our own.
   */
  ss(args: readonly string[], netns: string | null, onBytes: OnBytes): Promise<void>;
  /** A whole small file as text. Bytes that are not UTF-8 come out as U+FFFD. */
  readText(path: string): string;
  /** A large file's bytes, piece by piece. */
  readBytes(path: string, onBytes: OnBytes): void;
  /** The target of a symbolic link. */
  readLink(path: string): string;
  /**
   * The targets of many links of one directory, each told to `onLink`; null for one that is gone, an
   * error for one that is denied or cannot be read. Quicker than one by one where there are thousands.
   */
  readLinks(directory: string, names: readonly string[], onLink: OnLink): void;
  /** The names in a directory, in any order. */
  list(path: string): readonly string[];
  /** The size that a file or directory says it has (`st_size`). */
  size(path: string): number;
  /** Milliseconds on a clock that never goes back; only differences mean something. */
  now(): number;
  /** Lets `ms` milliseconds pass. A source that stands still returns at once. */
  sleep(ms: number): Promise<void>;
}
