import { isHostError } from '../../base/errors.js';
import type { Mapping } from '../../contracts/process.js';
import { DescriptorGroups, type DescriptorKind, type Descriptors } from '../../records/files.js';
import { kindOfMapping, MAPPING_SIZES, type MappingSize } from '../../records/mappings.js';
import type { ProcessMemoryRecord } from '../../records/processes.js';
import type { HostSource } from '../host-source.js';
import { BPF_MAP_LINK, bytesOfMap } from './bpf-maps.js';
import { differingTables } from './holders.js';
import { sumSmaps } from './memory.js';
import { optionalText } from './process.js';
import { readProcess, type WithoutMemory } from './process-memory.js';
import { attempted } from './shared-files.js';

/** A process of a host and its mappings, from a single read of /proc/PID/smaps. */
export interface MappedProcess {
  readonly process: ProcessMemoryRecord;
  readonly mappings: readonly Mapping[];
}

/** @throws {HostError} `denied`: permission denied; `blocked` */
export async function readMappings(source: HostSource, pid: number): Promise<MappedProcess | WithoutMemory> {
  let text = '';
  const process = await readProcess(source, pid, async (_, folder) => {
    text = await source.readSlowText(`${folder}/smaps`);
    return sumSmaps(text);
  });
  if (typeof process === 'string') return process;
  // The process exited between reads of its status and its mappings.
  if (process.sums === null) return 'gone';
  // Device numbers are the same in every mount namespace: another namespace knows most of them.
  const mounts = fileSystemsOf(
    optionalText(source, `/proc/${pid}/mountinfo`) || optionalText(source, '/proc/self/mountinfo'),
  );
  return { process, mappings: parseSmaps(text, mounts) };
}

/**
 * Addresses, permissions, offset, device, inode, name (show_map_vma in fs/proc/task_mmu.c): a name may
 * contain anything except a newline, such as a carriage return.
 */
const HEADER = /^([0-9a-f]{1,16})-([0-9a-f]{1,16}) ([rwxsp-]{4}) ([0-9a-f]{1,16}) ([0-9a-f]+):([0-9a-f]+) \d+ *(.*)$/s;

const FIELD = /^(\w{1,24}):\s+(\d{1,15}) kB$/;

const SIZE_NAMES = new Map<string, MappingSize>(
  Object.entries(MAPPING_SIZES).map(([size, name]) => [name, size as MappingSize]),
);

const UNKNOWN = Object.fromEntries(Object.keys(MAPPING_SIZES).map((name) => [name, null])) as Readonly<
  Record<MappingSize, null>
>;

/**
 * Parses the mappings in /proc/PID/smaps.
 *
 * @param mounts types of mounted file systems, by `major:minor`
 */
export function parseSmaps(text: string, mounts: ReadonlyMap<string, string>): Mapping[] {
  const mappings: Mapping[] = [];
  let [header, flags]: [RegExpExecArray | null, readonly string[]] = [null, []];
  let sizes: Record<MappingSize, number | null> = { ...UNKNOWN };
  const end = () => {
    if (header) mappings.push({ ...placed(header, flags, mounts), ...sizes });
    [sizes, flags] = [{ ...UNKNOWN }, []];
  };
  for (const line of text.split('\n')) {
    const begins = HEADER.exec(line);
    if (begins) {
      end();
      header = begins;
    } else if (line.startsWith('VmFlags:')) flags = line.slice(8).trim().split(' ');
    else {
      const [, name = '', kilobytes] = FIELD.exec(line) ?? [];
      const size = SIZE_NAMES.get(name);
      if (size !== undefined) sizes[size] = Number(kilobytes) * 1024;
    }
  }
  end();
  return mappings;
}

function placed(
  header: RegExpExecArray,
  flags: readonly string[],
  mounts: ReadonlyMap<string, string>,
): Omit<Mapping, MappingSize> {
  const [, start, end, permissions = '', offset, major = '', minor = '', name = ''] = header;
  const range = [BigInt(`0x${start}`), BigInt(`0x${end}`)] as const;
  const device = `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}`;
  return {
    start: range[0],
    end: range[1],
    permissions,
    offset: BigInt(`0x${offset}`),
    kind: kindOfMapping(name, {
      hugetlb: flags.includes('ht'),
      device: flags.includes('io') || flags.includes('pf'),
      fsType: mounts.get(device),
    }),
    path: name === '' ? null : name,
    sizeBytes: Number(range[1] - range[0]),
  };
}

