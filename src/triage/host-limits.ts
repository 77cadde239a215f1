import { HostError } from '../base/errors.js';
import { descriptors } from '../host/proc/descriptor-tables.js';
import { readNetworkLimits } from '../host/proc/net-tables.js';
import { listedPids, optionalText, statusFields } from '../host/proc/process.js';
import { WATCH_LINES } from '../host/proc/process-files.js';
import { type Finding, found } from './finding.js';
import { type HostReader, isAbsent, malformed } from './host-reader.js';
import { THRESHOLDS } from './thresholds.js';

/** Limits of the machine that are nearly reached. @throws {HostError} */
export function* limits(host: HostReader): Generator<Finding> {
  yield* orphans(host);
  const tasks = host.figure('/proc/loadavg', host.text('/proc/loadavg'), /^[\d. ]+ \d+\/(\d{1,10}) /);
  yield* near('threads-max', tasks, host.number('/proc/sys/kernel/threads-max'));
  // Each thread has a pid.
  yield* near('pid_max', tasks, host.number('/proc/sys/kernel/pid_max'));
  const path = '/proc/sys/fs/file-nr';
  const [, used, most] = /^(\d{1,19})\s+\d+\s+(\d{1,19})\s*$/.exec(host.text(path)) ?? [];
  if (used === undefined || most === undefined) throw malformed(path);
  yield* near('file-max', Number(used), Number(most));
  yield* conntrack(host);
  const { tcpPages, udpPages } = readNetworkLimits(host.source, []);
  for (const [name, use] of [
    ['tcp_mem', tcpPages],
    ['udp_mem', udpPages],
  ] as const) {
    if (use) yield* near(name, use.used, use.limit);
    else host.miss('limits', `memory use near ${name}`, withoutLimit(host, `/proc/sys/net/ipv4/${name}`));
  }
  yield* keys(host);
}

/** Why a limit of the network is unknown: only the initial network namespace has it. */
function withoutLimit(host: HostReader, path: string): unknown {
  try {
    host.text(path);
    return malformed(path);
  } catch (error) {
    return isAbsent(error) ? new HostError('gone', `${path} is not available in this network namespace`) : error;
  }
}

/**
 * TCP sockets without a process: beyond the limit the kernel resets them (tcp_check_oom). A namespace may lack the
 * limit.
 */
function* orphans(host: HostReader): Generator<Finding> {
  const most = Number(host.optional('/proc/sys/net/ipv4/tcp_max_orphans'));
  const [, used] = /^TCP: .*\borphan (\d{1,10})\b/m.exec(host.optional('/proc/net/sockstat')) ?? [];
  if (most > 0 && used !== undefined) yield* near('tcp_max_orphans', Number(used), most);
}

/** Without the module nf_conntrack there is no such limit. */
function* conntrack(host: HostReader): Generator<Finding> {
  const folder = '/proc/sys/net/netfilter';
  if (host.optional(`${folder}/nf_conntrack_max`) === '') return;
  const [used, most] = ['count', 'max'].map((name) => host.number(`${folder}/nf_conntrack_${name}`));
  yield* near('nf_conntrack_max', used ?? 0, most ?? 0);
}

/** Keys of each user (/proc/key-users): without CONFIG_KEYS the file does not exist. */
function* keys(host: HostReader): Generator<Finding> {
  const path = '/proc/key-users';
  for (const line of host.optional(path).split('\n').filter(Boolean)) {
    const parts = /^ *(\d{1,10}): +\d+ +\d+\/\d+ +(\d+)\/(\d+) +(\d+)\/(\d+) *$/.exec(line);
    if (!parts) throw malformed(path);
    const [, uid, ...figures] = parts;
    const [count = 0, maxCount = 0, bytes = 0, maxBytes = 0] = figures.map(Number);
    yield* near(`keys of uid ${uid}`, count, maxCount);
    yield* near(`key bytes of uid ${uid}`, bytes, maxBytes);
  }
}

