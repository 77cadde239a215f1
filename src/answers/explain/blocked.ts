import type { OwnerState } from '../../contracts/blocked.js';
import type { WaitCause, WaitKind } from '../../records/waits.js';
import type { Explanations } from './schema.js';

const LIST =
  'The waiter on the stack of the task, and the list of the lock. Both must agree, or the answer is incomplete.';
const FIND_OWNER = 'Find out why the owner does not continue: read its stack.';
const deeper = 'kdump-mem blocked -v';

/** What tasks wait for (`kdump-mem blocked`). */
export const WAITS: Explanations<WaitKind> = {
  mutex: {
    means: 'A mutex. Its owner word names the task that holds it.',
    known: `${LIST} mutex_waiter (kernel/locking/mutex.c).`,
    next: FIND_OWNER,
    deeper,
  },
  'rw-semaphore': {
    means: 'An rw_semaphore. A writer is its owner; readers are counted, but not recorded.',
    known: `${LIST} rwsem_waiter (kernel/locking/rwsem.c).`,
    next: 'If readers hold it, check the possible owners, and tasks whose stack has down_read.',
    deeper,
  },
  semaphore: {
    means: 'A semaphore. The kernel does not record its owner; since 6.16 it records who acquired it last.',
    known: `${LIST} semaphore_waiter (kernel/locking/semaphore.c).`,
    next: 'Check the possible owners, and the code that calls down() on it.',
    deeper,
  },
  'percpu-rw-semaphore': {
    means: 'A percpu_rw_semaphore. Neither its writer nor its readers are recorded.',
    known: 'The wait queue of the semaphore, or the writer that it points to (kernel/locking/percpu-rwsem.c).',
    next: 'Check the possible owners, and the code that takes it.',
    deeper,
  },
  completion: {
    means: 'A completion. If the exit of a task completes it (vfork, kthread_stop), that task is its owner.',
    known: `${LIST} swait_queue (kernel/sched/completion.c), task_struct.vfork_done.`,
    next: 'Read the stack of the waiter: its caller began the work that has to complete.',
    deeper,
  },
  'wait-queue': {
    means: 'A wait queue: the task waits until a condition is true.',
    known: `${LIST} wait_queue_entry (kernel/sched/wait.c).`,
    next: 'Read the stack of the waiter: its caller names the condition.',
    deeper,
  },
  'page-lock': {
    means: 'The lock of a page (PG_locked), usually until it was read from disk. The kernel does not record its owner.',
    known: 'wait_page_queue on the stack of the task (mm/filemap.c), and the hashed wait queue of the page.',
    next: 'Check the disk or the network file system of the file.',
    deeper,
  },
  writeback: {
    means: 'The end of the writeback of a page (PG_writeback).',
    known: 'wait_page_queue on the stack of the task (mm/filemap.c), and the hashed wait queue of the page.',
    next: 'Check the disk or the network file system of the file.',
    deeper,
  },
  'page-bit': {
    means: 'Another flag of a page.',
    known: 'wait_page_queue on the stack of the task (mm/filemap.c), and the hashed wait queue of the page.',
    next: 'Read the stack of the waiter.',
    deeper,
  },
  bit: {
    means: 'A bit of a word (wait_on_bit), such as the lock of a buffer, or its value (wait_var_event).',
    known: 'wait_bit_queue_entry on the stack of the task (kernel/sched/wait_bit.c), and its hashed wait queue.',
    next: 'Identify the word with kdump-mem whatis, and read the stack of the waiter.',
    deeper,
  },
  'rt-mutex': {
    means: 'An rt_mutex, such as that of a futex with priority inheritance. It has an owner.',
    known: 'task_struct.pi_blocked_on and the owner of the rt_mutex.',
    next: FIND_OWNER,
    deeper,
  },
  futex: {
    means: 'A futex, at an address of the process. The kernel does not know its owner.',
    known: 'futex_q on the stack of the task, and the hash bucket that it is in (kernel/futex).',
    next: 'Use a debugger on the process: for a mutex of glibc, __owner is the thread that holds it.',
    deeper: 'kdump-mem blocked --all',
  },
  io: {
    means:
      'Input or output of a block device: the end of a bio or request, or a free tag. `device` has its outstanding requests.',
    known:
      'The bio on the stack of the task (submit_bio_wait), sbq_wait (blk_mq_get_tag), and the request with that bio.',
    next: 'Check the device: the log for errors, timeouts and resets, and its path (cable, fabric, hypervisor).',
    deeper,
  },
  journal: {
    means:
      'A journal of jbd2 (ext4): its commit thread is the owner. The commit thread itself waits for tasks with open handles.',
    known:
      'The wait queue of journal_s, j_task, and the journal that this thread runs. Handles: task_struct.journal_info.',
    next: 'Read what the commit thread waits for: open handles, or the block device.',
    deeper,
  },
  spinlock: {
    means: 'A spinlock, for which CPUs spin. Its word does not record the owner.',
    known:
      'The function on the stack of the running task, its registers, and the queue of CPUs (kernel/locking/qspinlock.c).',
    next: 'Read the stacks of the other CPUs: kdump-mem stacks --cpu N.',
    deeper: 'kdump-mem stacks',
  },
  work: {
    means: 'A work item of a workqueue (flush_work). Its owner is the worker that runs it.',
    known: 'wq_barrier on the stack of the task, and the list that it is on (kernel/workqueue.c).',
    next: 'Read the stack of the worker. No worker: read the stacks of all worker threads.',
    deeper,
  },
  rcu: {
    means: 'A grace period of RCU or SRCU: all readers must leave. The kernel does not record SRCU readers.',
    known: 'A function such as synchronize_rcu on the stack of the task.',
    next: 'Check for CPUs that do not schedule, and the log for RCU stalls.',
    deeper: 'kdump-mem log',
  },
  ptrace: {
    means: 'A traced task that stopped waits for its tracer, which is the owner.',
    known: 'The function ptrace_stop, and task_struct.parent.',
    next: 'Check the tracer, such as gdb or strace.',
    deeper: 'kdump-mem blocked --all',
  },
  'file-lock': {
    means: 'A lock of a file (flock, POSIX, a lease). Only /proc and snapshots list them here.',
    known: '/proc/locks: the process that requested the lock, and requests that wait for it.',
    next: 'Check the owner. Processes that inherited an open file with a flock hold it, too.',
    deeper,
  },
  unknown: {
    means: 'Only the function that waits is known, not what it waits for. One entry has all tasks in it.',
    known: 'The stack of the task. No waiter on it is linked to a lock.',
    next: 'Read the stack of the waiter.',
    deeper,
  },
};

