import { HostError } from '../../src/base/errors.js';
import type { HostSource, OnBytes } from '../../src/host/host-source.js';

/** A host in memory: files by path, links by path, and the output of ss, one text per call. */
export class FakeHost implements HostSource {
  readonly files = new Map<string, string | 'denied'>();
  readonly inodes = new Map<string, number>();
  readonly links = new Map<string, string | 'denied'>();
  /** Directories that return EACCES. */
  readonly closed = new Set<string>();
  readonly ssCalls: string[][] = [];
  /** Called before each read of a file or directory. */
  onRead: (path: string) => void = () => undefined;
  readonly ownPipes = new Set<number>();
  clock = 0;
  /** The output of ss for packet, vsock, MPTCP and SCTP sockets. */
  others = '';
  /** The flags of each page frame in /proc/kpageflags. */
  frames: readonly bigint[] = [];
  /** The socket tables that ss does not support. */
  unknown: readonly string[] = [];

  constructor(readonly answer: (args: readonly string[], netns: string | null) => string = () => '') {
    this.files.set('/proc/meminfo', 'MemTotal:       1024000 kB\nMemFree:         512000 kB\n');
  }

  async ss(args: readonly string[], netns: string | null, onBytes: OnBytes): Promise<readonly string[]> {
    this.ssCalls.push([...(netns === null ? [] : [netns]), ...args]);
    this.clock += 1;
    const bytes = Buffer.from(args.includes('-A') ? this.others : this.answer(args, netns));
    // In two pieces, split anywhere: readers must not rely on where a piece ends.
    const cut = bytes.length >> 1;
    onBytes(bytes.subarray(0, cut));
    onBytes(bytes.subarray(cut));
    return args.includes('-A') ? this.unknown : [];
  }

  readText(path: string): string {
    this.onRead(path);
    const text = this.files.get(path);
    if (text === undefined) throw new HostError('gone', `${path}: not found`);
    if (text === 'denied') throw new HostError('denied', `${path}: permission denied`);
    return text;
  }

  async readSlowText(path: string): Promise<string> {
    return this.readText(path);
  }

  readTextIn(netns: string, path: string): string {
    return this.readText(`${netns} ${path}`);
  }

  readBytes(path: string, onBytes: OnBytes): void {
    onBytes(Buffer.from(this.readText(path), 'latin1'));
  }

  readLink(path: string): string {
    this.onRead(path);
    const target = this.links.get(path);
    if (target === undefined) throw new HostError('gone', `${path}: not found`);
    if (target === 'denied') throw new HostError('denied', `${path}: permission denied`);
    return target;
  }

  inode(path: string): number {
    const inode = this.inodes.get(path);
    if (inode === undefined) throw new HostError('gone', `${path}: not found`);
    return inode;
  }

  list(path: string): readonly string[] {
    this.onRead(path);
    if (this.closed.has(path)) throw new HostError('denied', `${path}: permission denied`);
    const names = new Set<string>();
    for (const each of [...this.files.keys(), ...this.links.keys(), ...this.closed])
      if (each.startsWith(`${path}/`)) names.add(each.slice(path.length + 1).split('/')[0] ?? '');
    if (names.size === 0) throw new HostError('gone', `${path}: not found`);
    return [...names];
  }

  size(path: string): number {
    return this.list(path).length;
  }

  now(): number {
    return this.clock;
  }

  async sleep(ms: number): Promise<void> {
    this.clock += ms;
  }

  /** Adds a process: the states and context switches of its threads, its sockets by fd. */
  addProcess(
    pid: number,
    options: { comm?: string; threads?: [number, string, number][]; fds?: Record<number, number> },
  ): void {
    this.files.set(`/proc/${pid}/comm`, `${options.comm ?? 'feedd'}\n`);
    this.files.set(`/proc/${pid}/status`, statusText(pid, pid, 'S', 1));
    for (const [tid, state, switches] of options.threads ?? [[pid, 'S', 1]])
      this.files.set(`/proc/${pid}/task/${tid}/status`, statusText(pid, tid, state, switches));
    this.links.set(`/proc/${pid}/fd/0`, '/dev/null');
    for (const [fd, inode] of Object.entries(options.fds ?? {}))
      this.links.set(`/proc/${pid}/fd/${fd}`, `socket:[${inode}]`);
  }

  removeProcess(pid: number): void {
    for (const map of [this.files, this.links])
      for (const path of map.keys()) if (path.startsWith(`/proc/${pid}/`)) map.delete(path);
  }
}

function statusText(pid: number, tid: number, state: string, switches: number): string {
  return [
    'Name:\tState:\\nTgid:\t666',
    `State:\t${state} (whatever)`,
    `Tgid:\t${pid}`,
    `Pid:\t${tid}`,
    `voluntary_ctxt_switches:\t${switches}`,
    'nonvoluntary_ctxt_switches:\t0',
    '',
  ].join('\n');
}

/** Lists of character and misc devices, with these drivers too (chrdev_show of fs/char_dev.c, misc_seq_show). */
export function withDrivers(host: FakeHost, ...names: readonly string[]): void {
  const devices = names.map((name, at) => `${240 + at} ${name}\n`).join('');
  host.files.set('/proc/devices', `Character devices:\n  1 mem\n${devices}\nBlock devices:\n254 virtblk\n`);
  host.files.set('/proc/misc', `${names.includes('iommu') ? '122 iommu\n' : ''}232 kvm\n`);
}
