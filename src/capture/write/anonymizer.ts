import { isIP } from 'node:net';
import { Addresses, Interfaces, Names } from '../../extract/anonymize/replacements.js';
import { isHeading, LineCutter } from '../../host/lines.js';
import { parseNamespaceMounts } from '../../host/namespaces.js';
import { isKernelThread, statFields } from '../../host/proc/process.js';
import { CGROUP_ROOT } from '../read/contents.js';
import { withoutKeys } from './ss-keys.js';

/** Directories directly below the root that are cgroup v1 hierarchies, not cgroups. */
const HIERARCHIES =
  /^(?:memory|unified|systemd|cpu|cpuacct|cpu,cpuacct|cpuset|devices|freezer|blkio|pids|hugetlb|net_cls|net_prio|net_cls,net_prio|perf_event|rdma|misc)$/;

/** Tables of /proc/net with addresses, which are omitted: ss reports them too. */
const WITH_ADDRESSES = /^(?:tcp|udp|raw)6?$/;

/**
 * Replaces names in a snapshot consistently: those of processes, cgroups (and thus pods and
 * containers), network interfaces and the host, and addresses by others of their kind, as `extract
 * --anonymize` does. Kernel threads keep their names, except for interface names in them. Texts are
 * latin1: one character per byte.
 */
export class Anonymizer {
  readonly #comms = new Names('c');
  readonly #cgroups = new Names('g');
  readonly #places = new Names('n');
  readonly #interfaces: Interfaces;
  readonly #rows: SsRows;

  /** @param interfaces names of network devices, which also occur in names of kernel threads */
  constructor(interfaces: readonly Buffer[]) {
    const names = new Names('i');
    const known = interfaces.map((bytes) => ({ bytes }));
    this.#interfaces = new Interfaces(known, names);
    this.#rows = new SsRows((path) => this.cgroup(path), names);
  }

  /** Anonymizes a machine-wide file; undefined: it contains no names. */
  file(path: string, bytes: Buffer): string | undefined {
    switch (path) {
      case '/proc/sys/kernel/hostname':
        return 'host\n';
      case '/proc/self/mountinfo':
        return this.#mounts(bytes.toString('latin1'));
      case '/proc/swaps':
        return bytes
          .toString('latin1')
          .split('\n')
          .map((line, index) => (index === 0 ? line : line.replace(/^\S+/, `swap-${index}`)))
          .join('\n');
      case '/proc/slabinfo':
        return bytes.toString('latin1').replaceAll(CGROUP_NAME, '($1)');
      default:
        return undefined;
    }
  }

  /** Kernels before 5.9 have slab caches for each cgroup, named after it. */
  slabPath(path: string): string {
    return path.replaceAll(CGROUP_NAME, '($1)');
  }

  /** A folder below /sys/fs/cgroup. */
  cgroupPath(folder: string): string {
    if (!folder.startsWith(`${CGROUP_ROOT}/`)) return folder;
    const below = folder.slice(CGROUP_ROOT.length + 1);
    const first = below.split('/')[0] ?? '';
    if (!HIERARCHIES.test(first)) return `${CGROUP_ROOT}${this.cgroup(`/${below}`)}`;
    return `${CGROUP_ROOT}/${first}${this.cgroup(below.slice(first.length))}`;
  }