/** Inotify instances and watches of a user, and the process that has most of them. */
interface Inotify {
  instances: number;
  watches: number;
  most: { readonly pid: number; readonly instances: number; readonly watches: number };
}

/** Maximum number of descriptors to read: a machine with 50,000 sockets has about 100,000. */
export const MAX_DESCRIPTORS = 500_000;
export const INOTIFY_HIDES = 'inotify limits';

/** Limits of inotify by user: above them programs report "no space left on device". @throws {HostError} */
export function* inotify(host: HostReader): Generator<Finding> {
  const folder = '/proc/sys/fs/inotify';
  // Without CONFIG_INOTIFY_USER it does not exist.
  if (host.optional(`${folder}/max_user_watches`) === '') return;
  const maxInstances = host.number(`${folder}/max_user_instances`);
  const maxWatches = host.number(`${folder}/max_user_watches`);
  const { users, watchers } = readWatches(host);
  yield* manyWatches(host, watchers);
  for (const [uid, { instances, watches, most }] of users) {
    const comm = optionalText(host.source, `/proc/${most.pid}/comm`).trimEnd() || null;
    const who = { mostPid: most.pid, mostComm: comm };
    yield* near(`max_user_instances of uid ${uid}`, instances, maxInstances, who);
    yield* near(`max_user_watches of uid ${uid}`, watches, maxWatches, who);
  }
}

/** With hidepid=2 a hidden process is not even denied: the first process exists in each pid namespace. */
export const NOT_ALL_LISTED = '/proc does not list all processes (hidepid, or a pid namespace)';

/** Names the processes whose descriptors are not readable. */
export function deniedWords(pids: readonly number[]): string {
  const named = pids.slice(0, 3).join(', ');
  const more = pids.length > 3 ? ` and ${pids.length - 3} more` : '';
  return `descriptors of pid ${named}${more}: permission denied`;
}

/** Files that a process watches by one interface. */
interface Watcher {
  readonly pid: number;
  readonly kind: keyof typeof WATCH_LINES;
  readonly watches: number;
}

/**
 * Estimates for each watch. Inotify and fanotify: a mark, its connector and the inode that it keeps (INOTIFY_WATCH_COST,
 * fs/notify/inotify/inotify_user.c, has two inodes). Epoll: struct epitem and struct eppoll_entry.
 */
const WATCH_BYTES = { inotify: 1024, fanotify: 1024, epoll: 200 } as const;
const MAX_WATCHERS = 3;

/** Processes whose watches hold much memory, which is slab and counts for no process. */
function* manyWatches(host: HostReader, watchers: readonly Watcher[]): Generator<Finding> {
  const large = watchers
    .map((watcher) => ({ ...watcher, bytes: watcher.watches * WATCH_BYTES[watcher.kind] }))
    .filter(({ bytes }) => bytes >= THRESHOLDS['file-watches'].note)
    .toSorted((a, b) => b.bytes - a.bytes);
  for (const { pid, kind, watches, bytes } of large.slice(0, MAX_WATCHERS)) {
    const comm = optionalText(host.source, `/proc/${pid}/comm`).trimEnd() || null;
    yield found('file-watches', 'note', { pid, comm, kind, watches, bytes }, `procs --pid ${pid} --fds`);
  }
}

/** Kinds of descriptors that watch files, by their links. */
const WATCH_LINKS: ReadonlyMap<string, Watcher['kind']> = new Map([
  ['anon_inode:inotify', 'inotify'],
  ['anon_inode:[fanotify]', 'fanotify'],
  ['anon_inode:[eventpoll]', 'epoll'],
]);

/**
 * Whether the items of all epoll instances can be a finding; their fdinfo takes the lock of each. A cache that the kernel
 * merged with others has no line of its own: then sysfs has the sum (create_unique_id, mm/slub.c).
 */
