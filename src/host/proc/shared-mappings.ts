import { ExhaustedError, HostError, isHostError } from '../../base/errors.js';
import type { HostSource } from '../host-source.js';
import { listedPids, optionalText, statusFields } from './process.js';
import { attempted, deviceNumber, type FoundFile, mountsOf } from './shared-files.js';

/** Smaller parts of RSS are ignored. Bytes. */
const MIN_RSS = 16 * 2 ** 20;
/** Files without a descriptor of a smaller mapping are not listed. Bytes. */
const MIN_MAPPED = 2 ** 20;
/** Maximum number of processes whose mappings are read, and of files that are only mapped. */
const MAX_PROCESSES = 64;
const MAX_FILES = 1000;
/** Time limit in milliseconds. */
const MAX_MS = 1000;
/** Mounts that the kernel uses by itself are in no mountinfo: those of memfds, System V segments and `/dev/zero`. */
const INTERNAL = /^\/(?:memfd:|SYSV[0-9a-f]{8}|dev\/zero \(deleted\)$)/;

interface MappedObject {
  readonly name: string;
  /** The process of the largest RSS that maps it. */
  readonly pid: number;
  readonly pids: Set<number>;
  /** Undefined: unknown. */
  readonly bytes: number | undefined;
  /** Bytes of the mapping: more of the file is not in the RSS of this process. */
  readonly size: number;
}

interface SharingProcess {
  readonly pid: number;
  /** Upper bound of shared memory in its RSS. */
  readonly sharedBytes: number;
}