/** File system types by `major:minor`, from /proc/PID/mountinfo (Documentation/filesystems/proc.rst, 3.5). */
export function fileSystemsOf(text: string): Map<string, string> {
  const types = new Map<string, string>();
  for (const line of text.split('\n')) {
    const device = /^\d+ \d+ (\d+:\d+) /.exec(line)?.[1];
    const type = / - (\S+) /.exec(line)?.[1];
    if (device !== undefined && type !== undefined) types.set(device, type);
  }
  return types;
}

/** Which line of fdinfo counts an item (fs/notify/fdinfo.c, ep_show_fdinfo of fs/eventpoll.c). */
export const WATCH_LINES = {
  epoll: /^tfd:/gm,
  inotify: /^inotify wd:/gm,
  fanotify: /^fanotify (?:ino|mnt_id|sdev|mnt_ns):/gm,
} as const;
const ITEMS: Partial<Record<DescriptorKind, RegExp>> = WATCH_LINES;

/**
 * Reads the descriptors of a process: its links, and fdinfo of kinds that report memory or items. No
 * file is opened or asked for its size, except memfds, so that an unresponsive file system cannot block. A thread
 * may have a table of its own (unshare(CLONE_FILES)): what differs there counts too.
 *
 * @throws {HostError} `gone`, `denied`
 */
export function readDescriptors(source: HostSource, pid: number): Descriptors {
  const groups = new DescriptorGroups();
  let unreadable = 0;
  let passed: number | null = null;
  const links = new Set<string>();
  const readTable = (folder: string, fds: readonly string[]) => {
    for (const fd of fds)
      try {
        const link = source.readLink(`${folder}/fd/${fd}`);
        if (links.has(`${fd} ${link}`)) continue;
        links.add(`${fd} ${link}`);
        const { kind, group } = groups.add(link);
        readDetails(source, { folder, fd, kind, link }, group);
        const held = kind === 'socket' ? passedDescriptors(source, folder, fd) : null;
        if (held !== null) passed = (passed ?? 0) + held;
      } catch (error) {
        if (!isHostError(error)) throw error;
        if (error.code !== 'gone') unreadable++;
      }
  };
  readTable(`/proc/${pid}`, source.list(`/proc/${pid}/fd`));
  for (const table of differingTables(source, pid))
    readTable(table.replace(/\/fd$/, ''), attempted(() => source.list(table)) ?? []);
  const limit = /^Max open files +(\d{1,15}) /m.exec(optionalText(source, `/proc/${pid}/limits`))?.[1];
  return {
    pid,
    comm: optionalText(source, `/proc/${pid}/comm`).trimEnd() || null,
    count: groups.count + unreadable,
    limit: limit === undefined ? null : Number(limit),
    groups: groups.list(),
    passed,
    unreadable,
  };
}

/** Descriptors in messages that a unix socket has not received (unix_show_fdinfo, 5.6); null: another socket, or unknown. */
export function passedDescriptors(source: HostSource, folder: string, fd: string): number | null {
  const text = optionalText(source, `${folder}/fdinfo/${fd}`);
  const [, count] = /^scm_fds:\s*(\d{1,9})$/m.exec(text) ?? [];
  return count === undefined ? null : Number(count);
}

interface Opened {
  /** Of the process, or of one of its threads. */
  readonly folder: string;
  readonly fd: string;
  readonly kind: DescriptorKind;
  readonly link: string;
}

function readDetails(
  source: HostSource,
  { folder, fd, kind, link }: Opened,
  group: ReturnType<DescriptorGroups['add']>['group'],
): void {
  const path = `${folder}/fd/${fd}`;
  const info = () => source.readText(`${folder}/fdinfo/${fd}`);
  const figure = (text: string, name: string) =>
    Number(new RegExp(`^${name}:\\s*(\\d{1,15})$`, 'm').exec(text)?.[1] ?? Number.NaN);
  const items = ITEMS[kind];
  if (items) group.items += info().match(items)?.length ?? 0;
  if (kind === 'memfd' && source.file) {
    const { device, inode, bytes } = source.file(path);
    group.bytes.set(`${device}:${inode}`, bytes);
  } else if (kind === 'dma-buf' || link === BPF_MAP_LINK) {
    const text = info();
    const bytes = kind === 'bpf' ? bytesOfMap(text) : figure(text, 'size');
    const id = kind === 'bpf' ? figure(text, 'map_id') : figure(text, 'ino');
    if (!Number.isNaN(bytes)) group.bytes.set(Number.isNaN(id) ? fd : `${id}`, bytes);
  }
}
