import { Interfaces } from '../../extract/anonymize/interfaces.js';
import { Names } from '../../extract/anonymize/names.js';
import { CGROUP_ROOT } from '../../host/capture/contents.js';
import { parseNamespaceMounts } from '../../host/namespaces.js';
import { SsRows } from './ss-rows.js';

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
