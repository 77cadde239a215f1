import { HostError, isHostError } from '../../base/errors.js';
import { searchPath } from '../../base/shell.js';
import type { CachedFile, CachedFiles } from '../../records/files.js';
import { mayOwnFiles } from '../../records/processes.js';
import { asExhausted, endGroup, startGroup } from '../child.js';
import type { HostSource } from '../host-source.js';
import { listedPids, optionalText } from './process.js';
import { attempted, DELETED, type Mounts, mountsOf } from './shared-files.js';

/** Maximum number of files, and times for finding them and for fincore. Milliseconds. */
const MAX_FILES = 50_000;
const FIND_MS = 10_000;
const FINCORE_MS = 20_000;
/** Number of files for one run of fincore: what it did not report in time is missing. */
const BATCH = 500;
const MAX_OUTPUT = 2 ** 20;

/**
 * File systems that answer without another machine or process. Others (NFS, CIFS, FUSE, 9p, …) may block whoever opens
 * a file. hugetlbfs has no page cache.
 */
const LOCAL: ReadonlySet<string> = new Set([
  'ext2',
  'ext3',
  'ext4',
  'xfs',
  'btrfs',
  'f2fs',
  'bcachefs',
  'jfs',
  'reiserfs',
  'nilfs2',
  'overlay',
  'tmpfs',
  'ramfs',
  'squashfs',
  'erofs',
  'iso9660',
  'udf',
  'vfat',
  'exfat',
  'ntfs3',
]);

/**
 * Whether mincore(2) reports pages of all files: it needs CAP_FOWNER in the first user namespace (can_do_mincore,
 * mm/mincore.c, since 5.2), otherwise it calls each page of another user's file resident.
 */
export function mayReadCachedFiles(host: HostSource): boolean {
  const map = optionalText(host, '/proc/self/uid_map');
  return /^\s*0\s+0\s+4294967295\s*$/.test(map) && mayOwnFiles(optionalText(host, '/proc/self/status'));
}

/** A file, and a path that opens it. */
type Found = Omit<CachedFile, 'bytes' | 'sizeBytes'> & { readonly at: string };

/**
 * Resident pages of the files that processes have open or mapped, by fincore(1) of util-linux. Each file once.
 *
 * @throws {HostError} `unreadable`: fincore cannot be run; {@link ExhaustedError}
 */
export async function readCachedFiles(host: HostSource): Promise<CachedFiles> {
  const finder = new FileFinder(host);
  await finder.find();
  const cached = [...finder.found.values()];
  const sizes = new Map<string, { readonly bytes: number; readonly sizeBytes: number }>();
  const until = host.now() + FINCORE_MS;
  for (let from = 0; from < cached.length && host.now() < until; from += BATCH) {
    const paths = cached.slice(from, from + BATCH).map(({ at }) => at);
    const text = await fincore(paths, Math.max(1, until - host.now()));
    for (const [, res, size, path = ''] of text.matchAll(/^ *(\d{1,16}) +(\d{1,16}) (\/proc\/\S+)$/gm))
      sizes.set(path, { bytes: Number(res), sizeBytes: Number(size) });
  }
  const files = cached.flatMap(({ at, ...file }): CachedFile[] => {
    const sized = sizes.get(at);
    return sized ? [{ ...file, ...sized }] : [];
  });
  const missing = cached.length - files.length;
  finder.leaveOut(host.now() < until ? 'gone' : 'time', missing);
  return {
    files: files.filter(({ bytes }) => bytes > 0).toSorted((a, b) => b.bytes - a.bytes),
    leftOut: [...finder.leftOut].map(([reason, count]) => ({ reason, count })),
  };
}

/** Finds the open and mapped files of all processes, within limits. */
class FileFinder {
  /** Keyed by device and inode. */
  readonly found = new Map<string, Found>();
  readonly leftOut = new Map<CachedFiles['leftOut'][number]['reason'], number>();
  readonly #host: HostSource;
  readonly #mounts = new Map<string, Mounts>();
  readonly #mapped = new Set<string>();
  readonly #foreign = new Set<string>();

  constructor(host: HostSource) {
    this.#host = host;
  }

  leaveOut(reason: CachedFiles['leftOut'][number]['reason'], count = 1): void {
    if (count > 0) this.leftOut.set(reason, (this.leftOut.get(reason) ?? 0) + count);
  }

