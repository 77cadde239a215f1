import { isHostError } from '../../base/errors.js';
import type { HostSource } from '../host-source.js';
import { listedPids } from './process.js';
import { attempted, type Mounts, mountsOf } from './shared-files.js';

/** A message queue with unread messages: System V, or POSIX in a mount of mqueue. */
export interface MessageQueue {
  readonly kind: 'sysv' | 'posix';
  /** `queue 7`, or the path; untrusted. */
  readonly name: string;
  /** Payload. */
  readonly bytes: number;
  /** Null: a POSIX queue does not report its number. */
  readonly messages: number | null;
  /** Of the creator; null: unknown. */
  readonly uid: number | null;
  /** Processes of the last msgsnd and msgrcv; null: none, or one of another pid namespace. They may have exited. */
  readonly sender: number | null;
  readonly receiver: number | null;
  /** Times of them in seconds since 1970; null: never. */
  readonly sentAt: number | null;
  readonly receivedAt: number | null;
  /** A process of the ipc or mount namespace that has it; undefined: that of kdump-mem. */
  readonly inside?: number;
}

/** Maximum number of namespaces that are entered, each by a process, and of queues. */
const MAX_NAMESPACES = 64;
const MAX_QUEUES = 65_536;
/** Time limit in milliseconds. */
const MAX_MS = 1000;

/**
 * System V queues of all ipc namespaces, and POSIX queues where mqueue is mounted. The kernel shows the queues of the
 * ipc namespace of the process that reads /proc/sysvipc/msg, so that others are entered.
 *
 * @param onMissing called with each reason why queues may be missing
 * @param everywhere also other namespaces
 */
export function messageQueues(host: HostSource, onMissing: (why: string) => void, everywhere: boolean): MessageQueue[] {
  const devices = new Set<string>();
  const queues = sysvOf(host, () => host.readText('/proc/sysvipc/msg'), onMissing);
  if (host.file) queues.push(...posixOf(host, 'self', devices, onMissing));
  if (!everywhere || !host.file) return queues;
  const until = host.now() + MAX_MS;
  const seen = new Set(['ipc', 'mnt'].map((kind) => attempted(() => host.readLink(`/proc/self/ns/${kind}`))));
  let [denied, left] = [0, 0];
  for (const pid of attempted(() => listedPids(host)) ?? [])
    for (const kind of ['ipc', 'mnt'] as const) {
      const path = `/proc/${pid}/ns/${kind}`;
      try {
        const link = host.readLink(path);
        if (seen.has(link)) continue;
        if (seen.size > 2 * MAX_NAMESPACES || host.now() > until) {
          left++;
          continue;
        }
        seen.add(link);
        const found =
          kind === 'ipc'
            ? sysvOf(host, () => host.readTextIn(path, '/proc/sysvipc/msg'), onMissing)
            : posixOf(host, pid, devices, onMissing);
        queues.push(...found.map((one) => ({ ...one, inside: Number(pid) })));
      } catch (error) {
        if (!isHostError(error)) throw error;
        if (error.code === 'denied') denied++;
      }
    }
  if (denied > 0) onMissing(`namespaces of ${denied} processes: permission denied`);
  if (left > 0) onMissing(`only ${seen.size} namespaces were read in ${MAX_MS / 1000} s`);
  return queues;
}

/**
 * Columns: key msqid perms cbytes qnum lspid lrpid uid gid cuid cgid stime rtime ctime (sysvipc_msg_proc_show, ipc/msg.c).
 * Without CONFIG_SYSVIPC there is no such file.
 */
function sysvOf(host: HostSource, read: () => string, onMissing: (why: string) => void): MessageQueue[] {
  let text = '';
  try {
    text = read();
  } catch (error) {
    if (!isHostError(error)) throw error;
    const isAbsent = error.code === 'gone' && !error.message.endsWith('was not captured');
    if (!isAbsent) onMissing(error.message);
    return [];
  }
  const lines = text.split('\n').slice(1).filter(Boolean);
  if (lines.length > MAX_QUEUES) onMissing(`only ${MAX_QUEUES} System V message queues were read`);
  const queues: MessageQueue[] = [];
  let malformed = text.startsWith(' ') ? 0 : 1;
  for (const line of lines.slice(0, MAX_QUEUES)) {
    const columns = line.trim().split(/ +/).map(Number);
    const [, id, , bytes = 0, messages = 0, sender, receiver, , , uid, , sentAt, receivedAt] = columns;
    if (columns.length !== 14 || !columns.slice(3).every((one) => Number.isSafeInteger(one) && one >= 0)) malformed++;
    // A message may have no payload, but no payload is without a message.
    else if (messages === 0 && bytes > 0) malformed++;
    else if (messages > 0)
      queues.push({
        kind: 'sysv',
        name: `queue ${id}`,
        bytes,
        messages,
        uid: uid ?? null,
        sender: sender || null,
        receiver: receiver || null,
        sentAt: sentAt || null,
        receivedAt: receivedAt || null,
      });
  }
  if (malformed > 0) onMissing(`malformed ${host.file ? '' : 'or truncated '}/proc/sysvipc/msg`);
  return queues;
}

/** Files of a mounted mqueue contain `QSIZE:BYTES …` (mqueue_read_file, ipc/mqueue.c). */
function posixOf(
  host: HostSource,
  pid: string,
  devices: Set<string>,
  onMissing: (why: string) => void,
): MessageQueue[] {
  const mounts: Mounts = mountsOf(host, pid);
  const queues: MessageQueue[] = [];
  for (const { type, point, device } of mounts.values()) {
    // An ipc namespace has one, which many mount namespaces may have.
    if (type !== 'mqueue' || devices.has(device)) continue;
    devices.add(device);
    const folder = pid === 'self' ? point : `/proc/${pid}/root${point}`;
    for (const name of (attempted(() => host.list(folder)) ?? []).slice(0, MAX_QUEUES)) {
      const text = attempted(() => host.readText(`${folder}/${name}`)) ?? '';
      const [, size] = /^QSIZE:(\d{1,15}) /.exec(text) ?? [];
      if (size === undefined) onMissing('a POSIX message queue is not readable');
      else if (Number(size) > 0)
        queues.push({
          kind: 'posix',
          name: `${point === '/' ? '' : point}/${name}`,
          bytes: Number(size),
          messages: null,
          uid: null,
          sender: null,
          receiver: null,
          sentAt: null,
          receivedAt: null,
        });
    }
  }
  return queues;
}
