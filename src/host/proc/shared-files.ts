import { join } from 'node:path';
import { isHostError } from '../../base/errors.js';
import { count, inflect } from '../../base/size.js';
import type { FileFacts, HostSource } from '../host-source.js';
import { descriptors } from './descriptor-tables.js';
import { differingTables } from './holders.js';
import { kilobytesOf } from './memory.js';
import { mostMemory, possibleOf, whyImpossible } from './possible-amounts.js';
import { listedPids } from './process.js';

/** Maximum number of files in a snapshot, largest first. */
export const MAX_CAPTURED = 1000;
const MAX_REASONS = 10;
/** Smaller files are ignored. */
export const MIN_BYTES = 64 * 1024;
/** Time limit in milliseconds for descriptors, about that for a million, and for mounts; later files are not listed. */
const MAX_MS = 1000;
/** Maximum number of entries of tmpfs mounts, and depth of folders. */
const MAX_ENTRIES = 65_536;
const MAX_DEPTH = 16;

/** Suffix of the link of an unlinked file (d_path, fs/d_path.c). */
export const DELETED = ' (deleted)';

/** File systems that answer without another machine or process: the path to a tmpfs leads through no other. */
export const LOCAL: ReadonlySet<string> = new Set(
  [
    'autofs bcachefs btrfs cgroup cgroup2 devtmpfs erofs ext2 ext3 ext4 f2fs overlay proc ramfs rootfs squashfs sysfs tmpfs',
    'vfat xfs zfs binfmt_misc bpf configfs debugfs devpts efivarfs fusectl mqueue nsfs pstore securityfs selinuxfs tracefs',
  ].flatMap((names) => names.split(' ')),
);
/** Maximum number of mount namespaces. */
export const MAX_NAMESPACES = 512;

/** A file in tmpfs, a memfd, a System V segment, a shared anonymous mapping, or the rest of a tmpfs. */
export interface SharedFile {
  /** `tmpfs`: what is in no listed file of the tmpfs `mount`. `mapping`: a shared anonymous mapping. */
  readonly kind: 'file' | 'segment' | 'mapping' | 'tmpfs';
  /** Hostile. */
  readonly name: string;
  /** A process that has the file open, or maps it; for a segment, its creator; of a tmpfs, if it is not mounted. */
  readonly pid?: number;
  /** Of a segment; undefined: it was never attached. */
  readonly attached?: LastAttach;
  readonly bytes: number;
  /** Whether a process maps it; undefined: unknown. */
  readonly mapped?: boolean;
  /** Mount point of its tmpfs, hostile; undefined: a memfd, a segment or a mapping, or unknown. */
  readonly mount?: string;
  /** A process of the mount namespace that has this mount; undefined: that of kdump-mem. */
  readonly inside?: number;
  /** Size limit of the tmpfs; undefined: none, or unknown. */
  readonly limit?: number;
}

interface LastAttach {
  readonly at: Date;
  /** Null: unknown, since a process has detached the segment since, or in the same second. */
  readonly pid: number | null;
}

/** What processes map, as shared-mappings.ts reads it. Keys are `DEVICE INODE`. */
interface MappedFiles {
  isMapped(key: string, bytes: number): boolean | undefined;
  /** Files that no process has open. @param opened keys of those that one has */
  unopened(opened: ReadonlySet<string>): readonly FoundFile[];
  /** Whether processes whose mappings are unknown may map so much. */
  mayMap(bytes: number): boolean;
}

/** Called with a reason why files may be missing. */
type OnMissing = (why: string) => void;

/**
 * Files in memory (memfd, tmpfs of all mount namespaces), System V segments and shared anonymous mappings, largest
 * first, mapped or not. A memfd or deleted file exists only as long as a process has it open or maps it; `pid` is one
 * of these. Bytes are allocated pages, including swapped ones.
 *
 * @param onMissing called with each reason why files may be missing
 * @param mappings of processes; undefined: files that are only mapped are not listed
 */
export function sharedFiles(host: HostSource, onMissing: OnMissing, mappings?: MappedFiles): SharedFile[] {
  return [...filesInMemory(host, onMissing, mappings), ...segments(host, onMissing)].toSorted(
    (a, b) => b.bytes - a.bytes,
  );
}