/** What tasks in state D wait for, by /proc. */
export const WAIT_CAUSES: Explanations<WaitCause['kind']> = {
  frozen: {
    means:
      'The file system is frozen: every write waits until it is thawed. fsfreeze, a snapshot of LVM, or the agent of a hypervisor froze it.',
    known: 'A stack with a write that waits for a percpu_rw_semaphore (sb_start_write, include/linux/fs.h).',
    next: 'fsfreeze -u PATH thaws it. Find out which backup or snapshot did not.',
    deeper,
  },
  fuse: {
    means: 'The process that serves a FUSE file system does not answer requests.',
    known:
      'A stack in fs/fuse, the mount of the file or the only FUSE mount, and the process that has its connection open (fuse_connection of fdinfo, 6.17; otherwise the only process with /dev/fuse).',
    next: 'Find out what the server waits for. Writing to /sys/fs/fuse/connections/N/abort ends all requests with an error.',
    deeper,
  },
  nfs: {
    means: 'Tasks wait for an NFS server. It is slow, not reachable, or the network loses its answers.',
    known: 'A stack in fs/nfs or net/sunrpc, and the mount of the file or the only NFS mount.',
    next: 'Check whether the server is reachable, and nfsstat -rc for retransmissions.',
    deeper,
  },
  vfork: {
    means: 'A process that called vfork sleeps until its child calls exec or exits.',
    known: 'The function in which it waits (wait_for_vfork_done, which is inlined in kernel_clone; kernel/fork.c).',
    next: 'For less than a second this is normal. Otherwise find out what the child waits for: pgrep -P PID lists it.',
    deeper,
  },
};

/** Why a lock has an owner, or none. */
export const OWNER_STATES: Explanations<OwnerState> = {
  task: {
    means: 'The lock names a task that exists.',
    known: 'Its owner word, or the task itself, and the task table.',
    next: 'None.',
  },
  'not-recorded': {
    means: 'The kernel records no owner for locks of this kind.',
    known: 'The struct of the lock.',
    next: 'Check the possible owners, if the answer has any.',
  },
  none: {
    means:
      'The lock has no owner, but tasks wait. Without a warning a waiter was woken to take it; otherwise the owner word is corrupt.',
    known: 'The owner word, and the list of waiters.',
    next: 'If a warning reports it, check the log for memory corruption.',
  },
  readers: {
    means: 'Readers hold the lock. Their number is known, but not which tasks they are.',
    known: 'rw_semaphore.count.',
    next: 'Check the possible owners, and tasks whose stack has down_read.',
  },
  'not-a-task': {
    means:
      'The owner word does not point to a task that exists: the owner exited without a release, or the word is corrupt.',
    known: 'The owner word, and the task table.',
    next: 'Find the code that takes the lock, and returns or exits without a release.',
  },
  unknown: {
    means: 'The owner could not be read, or the lock is unknown.',
    known: 'A warning has the reason, unless the lock is unknown.',
    next: 'Use a dump with more pages (makedumpfile -d 31 keeps them).',
  },
};