  /** A cgroup's path within its hierarchy, as in /proc/PID/cgroup and ss. */
  cgroup(path: string): string {
    return path
      .split('/')
      .map((name) => (name === '' || name === '..' ? name : madeUp(this.#cgroups, name)))
      .join('/');
  }

  /**
   * Lines of a small file of a process.
   *
   * @param stat the process's file `stat`, which identifies kernel threads
   */
  processLines(file: string, lines: readonly string[], stat: readonly string[]): readonly string[] {
    if (file === 'cgroup')
      return lines.map((line) => {
        const [, head = '', path = ''] = /^(\d+:[^:]*:)(.*)$/.exec(line) ?? [];
        return head + this.cgroup(path);
      });
    if (file !== 'comm' && file !== 'stat') return lines;
    const text = stat.join('\n');
    const end = text.lastIndexOf(')');
    const begin = text.indexOf('(');
    // For a process that has exited or is hidden, the name is replaced.
    if (begin > 0 && end > begin && isKernelThread(statFields(text))) {
      const real = text.slice(begin + 1, end);
      const shown = Buffer.from(this.#interfaces.within(Buffer.from(real, 'latin1'), MAX_COMM));
      return lines.map((line) => line.replace(real, () => shown.toString('latin1')));
    }
    if (file === 'comm') return lines.length === 0 ? lines : [madeUp(this.#comms, lines.join('\n'))];
    if (begin < 0 || end < begin) return [];
    const name = madeUp(this.#comms, text.slice(begin + 1, end));
    return [`${text.slice(0, begin + 1)}${name}${text.slice(end)}`];
  }

  /** Anonymizes the streamed output of ss. */
  ssRows(write: (text: string) => void): { push(bytes: Buffer): void; end(): void } {
    return this.#rows.into(write);
  }

  /** Anonymizes a table of /proc/net; null: not possible. */
  netTable(table: string, text: string): string | null {
    return WITH_ADDRESSES.test(table) ? null : text;
  }

  /** Anonymizes a path in an error. */
  failedPath(path: string): string {
    if (path.startsWith(CGROUP_ROOT)) return this.cgroupPath(path);
    return /^\/(?:proc|sys|dev|etc)\//.test(path) || !path.startsWith('/') ? path : this.#place(path);
  }

  /** Keeps only mounts that keep a network namespace alive. */
  #mounts(text: string): string {
    return parseNamespaceMounts(text)
      .map(({ inode, path }, index) => `${index + 1} 1 0:4 net:[${inode}] ${this.#place(path)} rw - nsfs nsfs rw\n`)
      .join('');
  }

  #place(path: string): string {
    return `/run/netns/${madeUp(this.#places, path.slice(path.lastIndexOf('/') + 1))}`;
  }
}

/** Longer task names are truncated (TASK_COMM_LEN, without its NUL). */
const MAX_COMM = 15;

/** Greedy up to the last parenthesis: a name may contain others. */
const CGROUP_NAME = /\((\d+):.*\)/g;

function madeUp(names: Names, name: string): string {
  return Buffer.from(names.of(Buffer.from(name, 'latin1'))).toString('latin1');
}

/** Rewrites rows of ss: addresses, interfaces, cgroups. Ports, counters and inodes stay. */
class SsRows {
  readonly #addresses = new Addresses();
  readonly #interfaces: Names;
  readonly #cgroup: (path: string) => string;

  /**
   * @param cgroup maps a cgroup path
   * @param interfaces maps names of network devices
   */
  constructor(cgroup: (path: string) => string, interfaces: Names) {
    this.#cgroup = cgroup;
    this.#interfaces = interfaces;
  }

  into(write: (text: string) => void): LineCutter {
    return new LineCutter((bytes, from, to) => {
      write(`${this.row(bytes.toString('latin1', from, to))}\n`);
    });
  }

  row(line: string): string {
    if (isHeading(line)) return line;
    const bare = withoutKeys(line);
    // A continuation line contains no addresses.
    const [head, tail] = [/^\s/.test(line) ? 'tail' : 'head', 'tail'] as const;
    const at = bare.indexOf(CGROUP);
    if (at < 0) return this.#words(bare, head);
    const [path, after] = cgroupIn(bare.slice(at + CGROUP.length));
    return `${this.#words(bare.slice(0, at), head)}${CGROUP}${this.#cgroup(path)}${this.#words(after, tail)}`;
  }

  #words(text: string, part: 'head' | 'tail'): string {
    let column = 0;
    return text
      .split(/( +)/)
      .map((word) => {
        if (word === '' || word.startsWith(' ')) return word;
        column++;
        // Netid, State, Recv-Q, Send-Q, then the two addresses.
        if (part === 'head' && (column === 5 || column === 6)) return this.#end(word);
        // SCTP sockets have several addresses per end.
        const [, side, hosts] = /^(locals|peers):(.*)$/.exec(word) ?? [];
        if (hosts === undefined) return word;
        return `${side}:${hosts
          .split(',')
          .map((host) => this.#host(host))
          .join(',')}`;
      })
      .join('');
  }

  /** `ADDRESS%INTERFACE:PORT`; a packet socket has its interface in place of the port. */
  #end(word: string): string {
    const colon = word.lastIndexOf(':');
    if (colon < 0) return /^(?:\*|\d+)$/.test(word) ? word : this.#interface(word);
    const port = word.slice(colon + 1);
    const shownPort = /^(?:\*|\d+)$/.test(port) ? port : this.#interface(port);
    return `${this.#host(word.slice(0, colon))}:${shownPort}`;
  }

  #host(host: string): string {
    const [, open = '', address = '', scope, close = ''] = /^(\[?)([^\]%]*)(?:%([^\]]*))?(\]?)$/.exec(host) ?? [];
    const link = scope === undefined ? '' : `%${this.#interface(scope)}`;
    return `${open}${this.#address(address)}${link}${close}`;
  }

