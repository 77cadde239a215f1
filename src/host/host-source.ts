/** Receives bytes in pieces; the buffer is only valid during the call. */
export type OnBytes = (bytes: Buffer) => void;

/** Identity and kind of a file. */
export interface FileFacts {
  readonly device: number;
  readonly inode: number;
  /** Allocated bytes; for a file in memory including swapped pages. */
  readonly bytes: number;
  readonly isFile: boolean;
  readonly isFolder: boolean;
}

/** Bytes of a tmpfs in use, including swapped pages, and its size limit; nulls: it has no limit, and reports no use. */
export interface TmpfsUse {
  readonly used: number | null;
  readonly limit: number | null;
}

/** Descriptors of a process by number: the inode of a socket, the target of another link, or `denied`. */
export type DescriptorTable = ReadonlyMap<number, string | number>;

/**
 * Access to a host: the live host, or a substitute (a capture, a test). Paths are absolute, as on the host.
 *
 * Reads are synchronous: except for `readSlowText`, /proc answers immediately, and scans of ten thousand
 * links are plain loops. Every method throws `HostError`: `gone`, `denied` or `unreadable`; `ss` also its own
 * codes. If no descriptor, process or memory is left, it is an `ExhaustedError`.
 */
export interface HostSource {
  /**
   * Runs `ss` with these arguments and passes its output on in pieces. `netns` is the path of a network
   * namespace to run it in (`/proc/PID/ns/net`, `/run/netns/NAME`), null for our own. An ss without
   * `-O` or `-H` prints its output without them.
   *
   * Resolves to the requested tables (`-A`) that this ss does not support.
   */
  ss(args: readonly string[], netns: string | null, onBytes: OnBytes): Promise<readonly string[]>;
  /** Reads a small file as text. Bytes that are not UTF-8 become U+FFFD. */
  readText(path: string): string;
  /**
   * Reads a file of /proc/PID that the kernel generates under the process's mmap_lock, such as smaps:
   * `blocked` while another task holds that lock.
   */
  readSlowText(path: string): Promise<string>;
  /** Reads bytes at an offset of such a file. Not available for captures. */
  readSlowBytes?(path: string, from: number, length: number): Promise<Buffer>;
  /** Reads a small file inside a network or ipc namespace (`/proc/PID/ns/ipc`), which is entered: slow. */
  readTextIn(namespace: string, path: string): string;
  /**
   * Lists interfaces, page pools, rings and regions of these network namespaces (netlink.ts; `-`: our own); null: a capture that lacks
   * them. `gone`: it needs python3 or perl.
   */
  netlink?(namespaces: readonly string[]): string | null;
  /** Reads a large file in pieces. */
  readBytes(path: string, onBytes: OnBytes): void;
  /** The target of a symbolic link. */
  readLink(path: string): string;
  /** The names in a directory, in any order. */
  list(path: string): readonly string[];
  /**
   * Number of folders in a folder of kernfs, such as a cgroup (kernfs_refresh_inode, fs/kernfs/inode.c): much cheaper than
   * its list. Null: unknown. Not available for captures.
   */
  subfolders?(path: string): number | null;
  /** Whether memory cgroups may be missing from the lists of a capture: their number is then unknown. */
  readonly lacksCgroups?: boolean;
  /** Returns the size of a file or directory (`st_size`). */
  size(path: string): number;
  /** Returns identity and kind of a file. Follows only links of /proc. Not available for captures. */
  file?(path: string): FileFacts;
  /**
   * Returns the use of the tmpfs that contains a path; null: another file system. Blocks if that does not respond:
   * only for memfds and mounts of tmpfs. Not available for captures.
   */
  tmpfs?(path: string): TmpfsUse | null;
  /**
   * Identity of a file that a process maps (`/proc/PID/map_files/…`), and whether it is in tmpfs: `blocked` while
   * another task holds its mmap_lock. Not available for captures.
   */
  mappedFile?(path: string): Promise<FileFacts & { readonly isTmpfs: boolean }>;
  /** Files in memory that a capture lists (shared-files.ts), in place of `file`. */
  readonly filesInMemory?: string | undefined;
  /** Returns the inode of a file (`st_ino`). Not available in a capture: `denied`. */
  inode(path: string): number;
  /** The host itself, if this is one that repeats what it has read. */
  readonly fresh?: HostSource;
  /** Returns a table (`/proc/PID/fd`) that it repeats; undefined: another path. Throws what reading the table threw. */
  table?(path: string): DescriptorTable | undefined;
  /** The same host at an earlier time: of a capture. */
  readonly earlier?: HostSource | undefined;
  /** Inodes of the sockets between this process and commands that it runs, which ss lists too. */
  readonly ownPipes?: ReadonlySet<number>;
  /** Milliseconds on a monotonic clock; only differences are meaningful. */
  now(): number;
  /** Waits `ms` milliseconds. Returns immediately for a source that does not change. */
  sleep(ms: number): Promise<void>;
}