/** A mounted tmpfs that can be reached. */
interface Tmpfs extends Mount {
  readonly inside: number | undefined;
  /** Path that leads to it from here. */
  readonly at: string;
  /** Paths below it that lead to other mounts. */
  readonly inner: ReadonlySet<string>;
}

/** Decimal `major:minor` of `st_dev` (new_encode_dev, include/linux/kdev_t.h). */
export function deviceNumber(device: number): string {
  return `${(device >>> 8) & 0xfff}:${(device & 0xff) | ((device >>> 12) & 0xfff00)}`;
}

/** Candidates for the name of a tmpfs: whole before parts of it, our mount namespace before others, then the shortest. */
function isBetter(tmpfs: Tmpfs, other: Tmpfs): boolean {
  const rank = ({ root, inside, point }: Tmpfs) =>
    (root === '/' ? 0 : 2e6) + (inside === undefined ? 0 : 1e6) + Math.min(point.length, 1e5);
  return rank(tmpfs) < rank(other);
}

/** Mounts by their place: a later one covers an earlier one. */
export function visibleMounts(mounts: Mounts): ReadonlyMap<string, Mount> {
  return new Map([...mounts.values()].map((mount) => [mount.point, mount]));
}

/** Whether the path to a mount leads through no other machine or process, which might block. */
export function isLocalMount(mount: Mount, visible: ReadonlyMap<string, Mount>, isOwn: boolean): boolean {
  return [...visible.values()].every(({ type, point }) => {
    if (point === mount.point || !mount.point.startsWith(point === '/' ? point : `${point}/`)) return true;
    // Programs of this machine are on its own root.
    return LOCAL.has(type) || (isOwn && point === '/');
  });
}

/** Mounted tmpfs of one mount namespace, by device. @param onForeign called if the path leads through another machine or process */
function addTmpfs(all: Map<string, Tmpfs>, mounts: Mounts, inside: number | undefined, onForeign: () => void): void {
  const top = visibleMounts(mounts);
  const prefix = inside === undefined ? '' : `/proc/${inside}/root`;
  const inner = new Set([...top.keys()].map((point) => `${prefix}${point}`));
  for (const mount of top.values()) {
    if (!mount.isTmpfs) continue;
    const known = all.get(mount.device);
    if (!isLocalMount(mount, top, inside === undefined)) {
      if (!known) onForeign();
      continue;
    }
    const tmpfs = { ...mount, inside, at: `${prefix}${mount.point}`, inner };
    if (!known || isBetter(tmpfs, known)) all.set(mount.device, tmpfs);
  }
}

/** A file, and the device of its file system. */
export interface FoundFile extends SharedFile {
  readonly device: string;
}

