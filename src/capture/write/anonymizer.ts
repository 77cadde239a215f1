import { isIP } from 'node:net';
import { Addresses } from '../../extract/anonymize/addresses.js';
import { Interfaces } from '../../extract/anonymize/interfaces.js';
import { Names } from '../../extract/anonymize/names.js';
import { parseNamespaceMounts } from '../../host/namespaces.js';
import { isHeading, LineCutter } from '../../host/ss/lines.js';
import { CGROUP_ROOT } from '../read/contents.js';
import { withoutKeys } from './ss-keys.js';

/** PF_KTHREAD (include/linux/sched.h), of field 9 of /proc/PID/stat. */
const PF_KTHREAD = 0x0020_0000;

/** Directories right below the root that are hierarchies of cgroup v1, and no cgroups. */
const HIERARCHIES =
  /^(?:memory|unified|systemd|cpu|cpuacct|cpu,cpuacct|cpuset|devices|freezer|blkio|pids|hugetlb|net_cls|net_prio|net_cls,net_prio|perf_event|rdma|misc)$/;

/** Tables of /proc/net with addresses, which are not rewritten: ss has them too. */
const WITH_ADDRESSES = /^(?:tcp|udp|raw)6?$/;

/**
 * Made-up names in a snapshot, the same for the same: of processes, cgroups (and so pods and containers),
 * network interfaces and the host, and addresses by others of their kind, as `extract --anonymize` makes
 * them. Kernel threads keep theirs, but for interfaces in them. Texts are latin1: a byte is a character.
 */
export class Anonymizer {
  readonly #comms = new Names('c');
  readonly #cgroups = new Names('g');
  readonly #places = new Names('n');
  readonly #interfaces: Interfaces;
  readonly #rows: SsRows;

  /** @param interfaces names of network devices, which kernel threads are called after */
  constructor(interfaces: readonly Buffer[]) {
    const names = new Names('i');
    const known = interfaces.map((bytes) => ({ bytes }));
    this.#interfaces = new Interfaces(known, names);
    this.#rows = new SsRows((path) => this.cgroup(path), names);
  }

  /** A file of the whole machine; undefined: there is no name in it. */
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
        return bytes.toString('latin1').replaceAll(OF_CGROUP, '($1)');
      default:
        return undefined;
    }
  }

  /** Kernels before 5.9 have caches of each cgroup, with its name. */
  slabPath(path: string): string {
    return path.replaceAll(OF_CGROUP, '($1)');
  }

  /** A folder below /sys/fs/cgroup. */
  cgroupPath(folder: string): string {
    if (!folder.startsWith(`${CGROUP_ROOT}/`)) return folder;
    const below = folder.slice(CGROUP_ROOT.length + 1);
    const first = below.split('/')[0] ?? '';
    if (!HIERARCHIES.test(first)) return `${CGROUP_ROOT}${this.cgroup(`/${below}`)}`;
    return `${CGROUP_ROOT}/${first}${this.cgroup(below.slice(first.length))}`;
  }

  /** A path of a cgroup within its hierarchy, as /proc/PID/cgroup and ss have it. */
  cgroup(path: string): string {
    return path
      .split('/')
      .map((name) => (name === '' || name === '..' ? name : made(this.#cgroups, name)))
      .join('/');
  }

  /**
   * Lines of a small file of a process.
   *
   * @param stat its file `stat`, which tells kernel threads
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
    const flags = Number(text.slice(end + 2).split(' ')[6]);
    // A process that is gone, or hidden, is nobody's thread: its name goes.
    if (begin > 0 && end > begin && (flags & PF_KTHREAD) !== 0) {
      const real = text.slice(begin + 1, end);
      const shown = Buffer.from(this.#interfaces.within(Buffer.from(real, 'latin1'), MOST_COMM));
      return lines.map((line) => line.replace(real, () => shown.toString('latin1')));
    }
    if (file === 'comm') return lines.length === 0 ? lines : [made(this.#comms, lines.join('\n'))];
    if (begin < 0 || end < begin) return [];
    const name = made(this.#comms, text.slice(begin + 1, end));
    return [`${text.slice(0, begin + 1)}${name}${text.slice(end)}`];
  }

  /** What ss prints, as it comes. */
  ssRows(write: (text: string) => void): { push(bytes: Buffer): void; end(): void } {
    return this.#rows.into(write);
  }

  /** A table of /proc/net; null: it cannot be told without names. */
  netTable(table: string, text: string): string | null {
    return WITH_ADDRESSES.test(table) ? null : text;
  }

  /** A path that something went wrong with. */
  failedPath(path: string): string {
    if (path.startsWith(CGROUP_ROOT)) return this.cgroupPath(path);
    return /^\/(?:proc|sys|dev|etc)\//.test(path) || !path.startsWith('/')
      ? path
      : this.#place(path);
  }

  /** Of all mounts those that keep a network namespace. */
  #mounts(text: string): string {
    return parseNamespaceMounts(text)
      .map(
        ({ inode, path }, index) =>
          `${index + 1} 1 0:4 net:[${inode}] ${this.#place(path)} rw - nsfs nsfs rw\n`,
      )
      .join('');
  }

  #place(path: string): string {
    return `/run/netns/${made(this.#places, path.slice(path.lastIndexOf('/') + 1))}`;
  }
}