function sharingProcess(host: HostSource, name: string): SharingProcess {
  const status = statusFields(optionalText(host, `/proc/${name}/status`));
  const [all, anon, file, shared] = ['VmRSS', 'RssAnon', 'RssFile', 'RssShmem'].map(
    (line) => Number(new RegExp(`^${line}:\\s+(\\d{1,12}) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024,
  ) as [number, number, number, number];
  // The parts are printed since 4.5, and add up (task_mem, fs/proc/task_mmu.c): the larger figure is no underestimate.
  return { pid: Number(name), sharedBytes: Math.max(shared, all - anon - file) };
}

/** Files in memory that processes map, and processes whose mappings are unknown. */
export class SharedMappings {
  /** By `device inode`. */
  readonly #objects = new Map<string, MappedObject>();
  /** Shared memory in RSS by process, of those whose mappings are unknown. */
  readonly #unread = new Map<number, number>();

  /** The same of those that map a file of unknown size. */
  readonly #unsized = new Map<number, number>();

  /** Processes that map a file several times. */
  readonly #repeated = new Set<number>();

  /** Upper bound of mapped memory whose size is unknown: it counts a page once for each process. */
  get unknownBytes(): number {
    return [...this.#unread.values(), ...this.#unsized.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Whether a process maps a file; undefined: one that may map most of it could not be read. */
  isMapped(key: string, bytes: number): boolean | undefined {
    if (this.#objects.has(key)) return true;
    return Math.max(0, ...this.#unread.values()) >= bytes / 2 ? undefined : false;
  }

  mayMap(bytes: number): boolean {
    return this.unknownBytes >= bytes / 2;
  }

  /** Bytes of the files that any of these processes maps; undefined: unknown for one of them. */
  bytesOf(pids: ReadonlySet<number>): number | undefined {
    let sum = 0;
    for (const pid of pids) if (this.#unread.has(pid) || this.#unsized.has(pid)) return undefined;
    for (const { bytes, size, pids: own } of this.#objects.values())
      if ([...own].some((pid) => pids.has(pid))) sum += bytes ?? size;
    return sum;
  }

  /** Shared memory in RSS of a process, without pages that it maps several times, as garbage collectors do. */
  distinctOf(pid: number, bytes: number): number {
    const once = this.#repeated.has(pid) ? this.bytesOf(new Set([pid])) : undefined;
    return Math.min(bytes, once ?? bytes);
  }

  /** Files in memory that are mapped, and that no process has open. @param opened keys of files with descriptors */
  unopened(opened: ReadonlySet<string>): FoundFile[] {
    return [...this.#objects].flatMap(([key, { name, pid, bytes }]): FoundFile[] => {
      // A segment of our IPC namespace is listed by itself.
      if (bytes === undefined || opened.has(key) || name.startsWith('/SYSV')) return [];
      const isAnonymous = name.startsWith('/dev/zero');
      const plain = isAnonymous ? 'shared anonymous mapping' : name.replace(/^\/(memfd:.*) \(deleted\)$/s, '$1');
      const device = key.slice(0, key.indexOf(' '));
      return [{ kind: isAnonymous ? 'mapping' : 'file', name: plain, pid, bytes, mapped: true, device }];
    });
  }

  /**
   * Reads /proc/PID/maps of the processes with most shared memory in RSS, those of different programs first.
   *
   * @param known processes, if their status was read already
   */
  static async read(host: HostSource, known?: readonly SharingProcess[]): Promise<SharedMappings> {
    const mappings = new SharedMappings();
    await mappings.#read(
      host,
      known ?? (attempted(() => listedPids(host)) ?? []).map((name) => sharingProcess(host, name)),
    );
    return mappings;
  }

  async #read(host: HostSource, all: readonly SharingProcess[]): Promise<void> {
    const until = host.now() + MAX_MS;
    const processes = all.flatMap(({ pid, sharedBytes: bytes }) => (bytes >= MIN_RSS ? [{ pid, bytes }] : []));
    for (const { pid, bytes } of processes) this.#unread.set(pid, bytes);
    for (const pid of inTurns(host, processes).slice(0, MAX_PROCESSES)) {
      if (host.now() > until) break;
      try {
        const isSized = await this.#readProcess(host, pid, until);
        if (!isSized) this.#unsized.set(pid, this.#unread.get(pid) ?? 0);
        this.#unread.delete(pid);
      } catch (error) {
        // Without a descriptor or process left, the mappings of the others are unknown too.
        if (error instanceof ExhaustedError) break;
        if (!(error instanceof HostError)) throw error;
        if (isHostError(error, 'gone')) this.#unread.delete(pid);
      }
    }
  }

  /** Returns whether the sizes of all large files are known. */
  async #readProcess(host: HostSource, pid: number, until: number): Promise<boolean> {
    let isSized = true;
    const text = await host.readSlowText(`/proc/${pid}/maps`);
    const types = new Map([...mountsOf(host, `${pid}`).values()].map(({ device, isTmpfs }) => [device, isTmpfs]));
    const lines = /^([0-9a-f]{1,16}-[0-9a-f]{1,16}) \S{4} [0-9a-f]+ ([0-9a-f]+):([0-9a-f]+) (\d+) +(\/.*)$/gm;
    for (const [, range = '', major = '', minor = '', inode = '', name = ''] of text.matchAll(lines)) {
      const device = `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}`;
      if (!(types.get(device) ?? INTERNAL.test(name))) continue;
      const key = `${device} ${inode}`;
      const known = this.#objects.get(key);
      const [from = 0, to = 0] = range.split('-').map((digits) => Number.parseInt(digits, 16));
      const isSmall = to - from < MIN_MAPPED;
      if (known?.pids.has(pid)) this.#repeated.add(pid);
      known?.pids.add(pid);
      if (known) {
        if (known.bytes === undefined && !isSmall) isSized = false;
        continue;
      }
      const isOver = this.#objects.size >= MAX_FILES || host.now() > until;
      const bytes = isSmall || isOver ? undefined : await bytesOf(host, `/proc/${pid}/map_files/${range}`, key);
      if (bytes === null) continue;
      if (bytes === undefined && !isSmall) isSized = false;
      this.#objects.set(key, { name, pid, pids: new Set([pid]), bytes, size: to - from });
    }
    return isSized;
  }
}

/** Allocated bytes of a mapped file; undefined: unknown; null: it is in another file system. */
async function bytesOf(host: HostSource, path: string, key: string): Promise<number | null | undefined> {
  try {
    const facts = await host.mappedFile?.(path);
    if (!facts) return undefined;
    if (!facts.isTmpfs) return null;
    return `${deviceNumber(facts.device)} ${facts.inode}` === key ? facts.bytes : undefined;
  } catch (error) {
    if (!isHostError(error) || error.code === 'blocked') throw error;
    return undefined;
  }
}

/** Pids, first the largest process of each program, then the second of each: a pool of workers hides no other program. */
function inTurns(host: HostSource, processes: readonly { readonly pid: number; readonly bytes: number }[]): number[] {
  const turns = new Map<string, number>();
  return processes
    .toSorted((a, b) => b.bytes - a.bytes)
    .map(({ pid }) => {
      const comm = optionalText(host, `/proc/${pid}/comm`);
      const turn = turns.get(comm) ?? 0;
      turns.set(comm, turn + 1);
      return { pid, turn };
    })
    .toSorted((a, b) => a.turn - b.turn)
    .map(({ pid }) => pid);
}