function filesInMemory(host: HostSource, onMissing: OnMissing, mappings?: MappedFiles): SharedFile[] {
  const { file } = host;
  if (!file) return recordedFiles(host.filesInMemory, onMissing);
  let [until, isLate] = [host.now() + MAX_MS, false];
  const isOver = () => (isLate = isLate || host.now() > until);
  const byFile = new Map<string, FoundFile>();
  const denied = { processes: new Set<string>(), folders: new Set<string>() };
  const readOf = <T>(kind: keyof typeof denied, name: string, read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!isHostError(error)) throw error;
      if (error.code === 'denied') denied[kind].add(name);
      return undefined;
    }
  };
  const take = (facts: FileFacts | undefined, name: string, pid: number | undefined, of?: Tmpfs): void => {
    if (!facts?.isFile || facts.bytes < MIN_BYTES) return;
    const device = deviceNumber(facts.device);
    const key = `${device} ${facts.inode}`;
    const holder = byFile.get(key)?.pid ?? pid;
    const mapped = mappings?.isMapped(key, facts.bytes);
    byFile.set(key, {
      kind: 'file',
      name: byFile.get(key)?.name ?? name,
      bytes: facts.bytes,
      device,
      ...(holder === undefined ? {} : { pid: holder }),
      ...(mapped === undefined ? {} : { mapped }),
      ...(of ? { mount: of.point } : {}),
      ...(of?.inside === undefined ? {} : { inside: of.inside }),
    });
  };
  const own = mountsOf(host, 'self');
  const pids = attempted(() => listedPids(host)) ?? [];
  const tmpfs = new Map<string, Tmpfs>();
  let foreign = 0;
  addTmpfs(tmpfs, own, undefined, () => foreign++);
  const namespaces = new Map<string, Mounts>();
  const ownNamespace = attempted(() => host.readLink('/proc/self/ns/mnt'));
  if (ownNamespace !== undefined) namespaces.set(ownNamespace, own);
  const mountsIn = (pid: string): Mounts => {
    const namespace = readOf('processes', pid, () => host.readLink(`/proc/${pid}/ns/mnt`));
    if (namespace === undefined) return own;
    const known = namespaces.get(namespace) ?? mountsOf(host, pid);
    if (!namespaces.has(namespace)) {
      namespaces.set(namespace, known);
      addTmpfs(tmpfs, known, Number(pid), () => foreign++);
    }
    return known;
  };
  const pointsOf = (mounts: Mounts) =>
    new Set([...mounts.values()].flatMap((mount) => (mount.isTmpfs ? [mount.point] : [])));
  const ownPoints = pointsOf(own);
  const points = new Map<Mounts, ReadonlySet<string>>([[own, ownPoints]]);
  const pointsIn = (mounts: Mounts) => {
    const known = points.get(mounts) ?? pointsOf(mounts);
    points.set(mounts, known);
    return known;
  };
  const opened = function* (pid: string) {
    try {
      yield* descriptors(host, `/proc/${pid}/fd`);
    } catch (error) {
      if (!isHostError(error)) throw error;
      if (error.code === 'denied') denied.processes.add(pid);
    }
  };
  for (const pid of pids) {
    if (isLate) break;
    // The namespace of a process is read once, not for each descriptor.
    let mounts = namespaces.size < MAX_NAMESPACES ? mountsIn(pid) : undefined;
    for (const { fd, link } of opened(pid)) {
      if (isOver()) break;
      if (link === 'denied') denied.processes.add(pid);
      if (typeof link === 'number') continue;
      const path = `/proc/${pid}/fd/${fd}`;
      if (link.startsWith('/memfd:')) {
        // memfds with hugetlb pages are in another file system.
        if (attempted(() => host.tmpfs?.(path)))
          take(
            attempted(() => file(path)),
            memfdName(link),
            Number(pid),
          );
      } else if (link.startsWith('/') || link.endsWith(DELETED)) {
        mounts ??= mountsIn(pid);
        if (!(link.endsWith(DELETED) || isBelow(link, pointsIn(mounts)) || isBelow(link, ownPoints))) continue;
        // Not by stat: it would block on an unresponsive file system.
        const info = attempted(() => host.readText(`/proc/${pid}/fdinfo/${fd}`)) ?? '';
        const mount = mounts.get(/^mnt_id:\s*(\d+)$/m.exec(info)?.[1] ?? '');
        if (!mount?.isTmpfs) continue;
        const of = tmpfs.get(mount.device);
        // A process in another root has the path within that root: ours may have the same tmpfs elsewhere.
        const inner =
          link.startsWith(`${mount.point}/`) && of?.root === mount.root ? link.slice(mount.point.length) : '';
        const facts = attempted(() => file(path));
        take(facts, inner !== '' && of ? `${of.point === '/' ? '' : of.point}${inner}` : link, Number(pid), of);
      }
    }
  }
  const wasLate = isLate;
  // Descriptors of many processes must not hide a file that no process has open.
  [until, isLate] = [host.now() + MAX_MS, false];
  let entries = 0;
  const walk = (folder: string, depth: number, of: Tmpfs): void => {
    for (const name of readOf('folders', folder, () => host.list(folder)) ?? []) {
      if (isOver() || ++entries > MAX_ENTRIES) return;
      const path = join(folder, name);
      const facts = of.inner.has(path) ? undefined : readOf('folders', folder, () => file(path));
      if (facts?.isFolder && depth < MAX_DEPTH) walk(path, depth + 1, of);
      else take(facts, path.slice(of.at.length - of.point.length), undefined, of);
    }
  };
  const reached = [...tmpfs.values()].flatMap((of) => {
    // Where a mount is covered, its path leads elsewhere.
    const facts = attempted(() => file(of.at));
    const size = facts && deviceNumber(facts.device) === of.device ? attempted(() => host.tmpfs?.(of.at)) : undefined;
    return size ? [{ of, size }] : [];
  });
  for (const { of } of reached.toSorted((a, b) => (b.size.used ?? MAX) - (a.size.used ?? MAX))) walk(of.at, 0, of);
  // A deleted file that is only mapped is a part of its tmpfs, and in none of its folders.
  const files = [...byFile.values(), ...(mappings?.unopened(new Set(byFile.keys())) ?? [])];
  const sums = new Map<string, number>();
  for (const { device, bytes } of files) sums.set(device, (sums.get(device) ?? 0) + bytes);
  const rests = reached.flatMap(({ of, size: { used, limit } }): SharedFile[] => {
    const bytes = Math.max(0, (used ?? 0) - (sums.get(of.device) ?? 0));
    const inside = of.inside === undefined ? {} : { inside: of.inside };
    const mapped = mappings && !mappings.mayMap(bytes) ? { mapped: false } : {};
    const common = { kind: 'tmpfs', name: `tmpfs ${of.point}`, mount: of.point, bytes, ...inside, ...mapped } as const;
    return used !== null && used >= MIN_BYTES ? [limit === null ? common : { ...common, limit }] : [];
  });
  if (wasLate || isLate || entries > MAX_ENTRIES)
    onMissing('descriptors and tmpfs mounts: only a part was read in 1 s');
  const [processes, folders] = [denied.processes.size, denied.folders.size];
  if (processes > 0)
    onMissing(`descriptors of ${processes} ${inflect(processes, 'process', 'processes')}: permission denied`);
  if (folders > 0) onMissing(`${folders} ${inflect(folders, 'folder')} of tmpfs: permission denied`);
  if (foreign > 0) onMissing(`${foreign} tmpfs behind a network or FUSE file system`);
  if (namespaces.size >= MAX_NAMESPACES) onMissing(`only ${MAX_NAMESPACES} mount namespaces were read`);
  if (own.size === 0) onMissing('tmpfs mounts: mountinfo is not readable');
  if (!pids.includes('1')) onMissing('not all processes are visible (hidepid, or a pid namespace)');
  const all = [...files.map(({ device: _, ...file }) => file), ...rests];
  const owned = [...all, ...segments(host)].reduce((sum, { bytes }) => sum + bytes, 0);
  if (!hasUnowned(host, owned)) return all.toSorted((a, b) => b.bytes - a.bytes);
  [until, isLate] = [host.now() + MAX_MS, false];
  const ofThreads = memfdsOfThreads(host, pids, byFile, mappings, isOver);
  if (isLate) onMissing('descriptors of threads: only a part was read in 1 s');
  all.push(...ofThreads);
  const known = ofThreads.reduce((sum, { bytes }) => sum + bytes, owned);
  [until, isLate] = [host.now() + MAX_MS, false];
  if (hasUnowned(host, known)) all.push(...detachedTmpfs(host, pids, [...namespaces.values(), own], isOver));
  return all.toSorted((a, b) => b.bytes - a.bytes);
}

