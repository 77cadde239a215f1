import { ExhaustedError, HostError, isHostError } from '../../base/errors.js';
import type { DescriptorTable, HostSource } from '../host-source.js';
import { isPid } from './process.js';

/** RLIMIT_NOFILE is limited by sysctl fs.nr_open, a million by default: no fd table is larger. */
const MAX_FDS_PER_PROCESS = 4_000_000;
/** Tables of at least this size are probed instead of listed: a gap costs as much as to list a small one. */
const LARGE_TABLE = 256;
/** After this many unused numbers, a large table is listed after all. */
const MAX_GAPS = 16;

/** A descriptor and its link, of a socket its inode; `denied`: the link is not readable. */
export interface Descriptor {
  readonly fd: number;
  readonly link: string | number;
}

/**
 * The descriptors of one table (`/proc/PID/fd`). The kernel allocates the lowest free number, so a large table has few
 * gaps: if its size is known (Linux 6.2, proc_fd_getattr), numbers are probed sequentially, which costs a third less
 * than listing them first. Throws `HostError` if the table is gone or denied.
 */
export function* descriptors(source: HostSource, directory: string): Generator<Descriptor> {
  const table = source.table?.(directory);
  if (table) {
    for (const [fd, link] of table) {
      // Each check reads, and reports, an unreadable link again.
      const known = link === 'denied' ? linkOf(source, `${directory}/${fd}`) : link;
      if (known !== undefined) yield { fd, link: known };
    }
    return;
  }
  let next = 0;
  const count = Math.min(source.size(directory), MAX_FDS_PER_PROCESS);
  if (count >= LARGE_TABLE) {
    let found = 0;
    for (let gaps = 0; found < count && gaps <= MAX_GAPS; next++) {
      const link = linkOf(source, `${directory}/${next}`);
      if (link === 'denied') break;
      if (link === undefined) gaps++;
      else {
        found++;
        yield { fd: next, link };
      }
    }
    if (found === count) return;
  }
  for (const name of source.list(directory).slice(0, MAX_FDS_PER_PROCESS)) {
    if (!/^\d{1,10}$/.test(name) || Number(name) < next) continue;
    const link = linkOf(source, `${directory}/${name}`);
    if (link !== undefined) yield { fd: Number(name), link };
  }
}

/** Undefined: closed meanwhile. */
function linkOf(source: HostSource, path: string): string | number | undefined {
  try {
    const link = source.readLink(path);
    return socketInode(link) ?? link;
  } catch (error) {
    if (isHostError(error)) return error.code === 'denied' ? 'denied' : undefined;
    throw error;
  }
}

/** `socket:[inode]` (sockfs_dname, net/socket.c). Null: another link. */
function socketInode(link: string): number | null {
  if (!link.startsWith(SOCKET) || !link.endsWith(']')) return null;
  const inode = Number(link.slice(SOCKET.length, -1));
  return Number.isSafeInteger(inode) && inode >= 0 ? inode : null;
}
const SOCKET = 'socket:[';

/** Links of all tables together; of a machine with more, the rest is read each time. */
const MAX_LINKS = 1_000_000;

/**
 * A host whose processes and descriptor tables are read once, now, for an answer of one moment whose checks read each of
 * them: a link takes the kernel about 5 µs, a process in the list of /proc about 1 µs. Namespaces of processes are read once,
 * when they are needed. `fresh` is the host itself.
 *
 * @throws {HostError} /proc is not available
 */
export function withTablesReadOnce(source: HostSource): HostSource {
  // A table that is not readable is its error.
  const tables = new Map<string, DescriptorTable | HostError>();
  const names = new Map<string, string>();
  const namespaces = new Map<string, Map<number, string>>();
  const nameOf = (link: string): string => {
    const known = names.get(link);
    if (known === undefined) names.set(link, link);
    return known ?? link;
  };
  let left = MAX_LINKS;
  const listed = source.list('/proc');
  for (const pid of listed.filter(isPid)) {
    if (left <= 0) break;
    const links = new Map<number, string | number>();
    try {
      for (const { fd, link } of descriptors(source, `/proc/${pid}/fd`)) {
        links.set(fd, typeof link === 'string' ? nameOf(link) : link);
      }
    } catch (error) {
      // Without a descriptor left each check reads, and reports, by itself.
      if (error instanceof ExhaustedError) break;
      if (!(error instanceof HostError)) throw error;
      tables.set(pid, error);
      continue;
    }
    left -= links.size;
    tables.set(pid, links);
  }
  const tableOf = (pid: string | undefined): DescriptorTable | undefined => {
    const table = pid === undefined ? undefined : tables.get(pid);
    if (table instanceof HostError) throw table;
    return table;
  };
  const namespaceOf = (path: string, kind: string, pid: number): string => {
    const known = namespaces.get(kind) ?? new Map<number, string>();
    namespaces.set(kind, known);
    const link = known.get(pid) ?? nameOf(source.readLink(path));
    known.set(pid, link);
    return link;
  };
  const overridden: Pick<HostSource, 'fresh' | 'table' | 'size' | 'list' | 'readLink'> = {
    fresh: source,
    table: (path) => tableOf(TABLE.exec(path)?.[1]),
    size: (path) => {
      const table = tables.get(TABLE.exec(path)?.[1] ?? '');
      return table instanceof Map ? table.size : source.size(path);
    },
    list: (path) => {
      if (path === '/proc') return listed;
      const table = tableOf(TABLE.exec(path)?.[1]);
      return table ? Array.from(table.keys(), String) : source.list(path);
    },
    readLink: (path) => {
      const [, pid, fd, kind] = LINK.exec(path) ?? [];
      if (kind !== undefined) return namespaceOf(path, kind, Number(pid));
      const link = tableOf(pid)?.get(Number(fd));
      // An unreadable link is read again by each check, which reports it.
      if (link === undefined || link === 'denied') return source.readLink(path);
      return typeof link === 'number' ? `${SOCKET}${link}]` : link;
    },
  };
  return Object.assign(Object.create(source) as HostSource, overridden);
}

const TABLE = /^\/proc\/(\d+)\/fd$/;
const LINK = /^\/proc\/(\d+)\/(?:fd\/(\d+)|ns\/(\w+))$/;