/** A longer name of a task is cut off (TASK_COMM_LEN, without its NUL). */
const MOST_COMM = 15;

/** To the last parenthesis: a name may hold others. */
const OF_CGROUP = /\((\d+):.*\)/g;

function made(names: Names, name: string): string {
  return Buffer.from(names.of(Buffer.from(name, 'latin1'))).toString('latin1');
}

/** Rewrites rows of ss: addresses, interfaces, cgroups. Ports, figures and inodes stay. */
class SsRows {
  readonly #addresses = new Addresses();
  readonly #interfaces: Names;
  readonly #cgroup: (path: string) => string;

  /**
   * @param cgroup makes a path of a cgroup
   * @param interfaces makes names of network devices
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
    // What goes on from the line before has no ends.
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
        // Netid, State, Recv-Q, Send-Q, then the two ends.
        if (part === 'head' && (column === 5 || column === 6)) return this.#end(word);
        // Of SCTP, whose ends have several.
        const [, which, hosts] = /^(locals|peers):(.*)$/.exec(word) ?? [];
        if (hosts === undefined) return word;
        return `${which}:${hosts
          .split(',')
          .map((host) => this.#host(host))
          .join(',')}`;
      })
      .join('');
  }

  /** `ADDRESS%INTERFACE:PORT`; a packet socket has its interface where others have a port. */
  #end(word: string): string {
    const colon = word.lastIndexOf(':');
    if (colon < 0) return /^(?:\*|\d+)$/.test(word) ? word : this.#interface(word);
    const port = word.slice(colon + 1);
    const shownPort = /^(?:\*|\d+)$/.test(port) ? port : this.#interface(port);
    return `${this.#host(word.slice(0, colon))}:${shownPort}`;
  }

  #host(host: string): string {
    const [, open = '', address = '', scope, close = ''] =
      /^(\[?)([^\]%]*)(?:%([^\]]*))?(\]?)$/.exec(host) ?? [];
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
 * A cgroup's name may hold blanks, and words of ss: its path goes as far as the last of ss's own that follow it, which
 * are the flag of IPv6 alone and the ways that are open (`<->`), or memory.
 *
 * @returns the path, and what follows it
 */
function cgroupIn(text: string): readonly [string, string] {
  const ways = /^.*(?= [-<]-[->](?: |$))/.exec(text)?.[0].length;
  const memory = text.lastIndexOf(' skmem:(');
  const path = text
    .slice(0, ways ?? (memory < 0 ? text.length : memory))
    .replace(/ v6only:[01]$/, '');
  return [path, text.slice(path.length)];
}

/** The bytes of an address in text that `isIP` takes, in network order: 4, or 16. */
function bytesOfAddress(text: string): Uint8Array {
  if (!text.includes(':')) return Uint8Array.from(text.split('.'), Number);
  // What ends as an IPv4 address has two groups in it.
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
  if (mapped && bytes[10] === 0xff && bytes[11] === 0xff)
    return `::ffff:${bytes.subarray(12).join('.')}`;
  const groups = Array.from({ length: 8 }, (_, index) =>
    (bytes[2 * index]! * 256 + bytes[2 * index + 1]!).toString(16),
  ).join(':');
  return groups.replace(/(?:^|:)0(?::0)+(?:$|:)/, '::');
}
