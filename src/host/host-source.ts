/** Receives bytes as they come; it must be done with them when it returns. */
export type OnBytes = (bytes: Buffer) => void;

/**
 * Everything that is read from a host goes through this: the live host now, and whatever stands in
 * for it (a captured directory, a test). Paths are absolute, as on the host.
 *
 * Reads are synchronous: /proc answers at once, but for `readSlowText`, and a scan of ten thousand links should be a
 * loop.
 * Every method throws `HostError`: `gone`, `denied` or `unreadable`; `ss` also its own codes. Where we
 * have no descriptor, process or memory left it is an `ExhaustedError`.
 */
export interface HostSource {
  /**
   * The output of `ss` with these arguments, piece by piece. `netns` is a path that names a network
   * namespace to run it in (`/proc/PID/ns/net`, `/run/netns/NAME`), null for our own. An ss that does not
   * know `-O` or `-H` prints what it prints without them.
   *
   * Resolves to those of the tables asked for (`-A`) that this ss does not know.
   */
  ss(args: readonly string[], netns: string | null, onBytes: OnBytes): Promise<readonly string[]>;
  /** A whole small file as text. Bytes that are not UTF-8 come out as U+FFFD. */
  readText(path: string): string;
  /**
   * A file of /proc/PID that the kernel answers under the mmap_lock of the process, such as smaps: `blocked` while
   * another task holds that lock.
   */
  readSlowText(path: string): Promise<string>;
  /** Bytes at a place of such a file. Absent: those of a capture. */
  readSlowBytes?(path: string, from: number, length: number): Promise<Buffer>;
  /** A small file as it reads inside of a network namespace, which is entered: slow. `netns` as for `ss`. */
  readTextIn(netns: string, path: string): string;
  /** A large file's bytes, piece by piece. */
  readBytes(path: string, onBytes: OnBytes): void;
  /** The target of a symbolic link. */
  readLink(path: string): string;
  /** The names in a directory, in any order. */
  list(path: string): readonly string[];
  /** The size that a file or directory says it has (`st_size`). */
  size(path: string): number;
  /** The inode of a file (`st_ino`). What was captured tells none: `denied`. */
  inode(path: string): number;
  /** Milliseconds on a clock that never goes back; only differences mean something. */
  now(): number;
  /** Lets `ms` milliseconds pass. A source that stands still returns at once. */
  sleep(ms: number): Promise<void>;
}
