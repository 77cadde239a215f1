/** State letters as printed by `ps`, by the lowest set bit of the state (fs/proc/array.c). */
export const TASK_STATES = ['R', 'S', 'D', 'T', 't', 'X', 'Z', 'P', 'I'] as const;
export type TaskState = (typeof TASK_STATES)[number];

/** What tasks wait for. */
export const WAIT_KINDS = [
  'mutex',
  'rw-semaphore',
  'semaphore',
  'percpu-rw-semaphore',
  'completion',
  'wait-queue',
  /** PG_locked of a page. */
  'page-lock',
  /** PG_writeback of a page. */
  'writeback',
  /** Another bit of a page. */
  'page-bit',
  /** A bit of any other word (wait_on_bit), or its value (wait_var_event). */
  'bit',
  'rt-mutex',
  'futex',
  /** Input or output of a block device. */
  'io',
  /** A transaction of a journal (jbd2): ext4, ocfs2. */
  'journal',
  /** A spinlock, for which CPUs spin. */
  'spinlock',
  /** A work item of a workqueue. */
  'work',
  /** A grace period of RCU. */
  'rcu',
  /** The tracer of the task. */
  'ptrace',
  /** A lock of a file: flock, fcntl or a lease. */
  'file-lock',
  /** Only the function that waits is known. */
  'unknown',
] as const;
export type WaitKind = (typeof WAIT_KINDS)[number];

/** A function of a kernel stack. Untrusted. */
export interface TraceFrame {
  readonly symbol: string;
  readonly offset: number;
  readonly module: string | null;
}

/** A thread, according to /proc/PID/task/TID. */
export interface HostThread {
  readonly pid: number;
  readonly process: number;
  readonly state: TaskState;
  /** Number of context switches; null: not available. */
  readonly switches: number | null;
  /** Its id in each pid namespace, that of the reader first; []: not available. */
  readonly nsPids: readonly number[];
}

/** Where a thread in state D waits, by wchan and stack. */
export interface ThreadWait extends HostThread {
  /** Null: not readable, or the thread ran meanwhile. */
  readonly function: string | null;
  /** Innermost first; null: not readable. */
  readonly trace: readonly TraceFrame[] | null;
}

/** What a thread in state D waits for: a frozen file system, a FUSE or NFS server, or its own child. Null: unknown. Text is untrusted. */
export interface WaitCause {
  readonly kind: 'frozen' | 'fuse' | 'nfs' | 'vfork';
  /** Of the file system, `major:minor`. */
  readonly device: string | null;
  /** Mount point, file system type and source of the mount. */
  readonly path: string | null;
  readonly fileSystem: string | null;
  readonly source: string | null;
  readonly file: string | null;
  /** Process of the FUSE server. */
  readonly server: number | null;
}

/** A lock of /proc/locks (lock_get_status, fs/locks.c). */
export interface FileLock {
  /** As printed: FLOCK, POSIX, OFDLCK, LEASE, DELEG, …. */
  readonly type: string;
  /** A write lock; otherwise a read lock. */
  readonly exclusive: boolean;
  /** The process that requested it, in the pid namespace of the reader; null: the kernel records none. */
  readonly pid: number | null;
  /** Device `major:minor` and number of the inode; null: none. */
  readonly device: string | null;
  readonly inode: string | null;
  /** First and last byte; null: the end of the file, whatever it is. */
  readonly from: number;
  readonly to: number | null;
  /** Requests that wait for it, directly or behind each other. */
  readonly waiters: readonly FileLock[];
}
