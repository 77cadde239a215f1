import { isHostError } from '../../base/errors.js';
import { count } from '../../base/size.js';
import type { HostSource } from '../host-source.js';
import { descriptors } from './descriptor-tables.js';
import { listedPids, optionalText } from './process.js';
import { attempted, deviceNumber, isLocalMount, mountsOf, visibleMounts } from './shared-files.js';

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
export const MAX_NAMESPACES = 64;
export const MAX_QUEUES = 65_536;
/** Time limit in milliseconds. */
export const MAX_MS = 1000;
/** Seconds since 1970, in the year 9999. */
const MAX_TIME = 253_402_300_799;

/**
 * System V queues of all ipc namespaces, and POSIX queues where mqueue is mounted, or a process has them open. The kernel
 * shows the queues of the ipc namespace of the process that reads /proc/sysvipc/msg, so that others are entered.
 *
 * @param onMissing called with each reason why queues may be missing
 * @param everywhere also other namespaces
 */
export function messageQueues(host: HostSource, onMissing: (why: string) => void, everywhere: boolean): MessageQueue[] {
  const queues = sysvOf(host, () => host.readText('/proc/sysvipc/msg'), onMissing);
  const devices = new Set<string>();
  const addPosix = (pid: string, inside?: number) => {
    for (const { name, text } of mountedQueues(host, pid, devices))
      queues.push(...posixOf(name, text, inside, onMissing));
  };
  addPosix('self');
  if (!everywhere) return queues;
  const until = host.now() + MAX_MS;
  const ipc = eachNamespace(host, 'ipc', until, onMissing, (pid, path) => {
    const sysv = sysvOf(host, () => host.readTextIn(path, '/proc/sysvipc/msg'), onMissing);
    queues.push(...sysv.map((queue) => ({ ...queue, inside: Number(pid) })));
  });
  eachNamespace(host, 'mnt', until, onMissing, (pid) => addPosix(pid, Number(pid)));
  // Each mounted one is one of those.
  if (host.file && devices.size < ipc) {
    const opened = openQueues(host, until);
    for (const { name, text, pid } of opened) queues.push(...posixOf(name, text, pid, onMissing));
    const others = leastQueues(host) - ipc - queues.filter(({ kind }) => kind === 'posix').length;
    if (others > 0) onMissing(`at least ${others} POSIX message queues: mqueue is not mounted in their ipc namespace`);
  }
  return queues;
}

/**
 * Calls back for a process of each other namespace of a kind, and of each mount namespace.
 *
 * @returns the number of namespaces, with our own
 */
export function eachNamespace(
  host: HostSource,
  kind: 'ipc' | 'mnt',
  until: number,
  onMissing: (why: string) => void,
  onNamespace: (pid: string, path: string, link: string) => void,
): number {
  const seen = new Set([attempted(() => host.readLink(`/proc/self/ns/${kind}`))]);
  let [denied, left] = [0, 0];
  for (const pid of attempted(() => listedPids(host)) ?? [])
    try {
      const path = `/proc/${pid}/ns/${kind}`;
      const link = host.readLink(path);
      if (seen.has(link)) continue;
      if (seen.size > MAX_NAMESPACES || host.now() > until) {
        left++;
        continue;
      }
      seen.add(link);
      onNamespace(pid, path, link);
    } catch (error) {
      if (!isHostError(error)) throw error;
      if (error.code === 'denied') denied++;
    }
  if (denied > 0) onMissing(`namespaces of ${count(denied, 'process', 'processes')}: permission denied`);
  if (left > 0) onMissing(`only ${seen.size} ${kind} namespaces were read in ${MAX_MS / 1000} s`);
  return seen.size;
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
  const ids = new Set<number | undefined>();
  let malformed = text.startsWith(' ') ? 0 : 1;
  for (const line of lines.slice(0, MAX_QUEUES)) {
    const columns = line.trim().split(/ +/).map(Number);
    const [, id, , bytes = 0, messages = 0, sender, receiver, , , uid, , sentAt, receivedAt] = columns;
    const isSound = columns.slice(3).every((column) => Number.isSafeInteger(column) && column >= 0);
    if (columns.length !== 14 || !isSound || columns.slice(11).some((column) => column > MAX_TIME)) malformed++;
    // A message may have no payload, but no payload is without a message. An id is that of one queue.
    else if ((messages === 0 && bytes > 0) || ids.has(id)) malformed++;
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
    ids.add(id);
  }
  if (malformed > 0) onMissing(`malformed ${host.file ? '' : 'or truncated '}/proc/sysvipc/msg`);
  return queues;
}