/** Without a path: its mount is in no namespace. */
const UNMOUNTED = '(unmounted)';
/** A smaller part of Shmem without an owner is not searched for. Bytes. */
export const DETACHED_BYTES = 64 * 2 ** 20;
/** A block device in /sys/class/bdi, by number. */
const BLOCK = /^[1-9]\d*:\d+$/;

/** Whether a large part of Shmem is in nothing that is known. */
function hasUnowned(host: HostSource, ownedBytes: number): boolean {
  const [, shmem] = /^Shmem:\s+(\d{1,13}) kB$/m.exec(attempted(() => host.readText('/proc/meminfo')) ?? '') ?? [];
  return shmem !== undefined && Number(shmem) * 1024 >= ownedBytes + DETACHED_BYTES;
}

/**
 * Memfds in tables that a thread has of its own (unshare(CLONE_FILES)), which /proc/PID/fd does not show.
 *
 * @param known files that are listed already, by `DEVICE INODE`
 * @param mappings of processes: what they map is listed already too
 */
function memfdsOfThreads(
  host: HostSource,
  pids: readonly string[],
  known: ReadonlyMap<string, unknown>,
  mappings: MappedFiles | undefined,
  isOver: () => boolean,
): SharedFile[] {
  const memfds = new Map<string, SharedFile>();
  for (const pid of pids) {
    if (isOver()) break;
    for (const table of differingTables(host, Number(pid)))
      for (const fd of attempted(() => host.list(table)) ?? []) {
        if (isOver()) break;
        const path = `${table}/${fd}`;
        const link = attempted(() => host.readLink(path)) ?? '';
        if (!link.startsWith('/memfd:') || !attempted(() => host.tmpfs?.(path))) continue;
        const facts = attempted(() => host.file?.(path));
        const key = facts && `${deviceNumber(facts.device)} ${facts.inode}`;
        if (!facts?.isFile || facts.bytes < MIN_BYTES || key === undefined || known.has(key) || memfds.has(key))
          continue;
        const mapped = mappings?.isMapped(key, facts.bytes);
        const flag = mapped === undefined ? {} : { mapped };
        if (mapped !== true)
          memfds.set(key, { kind: 'file', name: memfdName(link), pid: Number(pid), bytes: facts.bytes, ...flag });
      }
  }
  return [...memfds.values()];
}

