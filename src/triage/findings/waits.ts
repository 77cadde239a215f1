import { inflect } from '../../base/size.js';
import { type Declarations, type Of, type OfProcess, place, process, text } from './declared.js';

/** A lock and its owner. */
type Lock = OfProcess & Of<'tasks'> & Of<'kind' | 'lock' | 'state', string>;
type Cause = Partial<Of<'cause' | 'path' | 'fileSystem' | 'source' | 'serverComm', string> & Of<'serverPid'>>;
type Waiting = OfProcess &
  Of<'tasks'> &
  Of<'symbol', string> &
  Cause &
  Partial<Of<'stack' | 'file' | 'commands', string> & Of<'behind' | 'others'>>;

export const WAITS = {
  deadlock: {
    words: (of: Lock & Of<'owners' | 'otherPid'> & Of<'otherComm' | 'otherLock', string>) => [
      `Deadlock: ${process(of)} owns ${text(of.kind)} ${text(of.lock)} and waits for ${of.owners === 2 ? `${process({ pid: of.otherPid ?? null, comm: of.otherComm ?? null })}, which waits for it` : `a lock in a cycle of ${text(of.owners)} owners`}.`,
      `${text(of.tasks)} tasks wait for these locks.`,
    ],
    means:
      'Tasks wait for each other: each owns a lock that the next one waits for. They never continue, and neither do tasks that wait for these locks. Only a restart ends it.',
    known:
      'Owner words of the locks, waiters on the stacks of tasks (mutex_waiter, rwsem_waiter), and the lists of the locks.',
    next: 'Read the stacks of the owners: their callers took two locks in different orders. Report it to the owner of that code.',
    deeper: 'kdump-mem blocked -v',
  },
  'blocked-on-lock': {
    words: (of: Lock & Of<'readers' | 'seconds'> & Of<'symbol' | 'waitsFor', string>) => [
      `Blocked tasks: ${of.tasks === 1 ? '1 task waits' : `${text(of.tasks)} tasks wait`} for ${text(of.kind)} ${text(of.lock)}, ${of.pid == null ? (of.readers ? `held by ${text(of.readers)} ${inflect(of.readers, 'reader')}` : 'whose owner is unknown') : `held by ${process(of)}`}.`,
      ...(of.pid == null ? [] : [`Its owner is in state ${text(of.state)}${place(of)}.`]),
      ...(of.seconds == null ? [] : [`Longest wait: ${text(of.seconds)} s.`]),
    ],
    means:
      'Tasks in uninterruptible sleep (state D) wait for one lock, or for a lock whose owner waits for it. The figure tasks counts them, with interruptible tasks on the list of the lock.',
    known:
      'Owner words of the locks, waiters on the stacks of tasks (mutex_waiter, rwsem_waiter, semaphore_waiter), and the lists of the locks.',
    next: 'Find out why the owner does not release the lock: its stack is the evidence. Readers of a lock are counted, but not recorded.',
    deeper: 'kdump-mem blocked -v',
  },
  'blocked-tasks': {
    words: (of: Waiting) => [
      of.cause === 'vfork'
        ? vforkWords(of)
        : of.cause != null
          ? `Blocked tasks: ${waitCause(of)}; ${of.tasks === 1 ? `${process(of)} waits for it` : `${text(of.tasks)} tasks wait for it, including ${process(of)}`} (state D).`
          : of.tasks === 1
            ? `Blocked task: ${process(of)} is in uninterruptible sleep (state D)${place(of)}.`
            : `Blocked tasks: ${text(of.tasks)}, including ${process(of)}, are in uninterruptible sleep (state D)${place(of)}.`,
      ...(of.behind == null
        ? []
        : [`${text(of.behind)} of them wait for a lock or lookup, probably behind the others.`]),
      ...(of.cause === 'frozen' ? ['A snapshot or fsfreeze froze it: fsfreeze -u thaws it.'] : []),
      ...(of.file == null ? [] : [`Its file: ${text(of.file)}.`]),
      ...(of.commands == null ? [] : [`Commands: ${text(of.commands)}.`]),
      ...(of.stack == null ? [] : [`Its stack: ${text(of.stack)}.`]),
    ],
    traits: ['single'],
    means:
      'Tasks in uninterruptible sleep (state D) in one function. One or two that wait for a disk are normal. Many in one function wait for each other, or for something that does not respond.',
    known:
      'States and stacks of all tasks (task_struct.__state, ORC or frame records). Tasks that are frozen (__refrigerator) are left out.',
    next: 'kdump-mem blocked names the lock and its owner. Otherwise read the stack: the caller of schedule() and of the lock functions shows what the task waits for.',
    act: ({ cause }: Partial<Of<'cause', string>>) => ACTIONS[String(cause)],
    deeper: 'kdump-mem stacks --state D',
  },
} satisfies Declarations;

/** By `cause` of blocked-tasks. */
const ACTIONS: Record<string, string> = {
  frozen:
    'First check whether a backup or snapshot that froze it still runs. If not, thaw it with fsfreeze -u. Do not kill the waiting tasks: they cannot exit while they wait.',
  fuse: 'Find out why the server does not answer: its process is stopped, stuck or waits itself.',
  nfs: 'Check the server, and the network to it.',
};

/** Parents of vfork: each waits for a child of its own. */
const vforkWords = (of: Waiting): string =>
  of.tasks === 1
    ? `Blocked task: ${process(of)} waits (state D) until its child calls exec or exits (vfork).`
    : `Blocked tasks: ${text(of.tasks)}, including ${process(of)}, wait (state D) until their children call exec or exit (vfork).`;

/** What tasks in state D wait for. */
function waitCause(of: Cause): string {
  const where = of.path == null ? '' : ` at ${text(of.path)}`;
  const server =
    of.serverPid == null
      ? 'the FUSE server'
      : `the FUSE server ${process({ pid: of.serverPid, comm: of.serverComm ?? null })}`;
  if (of.cause === 'frozen') return of.path == null ? 'a file system is frozen' : `the file system${where} is frozen`;
  if (of.cause === 'fuse') return `${server}${of.path == null ? '' : ` of ${text(of.path)}`} does not answer`;
  const name = of.source == null ? '' : ` ${text(String(of.source).replace(/:[^:]*$/, ''))}`;
  return `the NFS server${name}${of.path == null ? '' : ` of ${text(of.path)}`} does not answer`;
}
