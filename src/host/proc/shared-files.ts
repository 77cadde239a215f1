import { join } from 'node:path';
import { isHostError } from '../../base/errors.js';
import type { HostSource } from '../host-source.js';
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

/** A file in tmpfs, a memfd or a System V segment. */
export interface SharedFile {
  readonly kind: 'file' | 'segment';
  /** Hostile. */
  readonly name: string;
  /** For a file, a process that has it open; for a segment, its creator. */
  readonly pid?: number;
  /** Of a segment; undefined: it was never attached. */
  readonly attached?: LastAttach;
  readonly bytes: number;
}

interface LastAttach {
  readonly at: Date;
  /** Null: unknown, since a process has detached the segment since, or in the same second. */
  readonly pid: number | null;
}

/** Called with a reason why files may be missing. */
type OnMissing = (why: string) => void;

/**
 * Files in memory (memfd, tmpfs) and System V segments, largest first, mapped or not. A memfd or deleted file
 * exists only as long as a process has it open; `pid` is one of these. Bytes are allocated pages, including
 * swapped ones.
 *
 * @param onMissing called with each reason why files may be missing
 */
export function sharedFiles(host: HostSource, onMissing: OnMissing): SharedFile[] {
  return [...filesInMemory(host, onMissing), ...segments(host)].toSorted((a, b) => b.bytes - a.bytes);
}

function filesInMemory(host: HostSource, onMissing: OnMissing): SharedFile[] {
  const { file } = host;
  if (!file) return recordedFiles(host.filesInMemory, onMissing);
  let [until, isLate] = [host.now() + MAX_MS, false];
  const isOver = () => (isLate = isLate || host.now() > until);
  const found = new Map<string, SharedFile>();
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
  const take = (path: string, name: string, pid?: number): void => {
    const facts = attempted(() => file(path));
    if (!facts?.isFile || facts.bytes < MIN_BYTES) return;
    const key = `${facts.device}:${facts.inode}`;
    const holder = found.get(key)?.pid ?? pid;
    const owner = { kind: 'file', name, bytes: facts.bytes } as const;
    found.set(key, holder === undefined ? owner : { ...owner, pid: holder });
  };
  const mounts = mountsOf(host, 'self');
  const pids = attempted(() => listedPids(host)) ?? [];
  // A later mount covers an earlier one at the same place.
  const top = new Map([...mounts.values()].map((mount) => [mount.point, mount]));
  const points = [...top.values()].flatMap(({ point, isTmpfs }) => (isTmpfs ? [point] : []));
  for (const pid of pids) {
    if (isLate) break;
    const descriptors = `/proc/${pid}/fd`;
    let own: Mounts | undefined;
    for (const fd of readOf('processes', pid, () => host.list(descriptors)) ?? []) {
      if (isOver()) break;
      const path = `${descriptors}/${fd}`;
      const link = readOf('processes', pid, () => host.readLink(path)) ?? '';
      const isMemfd = link.startsWith('/memfd:');
      if (isMemfd) {
        // memfds with hugetlb pages are in another file system.
        if (attempted(() => host.isTmpfs?.(path)))
          take(path, link.replace(/^\/(.*?)(?: \(deleted\))?$/s, '$1'), Number(pid));
      } else if (link.endsWith(DELETED) || points.some((point) => link.startsWith(`${point}/`))) {
        // Not by stat: it would block on an unresponsive file system.
        const info = attempted(() => host.readText(`/proc/${pid}/fdinfo/${fd}`)) ?? '';
        own ??= mountsOf(host, pid);
        if (own.get(/^mnt_id:\s*(\d+)$/m.exec(info)?.[1] ?? '')?.isTmpfs) take(path, link, Number(pid));
      }
    }
  }
  const isMount = new Set([...mounts.values()].map(({ point }) => point));
  const wasLate = isLate;
  // Descriptors of many processes must not hide a file that no process has open.
  [until, isLate] = [host.now() + MAX_MS, false];
  let entries = 0;
  const walk = (folder: string, depth: number): void => {
    for (const name of readOf('folders', folder, () => host.list(folder)) ?? []) {
      if (isOver() || ++entries > MAX_ENTRIES) return;
      const path = join(folder, name);
      const facts = isMount.has(path) ? undefined : readOf('folders', folder, () => file(path));
      if (facts?.isFolder && depth < MAX_DEPTH) walk(path, depth + 1);
      else if (facts?.isFile) take(path, path);
    }
  };
  for (const point of points) walk(point, 0);
  if (wasLate || isLate || entries > MAX_ENTRIES)
    onMissing('descriptors and tmpfs mounts: only a part was read in 1 s');
  const [processes, folders] = [denied.processes.size, denied.folders.size];
  if (processes > 0)
    onMissing(`descriptors of ${processes} ${processes === 1 ? 'process' : 'processes'}: permission denied`);
  if (folders > 0) onMissing(`${folders} ${folders === 1 ? 'folder' : 'folders'} of tmpfs: permission denied`);
  if (mounts.size === 0) onMissing('tmpfs mounts: mountinfo is not readable');
  if (!pids.includes('1')) onMissing('not all processes are visible (hidepid, or a pid namespace)');
  return [...found.values()].toSorted((a, b) => b.bytes - a.bytes);
}