/** The name in a link of a memfd: `/memfd:NAME (deleted)`. */
const memfdName = (link: string): string => link.replace(/^\/(.*?)(?: \(deleted\))?$/s, '$1');

/**
 * Tmpfs that were unmounted lazily (umount -l) while a process has a file or folder of them open, or as its working
 * folder: no mount namespace has them, and Shmem counts them.
 *
 * @param namespaces mounts of all mount namespaces
 * @param isOver whether the time has run out
 */
function detachedTmpfs(
  host: HostSource,
  pids: readonly string[],
  namespaces: readonly Mounts[],
  isOver: () => boolean,
): SharedFile[] {
  const devices = new Set(namespaces.flatMap((mounts) => [...mounts.values()].map(({ device }) => device)));
  const ids = new Set(namespaces.flatMap((mounts) => [...mounts.keys()]));
  const foreign = foreignFileSystems(host);
  // An unmounted one of another machine or process might block.
  if (!foreign?.every((device) => devices.has(device))) return [];
  const files = new Map<string, SharedFile>();
  const take = (path: string, pid: string): void => {
    const use = attempted(() => host.tmpfs?.(path));
    const facts = use?.used ? attempted(() => host.file?.(path)) : undefined;
    const device = facts && deviceNumber(facts.device);
    if (!use?.used || device === undefined || devices.has(device) || files.has(device)) return;
    const limit = use.limit === null ? {} : { limit: use.limit };
    const name = `tmpfs ${UNMOUNTED}`;
    files.set(device, { kind: 'tmpfs', name, mount: UNMOUNTED, pid: Number(pid), bytes: use.used, ...limit });
  };
  for (const pid of pids) {
    // Nothing but its file system tells the mount of a working folder.
    if (foreign.length === 0) take(`/proc/${pid}/cwd`, pid);
    for (const fd of attempted(() => host.list(`/proc/${pid}/fd`)) ?? []) {
      if (isOver()) return [...files.values()];
      const path = `/proc/${pid}/fd/${fd}`;
      const link = attempted(() => host.readLink(path)) ?? '';
      if (!link.startsWith('/') || link.startsWith('/memfd:')) continue;
      const info = attempted(() => host.readText(`/proc/${pid}/fdinfo/${fd}`)) ?? '';
      const id = /^mnt_id:\s*(\d+)$/m.exec(info)?.[1];
      if (id !== undefined && !ids.has(id)) take(path, pid);
    }
  }
  return [...files.values()];
}

/**
 * Devices of the file systems that answer through another machine or process, mounted or not: each has its own
 * bdi (super_setup_bdi of fs/super.c: `0:52` for NFS, `0:52-fuseblk`, `cifs-1`), and tmpfs has none. Undefined: unknown.
 */
