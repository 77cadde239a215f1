import { HostError, isHostError } from '../base/errors.js';
import type { HostSource } from './host-source.js';
import { listedPids } from './proc/process.js';

/** One network namespace. */
export interface Namespace {
  /** Its inode in nsfs, unique on the host; null if even our own is not readable. */
  readonly inode: number | null;
  /** A path for nsenter(1). */
  readonly path: string;
  /** A process in it ('self' for our own), null if only a mount keeps it alive. */
  readonly pid: number | 'self' | null;
  /** Whether it is the namespace of kdump-mem itself. */
  readonly own: boolean;
  /** Its name under /run/netns or a similar folder, null if unnamed. */
  readonly name: string | null;
}

/** Selection of namespaces: all, our own, or one by name, path, pid or inode. */
export type NetnsChoice = 'all' | 'own' | (string & {});

/** On a host with more namespaces than this, not all are read. */
const MAX_NAMESPACES = 10_000;

/**
 * Finds the network namespaces of the host, our own first: those of all processes, and mounted ones
 * (`ip netns`, CNI, docker). Not found: a namespace that only a descriptor or a thread keeps alive.
 * `onHidden` is called for each process whose namespace is not readable (ptrace(2), PTRACE_MODE_READ)
 * and is, or may be, none of those found. Throws `no-such-netns`.
 */
export function findNamespaces(
  source: HostSource,
  choice: NetnsChoice,
  onHidden: (pid: string) => void = () => {},
): Namespace[] {
  const own: Namespace = {
    inode: namespaceOf(source, '/proc/self/ns/net'),
    path: '/proc/self/ns/net',
    pid: 'self',
    own: true,
    name: null,
  };
  if (choice === 'own') return [own];
  const namespaces = new Map<number, Namespace>();
  if (own.inode !== null) namespaces.set(own.inode, own);
  for (const { inode, path } of namespaceMounts(source)) {
    const known = namespaces.get(inode);
    const name = path.slice(path.lastIndexOf('/') + 1);
    namespaces.set(inode, known ? { ...known, name } : { inode, path, pid: null, own: false, name });
  }
  const denied: string[] = [];
  for (const pid of listedPids(source)) {
    if (namespaces.size > MAX_NAMESPACES) continue;
    const path = `/proc/${pid}/ns/net`;
    const inode = namespaceOf(source, path, () => denied.push(pid));
    if (inode === null) continue;
    const known = namespaces.get(inode);
    if (!known) namespaces.set(inode, { inode, path, pid: Number(pid), own: false, name: null });
    else if (known.pid === null) namespaces.set(inode, { ...known, pid: Number(pid) });
  }
  for (const pid of outsideKnown(source, denied, [...namespaces.values()])) onHidden(pid);
  const all = own.inode === null ? [own, ...namespaces.values()] : [...namespaces.values()];
  if (choice === 'all') return all;
  const selected = all.find(
    (namespace) => namespace.name === choice || namespace.path === choice || `${namespace.inode}` === choice,
  );
  if (selected) return [selected];
  const path = /^\d{1,10}$/.test(choice) ? `/proc/${choice}/ns/net` : choice;
  const inode = path.startsWith('/') ? namespaceOf(source, path) : null;
  const same = all.find((namespace) => inode !== null && namespace.inode === inode);
  if (!same) throw new HostError('no-such-netns', `network namespace "${choice}" not found`);
  return [same];
}

/** The inode in a link `net:[4026531840]`, null if it is gone or hidden. */
function namespaceOf(source: HostSource, path: string, onDenied = () => {}): number | null {
  try {
    const inode = /^net:\[(\d{1,15})\]$/.exec(source.readLink(path))?.[1];
    return inode === undefined ? null : Number(inode);
  } catch (error) {
    if (isHostError(error, 'denied')) onDenied();
    if (isHostError(error)) return null;
    throw error;
  }
}

/**
 * Processes in none of the known namespaces. /proc/PID/net requires no privilege (fs/proc/proc_net.c),
 * and its files have different inodes in each namespace (proc_register() in fs/proc/generic.c).
 */
function outsideKnown(source: HostSource, pids: readonly string[], known: readonly Namespace[]): string[] {
  if (pids.length === 0) return [];
  const inodeOf = (pid: string | number): number | 'gone' | 'denied' => {
    try {
      return source.inode(`/proc/${pid}/net/dev`);
    } catch (error) {
      if (isHostError(error)) return isHostError(error, 'gone') ? 'gone' : 'denied';
      throw error;
    }
  };
  const inodes = new Set(known.flatMap(({ pid }) => (pid === null ? [] : [inodeOf(pid)])));
  return pids.filter((pid) => {
    const inode = inodeOf(pid);
    // An exited process is in none.
    return inode === 'denied' || (inode !== 'gone' && !inodes.has(inode));
  });
}

function namespaceMounts(source: HostSource): { inode: number; path: string }[] {
  try {
    return parseNamespaceMounts(source.readText('/proc/self/mountinfo'));
  } catch (error) {
    if (isHostError(error)) return [];
    throw error;
  }
}

/**
 * Mounted namespaces, from /proc/self/mountinfo (Documentation/filesystems/proc.rst, 3.5): field 4 is the
 * root within the file system, for nsfs `net:[inode]`; field 5 the mount point, with blanks as octal `\040`.
 */
export function parseNamespaceMounts(mountinfo: string): { inode: number; path: string }[] {
  return [...mountinfo.matchAll(/^\d+ \d+ \S+ net:\[(\d{1,15})\] (\S+) /gm)].map((mount) => ({
    inode: Number(mount[1]),
    path: (mount[2] ?? '').replace(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    ),
  }));
}