/**
 * Formats the files for a snapshot: `BYTES PID PATH`, PID `-` if unknown, a line for each reason why files may be
 * missing, and the number of files at the end (docs/internals/snapshot.md).
 *
 * @param nameOf changes names; they may contain anything
 */
export function filesInMemoryLines(host: HostSource, nameOf: (name: string) => string): string {
  const missing: string[] = [];
  const files = filesInMemory(host, (why) => missing.push(`missing ${why}\n`));
  const shown = files.slice(0, MAX_CAPTURED);
  const lines = shown.map(
    ({ bytes, pid, name }) => `${bytes} ${pid ?? '-'} ${nameOf(name).replaceAll('\n', '\\012')}\n`,
  );
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
    const [, bytes, pid, name = ''] = /^(\d{1,15}) (-|\d{1,10}) (.*)$/.exec(line) ?? [];
    const file = { kind: 'file', name: name.replaceAll('\\012', '\n'), bytes: Number(bytes) } as const;
    if (bytes !== undefined) files.push(pid === '-' ? file : { ...file, pid: Number(pid) });
    if (line.startsWith('missing ') && reasons.length < MAX_REASONS)
      reasons.push(/^missing ([\w ,.:()-]{1,200})$/.exec(line)?.[1] ?? 'the reason is malformed');
    if (line !== '') isWhole = line === `end ${files.length}`;
  }
  if (!isWhole) reasons.push('the list of files in memory is malformed or truncated');
  for (const why of reasons) onMissing(why);
  return files;
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
    const [, id, device = '', point, type = ''] = /^(\d+) \d+ (\d+:\d+) \S+ (\S+) .*? - (\S+) /.exec(line) ?? [];
    if (id === undefined || point === undefined) continue;
    const plain = point.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8)));
    // The first root is a tmpfs or ramfs (init/do_mounts.c); files of ramfs report no blocks.
    const isTmpfs = type === 'tmpfs' || type === 'rootfs';
    mounts.set(id, { point: plain, type, device, isTmpfs });
  }
  return mounts;
}

/**
 * System V segments with their creators and last attaches. lpid is of the last attach or detach. Columns: key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime
 * ctime rss swap (sysvipc_shm_proc_show, ipc/shm.c).
 */
function segments(host: HostSource): SharedFile[] {
  const text = attempted(() => host.readText('/proc/sysvipc/shm')) ?? '';
  return text
    .split('\n')
    .slice(1, MAX_ENTRIES)
    .flatMap((line): SharedFile[] => {
      const columns = line.trim().split(/ +/);
      const [, id, , , pid, last, , , , , , attachedAt, detachedAt, , rss, swap] = columns.map(Number);
      const bytes = rss! + swap!;
      if (columns.length !== 16 || !Number.isSafeInteger(bytes) || bytes < MIN_BYTES) return [];
      const segment = { kind: 'segment', name: `SysV segment ${id}`, pid: pid!, bytes } as const;
      const at = new Date(1000 * attachedAt!);
      if (attachedAt === 0 || Number.isNaN(at.getTime())) return [segment];
      return [{ ...segment, attached: { at, pid: attachedAt! > detachedAt! ? last! : null } }];
    });
}