function foreignFileSystems(host: HostSource): readonly string[] | undefined {
  const names = attempted(() => host.list('/sys/class/bdi'));
  if (!names?.length) return undefined;
  return names.flatMap((name) => {
    if (BLOCK.test(name) || LOCAL.has(name.replace(/-.*$/, ''))) return [];
    return [/^0:\d+/.exec(name)?.[0] ?? name];
  });
}

/** Whether a path is below one of these mount points. */
function isBelow(path: string, points: ReadonlySet<string>): boolean {
  if (!path.startsWith('/')) return false;
  if (points.has('/')) return true;
  for (let at = path.indexOf('/', 1); at > 0; at = path.indexOf('/', at + 1))
    if (points.has(path.slice(0, at))) return true;
  return false;
}

/** Sorts a tmpfs of unknown use first. */
const MAX = Number.MAX_SAFE_INTEGER;

/**
 * Formats the files for a snapshot: `BYTES PID PATH` (docs/internals/snapshot.md), a line for each reason why files may
 * be missing, and the number of files at the end.
 *
 * @param nameOf changes names; they may contain anything
 */
export function filesInMemoryLines(host: HostSource, nameOf: (name: string) => string, mappings?: MappedFiles): string {
  const missing: string[] = [];
  const files = filesInMemory(host, (why) => missing.push(`missing ${why}\n`), mappings);
  const shown = files.slice(0, MAX_CAPTURED);
  const lines = shown.map(({ kind, bytes, pid, name, mapped, inside, limit, mount }) => {
    const flag = mapped === undefined ? '' : mapped ? 'm' : 'u';
    const owner = `${pid ?? '-'}${inside === undefined ? '' : `@${inside}`}${flag}`;
    const before = kind === 'file' ? '' : `${kind} `;
    const text = nameOf(kind === 'tmpfs' && mount !== undefined ? mount : name).replaceAll('\n', '\\012');
    return `${before}${bytes} ${owner} ${kind === 'tmpfs' ? `${limit ?? '-'} ` : ''}${text}\n`;
  });
  return [...lines, ...missing, `end ${shown.length}\n`].join('');
}

/** Reads such lines; undefined: the capture has none. */
function recordedFiles(text: string | undefined, onMissing: OnMissing): SharedFile[] {
  if (text === undefined) {
    onMissing('the capture does not list files in memory');
    return [];
  }
  const files: SharedFile[] = [];
  const reasons: string[] = [];
  let isWhole = false;
  for (const line of text.split('\n', 2 * MAX_CAPTURED)) {
    const file = recordedFile(line);
    if (file) files.push(file);
    if (line.startsWith('missing ') && reasons.length < MAX_REASONS)
      reasons.push(/^missing ([\w ,.:()-]{1,200})$/.exec(line)?.[1] ?? 'the reason is malformed');
    if (line !== '') isWhole = line === `end ${files.length}`;
  }
  if (!isWhole) reasons.push('the list of files in memory is malformed or truncated');
  for (const why of reasons) onMissing(why);
  const mounts = files.filter(({ kind }) => kind === 'tmpfs');
  return files.map((file) => (file.kind === 'file' ? { ...file, ...mountOf(file, mounts) } : file));
}

function recordedFile(line: string): SharedFile | undefined {
  const form = /^(?:(mapping|tmpfs) )?(\d{1,15}) (-|\d{1,10})(?:@(\d{1,10}))?([mu]?) (.*)$/;
  const [, kind = 'file', bytes, pid, inside, flag, rest = ''] = form.exec(line) ?? [];
  if (bytes === undefined) return undefined;
  const text = rest.replaceAll('\\012', '\n');
  const common = {
    bytes: Number(bytes),
    ...(pid === '-' ? {} : { pid: Number(pid) }),
    ...(flag ? { mapped: flag === 'm' } : {}),
    ...(inside === undefined ? {} : { inside: Number(inside) }),
  };
  if (kind !== 'tmpfs') return { kind: kind === 'mapping' ? kind : 'file', name: text, ...common };
  const [, limit, mount] = /^(-|\d{1,19}) (.+)$/s.exec(text) ?? [];
  if (mount === undefined) return undefined;
  return {
    kind: 'tmpfs',
    name: `tmpfs ${mount}`,
    mount,
    ...common,
    ...(limit === '-' ? {} : { limit: Number(limit) }),
  };
}