/** A file of mqueue. Its name is untrusted. */
interface QueueFile {
  readonly name: string;
  /** Path by which it was read. */
  readonly path: string;
  /** Empty: it is not readable. */
  readonly text: string;
}

/** Files of the mounts of mqueue that a process sees, but for those of `devices`, which it extends. */
export function* mountedQueues(host: HostSource, pid: string, devices: Set<string>): Generator<QueueFile> {
  const isOwn = pid === 'self';
  const visible = visibleMounts(mountsOf(host, pid));
  for (const mount of visible.values()) {
    const { type, point, device } = mount;
    // An ipc namespace has one, which many mount namespaces may have.
    if (type !== 'mqueue' || devices.has(device) || !isLocalMount(mount, visible, isOwn)) continue;
    const folder = isOwn ? point : `/proc/${pid}/root${point}`;
    // Where a mount is covered, its path leads elsewhere: perhaps to a file that blocks.
    if (host.file && deviceNumber(attempted(() => host.file?.(folder))?.device ?? 0) !== device) continue;
    devices.add(device);
    for (const name of (attempted(() => host.list(folder)) ?? []).slice(0, MAX_QUEUES)) {
      const path = `${folder}/${name}`;
      yield { name: `${point === '/' ? '' : point}/${name}`, path, text: optionalText(host, path) };
    }
  }
}

/** Size of such a file (FILENT_SIZE, ipc/mqueue.c). */
const FILE_BYTES = 80;

/**
 * Queues that processes have open, where mqueue is not mounted. Only a file on a device that none of the process's mounts has
 * is read: it is in a mount of the kernel's own, so that the read neither blocks nor changes an access time.
 */
function openQueues(host: HostSource, until: number): (QueueFile & { readonly pid: number })[] {
  const byName = new Map<string, QueueFile & { readonly pid: number }>();
  for (const pid of attempted(() => listedPids(host)) ?? []) {
    if (host.now() > until || byName.size >= MAX_QUEUES) break;
    let devices: ReadonlySet<string> | undefined;
    for (const { fd, link } of attempted(() => [...descriptors(host, `/proc/${pid}/fd`)]) ?? []) {
      if (typeof link === 'number' || !/^\/[^/:]{1,255}$/.test(link)) continue;
      const path = `/proc/${pid}/fd/${fd}`;
      const facts = attempted(() => host.file?.(path));
      const device = deviceNumber(facts?.device ?? 0);
      if (!facts?.isFile || facts.bytes > 0 || attempted(() => host.size(path)) !== FILE_BYTES) continue;
      devices ??= new Set([...mountsOf(host, pid).values()].map(({ device }) => device));
      if (!device.startsWith('0:') || devices.has(device)) continue;
      const text = optionalText(host, path);
      const key = `${device} ${facts.inode}`;
      if (text.startsWith('QSIZE:') && !byName.has(key)) byName.set(key, { name: link, path, text, pid: Number(pid) });
    }
  }
  return [...byName.values()];
}

/** Least number of inodes of mqueue, with one root for each ipc namespace: the free objects of a CPU's slab count as used. */
function leastQueues(host: HostSource): number {
  const [, used, perSlab] =
    /^mqueue_inode_cache +(\d{1,12}) +\d+ +\d+ +(\d{1,6}) /m.exec(optionalText(host, '/proc/slabinfo')) ?? [];
  const cpus = optionalText(host, '/proc/stat').match(/^cpu\d+ /gm)?.length ?? 1;
  return Number(used ?? 0) - Number(perSlab ?? 0) * cpus;
}

/** `QSIZE:BYTES …` (mqueue_read_file, ipc/mqueue.c). Empty: it has no messages. */
function posixOf(
  name: string,
  text: string,
  inside: number | undefined,
  onMissing: (why: string) => void,
): MessageQueue[] {
  const [, size] = /^QSIZE:(\d{1,15}) /.exec(text) ?? [];
  if (size === undefined) onMissing('a POSIX message queue is not readable');
  if (!Number(size)) return [];
  return [
    {
      kind: 'posix',
      name,
      bytes: Number(size),
      messages: null,
      uid: null,
      sender: null,
      receiver: null,
      sentAt: null,
      receivedAt: null,
      ...(inside === undefined ? {} : { inside }),
    },
  ];
}