  async find(): Promise<void> {
    const until = this.#host.now() + FIND_MS;
    const pids = listedPids(this.#host);
    for (const [index, pid] of pids.entries()) {
      if (this.#host.now() > until || this.found.size >= MAX_FILES)
        return this.leaveOut('processes', pids.length - index);
      this.#addOpen(pid);
      await this.#addMapped(pid);
    }
  }

  /** The mounts that a process sees: those of its mount namespace. */
  #mountsOf(pid: string): Mounts {
    const namespace = attempted(() => this.#host.readLink(`/proc/${pid}/ns/mnt`)) ?? pid;
    const mounts = this.#mounts.get(namespace) ?? mountsOf(this.#host, pid);
    this.#mounts.set(namespace, mounts);
    return mounts;
  }

  #typeOf(pid: string, device: string): string | undefined {
    for (const mount of this.#mountsOf(pid).values()) if (mount.device === device) return mount.type;
    return undefined;
  }

  #addOpen(pid: string): void {
    const folder = `/proc/${pid}/fd`;
    for (const fd of this.#listed(folder)) {
      const at = `${folder}/${fd}`;
      const link = attempted(() => this.#host.readLink(at)) ?? '';
      if (!link.startsWith('/') || link.startsWith('/dev/') || link.startsWith('/proc/')) continue;
      const isMemfd = link.startsWith('/memfd:');
      const info = isMemfd ? '' : (attempted(() => this.#host.readText(`/proc/${pid}/fdinfo/${fd}`)) ?? '');
      const id = /^mnt_id:\s*(\d+)$/m.exec(info)?.[1] ?? '';
      const type = !isMemfd
        ? this.#mountsOf(pid).get(id)?.type
        : attempted(() => this.#host.tmpfs?.(at))
          ? 'tmpfs'
          : 'hugetlbfs';
      this.#add({ at, link, pid, mapped: false, type });
    }
  }

  async #addMapped(pid: string): Promise<void> {
    let text: string;
    try {
      text = await this.#host.readSlowText(`/proc/${pid}/maps`);
    } catch (error) {
      if (!isHostError(error)) throw error;
      if (error.code !== 'gone') this.leaveOut('maps');
      return;
    }
    const line = /^0*([0-9a-f]+)-0*([0-9a-f]+) \S+ \S+ ([0-9a-f]+:[0-9a-f]+) (\d+) +(\/.*)$/gm;
    for (const [, from, to, device = '', inode, link = ''] of text.matchAll(line)) {
      const key = `${device} ${inode} ${link}`;
      if (this.#mapped.has(key)) continue;
      this.#mapped.add(key);
      const number = device
        .split(':')
        .map((digits) => Number.parseInt(digits, 16))
        .join(':');
      // Before 6.8 the kernel reports the file below an overlay, which only the host may have mounted.
      const type = this.#typeOf(pid, number) ?? this.#typeOf('self', number);
      const at = `/proc/${pid}/map_files/${from}-${to}`;
      this.#add({ at, link, pid, mapped: true, type });
    }
  }

  #add(of: { at: string; link: string; pid: string; mapped: boolean; type?: string | undefined }) {
    const { at, link, pid, mapped, type } = of;
    if (type === undefined || !LOCAL.has(type)) {
      // Each name once: what is not opened has no other identity.
      if (type !== 'hugetlbfs' && !this.#foreign.has(link)) this.leaveOut('file-system');
      this.#foreign.add(link);
      return;
    }
    const facts = attempted(() => this.#host.file?.(at));
    if (!facts) this.leaveOut('gone');
    if (!facts?.isFile) return;
    const key = `${facts.device}:${facts.inode}`;
    const known = this.found.get(key);
    const deleted = link.endsWith(DELETED);
    const path = deleted ? link.slice(0, -DELETED.length) : link;
    this.found.set(
      key,
      known
        ? { ...known, mapped: known.mapped || mapped }
        : { at, path, pid: Number(pid), deleted, mapped, fsType: type, inode: `${facts.inode}` },
    );
  }

  #listed(folder: string): readonly string[] {
    try {
      return this.#host.list(folder);
    } catch (error) {
      if (!isHostError(error)) throw error;
      if (error.code !== 'gone') this.leaveOut('descriptors');
      return [];
    }
  }
}

/** Output of fincore: bytes in memory, size and path of each file; what it printed before the time limit. */
async function fincore(paths: readonly string[], timeoutMs: number): Promise<string> {
  const options = ['--raw', '--noheadings', '--bytes', '--output', 'RES,SIZE,FILE'];
  const child = startGroup('fincore', [...options, ...paths], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, LC_ALL: 'C', PATH: searchPath() },
  });
  let text = '';
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(resolve, timeoutMs);
      child.stdout?.on('data', (bytes: Buffer) => {
        if (text.length < MAX_OUTPUT) text += bytes.toString('latin1');
      });
      // Its status is 1 if a file disappeared.
      child.on('close', () => resolve());
      child.on('error', (cause) => {
        const message = 'fincore (util-linux) cannot be run';
        reject(asExhausted('fincore', cause) ?? new HostError('unreadable', message, { cause }));
      });
    });
  } finally {
    clearTimeout(timer);
    endGroup(child);
  }
  // A last line that is cut is no number.
  return text.slice(0, text.lastIndexOf('\n') + 1);
}