/** The mount that has a file, by its name. */
function mountOf({ name, inside }: SharedFile, mounts: readonly SharedFile[]): Pick<SharedFile, 'mount'> {
  const all = mounts.flatMap(({ mount = '', inside: other }) =>
    other === inside && name.startsWith(mount === '/' ? mount : `${mount}/`) ? [mount] : [],
  );
  const [mount] = all.toSorted((a, b) => b.length - a.length);
  return mount === undefined ? {} : { mount };
}

/** Files may disappear or require permission: the owner of an unreadable file is unknown. */
export function attempted<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isHostError(error)) return undefined;
    throw error;
  }
}

/** Keyed by the id in fdinfo (`mnt_id`). */
export type Mounts = ReadonlyMap<string, Mount>;

interface Mount {
  readonly point: string;
  /** The folder of the file system that is mounted. */
  readonly root: string;
  /** Such as `ext4`; untrusted. */
  readonly type: string;
  /** `major:minor`. */
  readonly device: string;
  readonly isTmpfs: boolean;
}

/** Mounts in a process's namespace; `\040` is a space (Documentation/filesystems/proc.rst, 3.5). */
export function mountsOf(host: HostSource, pid: string): Mounts {
  const mounts = new Map<string, Mount>();
  const text = attempted(() => host.readText(`/proc/${pid}/mountinfo`)) ?? '';
  for (const line of text.split('\n')) {
    const [, id, device = '', root = '', point, type = ''] =
      /^(\d+) \d+ (\d+:\d+) (\S+) (\S+) .*? - (\S+) /.exec(line) ?? [];
    if (id === undefined || point === undefined) continue;
    const plain = point.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8)));
    // The first root is a tmpfs or ramfs (init/do_mounts.c); files of ramfs report no blocks.
    const isTmpfs = type === 'tmpfs' || type === 'rootfs';
    mounts.set(id, { point: plain, root, type, device, isTmpfs });
  }
  return mounts;
}

/**
 * System V segments with their creators and last attaches. lpid is of the last attach or detach. Columns: key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime
 * ctime rss swap (sysvipc_shm_proc_show, ipc/shm.c).
 */
function segments(host: HostSource, onMissing: OnMissing = () => undefined): SharedFile[] {
  const text = attempted(() => host.readText('/proc/sysvipc/shm')) ?? '';
  const meminfo = attempted(() => host.readText('/proc/meminfo')) ?? '';
  const [memory, swapBytes] = ['MemTotal', 'SwapTotal'].map((name) => kilobytesOf(`\n${meminfo}`, name));
  const most = mostMemory(memory == null ? {} : { meminfo: new Map([['MemTotal', memory]]) }) + (swapBytes ?? 0);
  const files = new Map<number, SharedFile>();
  let malformed = 0;
  for (const line of text.split('\n').slice(1, MAX_ENTRIES).filter(Boolean)) {
    const columns = line.trim().split(/ +/);
    const [, id, , , pid, last, attaches, , , , , attachedAt, detachedAt, , rss, swap] = columns.map(Number);
    const bytes = rss! + swap!;
    // An id is that of one segment.
    if (columns.length !== 16 || !Number.isSafeInteger(bytes) || files.has(id!)) malformed++;
    else {
      const segment = { kind: 'segment', name: `SysV segment ${id}`, pid: pid!, bytes, mapped: attaches! > 0 } as const;
      const at = new Date(1000 * attachedAt!);
      const isKnown = attachedAt !== 0 && !Number.isNaN(at.getTime());
      const attached = { at, pid: attachedAt! > detachedAt! ? last! : null };
      files.set(id!, isKnown ? { ...segment, attached } : segment);
    }
  }
  if (malformed > 0) onMissing(`malformed /proc/sysvipc/shm (${count(malformed, 'line')})`);
  const large = [...files.values()].filter(({ bytes }) => bytes >= MIN_BYTES);
  return possibleOf(large, ({ name, bytes }) => whyImpossible(name, bytes, most), onMissing);
}