function hasManyEpollItems({ source }: HostReader): boolean {
  const line = /^eventpoll_epi +(\d{1,12}) +\d+ +(\d{1,6}) /m.exec(optionalText(source, '/proc/slabinfo'));
  const merged = (name: string) =>
    /^\d{1,12}/.exec(optionalText(source, `/sys/kernel/slab/eventpoll_epi/${name}`))?.[0] ?? Number.NaN;
  const [objects, size] = line?.slice(1) ?? ['total_objects', 'slab_size'].map(merged);
  return Number(objects) * Number(size) >= THRESHOLDS['file-watches'].note / 2;
}

/**
 * Counts descriptors. An instance that a process inherited by fork counts for both: nothing in /proc tells such
 * descriptors apart.
 */
function readWatches(host: HostReader): { readonly users: Map<number, Inotify>; readonly watchers: Watcher[] } {
  const watchers: Watcher[] = [];
  const withEpoll = hasManyEpollItems(host);
  const users = new Map<number, Inotify>();
  const denied: number[] = [];
  let left = MAX_DESCRIPTORS;
  const pids = listedPids(host.source);
  if (!pids.includes('1')) host.miss('inotify', INOTIFY_HIDES, new HostError('denied', NOT_ALL_LISTED));
  for (const pid of pids) {
    try {
      let instances = 0;
      const counts = { inotify: 0, fanotify: 0, epoll: 0 };
      for (const { fd, link } of descriptors(host.source, `/proc/${pid}/fd`)) {
        if (left-- <= 0) throw new HostError('unreadable', `only ${MAX_DESCRIPTORS} descriptors were read`);
        if (link === 'denied') throw new HostError('denied', `/proc/${pid}/fd/${fd}: permission denied`);
        const kind = typeof link === 'number' ? undefined : WATCH_LINKS.get(link);
        if (kind === undefined || (kind === 'epoll' && !withEpoll)) continue;
        if (kind === 'inotify') instances++;
        const info = host.optional(`/proc/${pid}/fdinfo/${fd}`);
        counts[kind] += info.match(WATCH_LINES[kind])?.length ?? 0;
      }
      for (const kind of WATCH_LINKS.values()) watchers.push({ pid: Number(pid), kind, watches: counts[kind] });
      const watches = counts.inotify;
      if (instances === 0) continue;
      const status = statusFields(host.text(`/proc/${pid}/status`));
      const uid = host.figure(`/proc/${pid}/status`, status, /^Uid:\s+(\d{1,10})\s/m);
      const own = { pid: Number(pid), instances, watches };
      const user = users.get(uid) ?? { instances: 0, watches: 0, most: own };
      users.set(uid, user);
      user.instances += instances;
      user.watches += watches;
      if (instances + watches > user.most.instances + user.most.watches) user.most = own;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      if (error.code === 'unreadable') throw error;
      if (!isAbsent(error)) denied.push(Number(pid));
    }
  }
  if (denied.length > 0)
    host.miss('inotify', INOTIFY_HIDES, new HostError('denied', deniedWords(denied)), denied.length);
  return { users, watchers };
}

/** Commands that list what uses a limit. None lists keys, tracked connections or the open files of all processes. */
const NEXT_OF_LIMITS: readonly (readonly [limit: RegExp, next: string])[] = [
  [/^(?:tcp_max_orphans|tcp_mem|udp_mem)$/, 'skcheck'],
  [/^(?:threads-max|pid_max|pids\.max .*)$/s, 'procs --sort threads'],
];

export function* near(limit: string, used: number, most: number, of: Finding['figures'] = {}): Generator<Finding> {
  if (most === 0 || used < THRESHOLDS['limit-near'].warning * most) return;
  const figures = { limit, used, most, share: used / most, pid: null, comm: null, ...of };
  const next =
    of.mostPid == null ? NEXT_OF_LIMITS.find(([name]) => name.test(limit))?.[1] : `procs --pid ${of.mostPid} --fds`;
  yield found('limit-near', 'warning', figures, next);
}