  #address(address: string): string {
    const kind = isIP(address);
    // `*`, numbers of vsock, protocols of packet sockets.
    if (kind === 0) return /^[*\w]{0,20}$/.test(address) ? address : '*';
    const bytes = bytesOfAddress(address);
    return textOfAddress(kind === 4 ? this.#addresses.v4(bytes) : this.#addresses.v6(bytes));
  }

  #interface(name: string): string {
    if (name === 'lo' || name === '*' || name === '') return name;
    return Buffer.from(this.#interfaces.of(Buffer.from(name, 'latin1'))).toString('latin1');
  }
}

const CGROUP = ' cgroup:';

/**
 * A cgroup's name may contain blanks and words used by ss: its path extends to the last field of ss
 * that follows it, which is the v6only flag and the shutdown directions (`<->`), or memory.
 *
 * @returns the path, and the text after it
 */
function cgroupIn(text: string): readonly [string, string] {
  const ways = /^.*(?= [-<]-[->](?: |$))/.exec(text)?.[0].length;
  const memory = text.lastIndexOf(' skmem:(');
  const path = text.slice(0, ways ?? (memory < 0 ? text.length : memory)).replace(/ v6only:[01]$/, '');
  return [path, text.slice(path.length)];
}

/** The bytes of an address that `isIP` accepts, in network order: 4, or 16. */
function bytesOfAddress(text: string): Uint8Array {
  if (!text.includes(':')) return Uint8Array.from(text.split('.'), Number);
  // An IPv4 suffix stands for two groups.
  const plain = text.replace(
    /(\d+)\.(\d+)\.(\d+)\.(\d+)$/,
    (_, a: string, b: string, c: string, d: string) =>
      `${(Number(a) * 256 + Number(b)).toString(16)}:${(Number(c) * 256 + Number(d)).toString(16)}`,
  );
  const [front = '', back] = plain.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const [before, after] = [groups(front), groups(back ?? '')];
  const zeros = back === undefined ? 0 : 8 - before.length - after.length;
  const all = [...before, ...Array.from({ length: zeros }, () => '0'), ...after];
  return Uint8Array.from(
    all.flatMap((group) => {
      const value = Number.parseInt(group, 16);
      return [value >> 8, value & 0xff];
    }),
  );
}

/** An address as text; IPv6 without brackets. */
function textOfAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const mapped = bytes.subarray(0, 10).every((byte) => byte === 0);
  if (mapped && bytes[10] === 0xff && bytes[11] === 0xff) return `::ffff:${bytes.subarray(12).join('.')}`;
  const groups = Array.from({ length: 8 }, (_, index) =>
    (bytes[2 * index]! * 256 + bytes[2 * index + 1]!).toString(16),
  ).join(':');
  return groups.replace(/(?:^|:)0(?::0)+(?:$|:)/, '::');
}
