import { HostError, isHostError } from '../../base/errors.js';
import { grouped } from '../../base/util.js';
import { parseCgroups } from '../../records/cgroups.js';
import {
  type ProcessMemoryRecord,
  type ProcessRecords,
  rightsOf,
  type SmapsSums,
  type StatusSizes,
  USER_HZ,
} from '../../records/processes.js';
import { LARGE_BYTES, type PssChoice } from '../../records/pss.js';
import type { HostSource } from '../host-source.js';
import { readUptime } from './machine-sample.js';
import { kilobytesOf, readPageSize, sumSmaps } from './memory.js';
import { isKernelThread, listedPids, nsPidsOf, optionalText, statFields, statusFields } from './process.js';

/**
 * Undefined: no memory of its own, permission denied, or not requested. `blocked`: its mmap_lock is held. `unread`:
 * another error.
 */
type SumsOf = (
  source: HostSource,
  folder: string,
) => Promise<SmapsSums | 'blocked' | 'large' | { readonly unread: string } | undefined>;

/** Number of processes to read at a time: a child process reads their smaps. */
const BATCH = 16;

/** How processes are read. */
export interface ReadOptions {
  /** Skips oom_score and oom_score_adj: two files fewer per process. */
  readonly withoutOom?: boolean;
  /** Processes whose mappings are summed up (default `small`); the others have the figures of their status. */
  readonly pss?: PssChoice | 'none' | undefined;
  /** Pid and start of large processes: they stay large in later samples, since figures of two kinds are not comparable. */
  readonly large?: Set<string> | undefined;
  /** Receives the start of a process's stack (`start_stack`). */
  readonly onStack?: (pid: number, address: number) => void;
  /** Receives the parent of each zombie. */
  readonly onZombie?: (parent: number) => void;
}

/**
 * Reads all processes one after the other, each at its own time. Processes that share memory (CLONE_VM,
 * vfork) become one record if pagemap shows it, which requires CAP_SYS_ADMIN.
 *
 * @throws {HostError} if /proc cannot be listed
 */
export async function readProcesses(source: HostSource, options: ReadOptions = {}): Promise<ProcessRecords> {
  const uptime = readUptime(source);
  const start = source.now();
  const clock = () => (uptime === null ? null : uptime + (source.now() - start) / 1000);
  const processes: ProcessMemoryRecord[] = [];
  const stacks = new Map<number, number>();
  const onStack = (pid: number, address: number) => void stacks.set(pid, address);
  const parents = new Map<number, number>();
  const onZombie = (parent: number) => void parents.set(parent, (parents.get(parent) ?? 0) + 1);
  let [kernelThreads, zombies, exited, closed] = [0, 0, 0, 0];
  const names = listedPids(source);
  for (let at = 0; at < names.length; at += BATCH) {
    const batch = names.slice(at, at + BATCH);
    const reads = batch.map((name) => readListed(source, Number(name), clock, { ...options, onStack, onZombie }));
    for (const read of await Promise.all(reads)) {
      if (read === 'kernel thread') kernelThreads++;
      else if (read === 'zombie') zombies++;
      else if (read === 'gone') exited++;
      else if (read === 'closed') closed++;
      else processes.push(read);
    }
  }
  if (processes.length + kernelThreads + zombies + exited + closed === 0)
    throw new HostError('unreadable', '/proc lists no process', { next: NOT_MOUNTED });
  const hidden = closed > 0 || !names.includes('1');
  const reader = rightsOf(optionalText(source, '/proc/self/status'));
  const rows = await mergeShared(source, processes, stacks);
  const zombieParents = [...parents].map(([pid, count]) => ({ pid, zombies: count }));
  zombieParents.sort((a, b) => b.zombies - a.zombies);
  return { processes: rows, kernelThreads, zombies, zombieParents, gone: exited, hidden, reader };
}

/** With hidepid=1, /proc lists processes but denies access to their files. */
async function readListed(
  source: HostSource,
  pid: number,
  clock: () => number | null,
  options: ReadOptions,
): Promise<ProcessMemoryRecord | WithoutMemory | 'closed'> {
  try {
    return await readOne(source, pid, clock, options);
  } catch (error) {
    if (isHostError(error, 'denied')) return 'closed';
    throw error;
  }
}

const NOT_MOUNTED = 'Mount it: mount -t proc proc /proc.';

/** Kinds of processes without memory. */
export type WithoutMemory = 'kernel thread' | 'zombie' | 'gone';

/**
 * Reads one process, with sums from the given function.
 *
 * @throws {HostError} what `sumsOf` throws, except `gone`
 */
export function readProcess(
  source: HostSource,
  pid: number,
  sumsOf: SumsOf,
): Promise<ProcessMemoryRecord | WithoutMemory> {
  return readOne(source, pid, () => readUptime(source), { pss: 'all' }, sumsOf);
}

async function readOne(
  source: HostSource,
  pid: number,
  clock: () => number | null,
  { pss = 'small', withoutOom = false, large, onStack, onZombie }: ReadOptions,
  sumsIn: SumsOf = smapsOf,
): Promise<ProcessMemoryRecord | WithoutMemory> {
  const folder = `/proc/${pid}`;
  try {
    const stat = statOf(source, folder);
    // The name may contain anything: fields are counted from its last parenthesis.
    const end = stat.lastIndexOf(')');
    const comm = stat.slice(stat.indexOf('(') + 1, end);
    const fields = statFields(stat);
    const [state = ''] = fields;
    const started = countIn(fields[19]);
    const key = `${pid} ${started}`;
    const sumsOf = async (own: string, sizes: StatusSizes | null) => {
      if (pss === 'none') return undefined;
      if (pss === 'all' || !(isLarge(sizes) || large?.has(key))) return sumsIn(source, own);
      large?.add(key);
      return 'large';
    };
    onStack?.(pid, Number(fields[25]));
    if (isKernelThread(fields)) return 'kernel thread';
    const status = statusOf(source.readText(`${folder}/status`));
    const { sizes, sums: read } =
      state === 'Z' && (status.threads ?? 1) > 1
        ? await readOtherThread(source, folder, sumsOf)
        : { sizes: status.sizes, sums: await sumsOf(folder, status.sizes) };
    const unread = typeof read === 'object' && 'unread' in read ? read.unread : undefined;
    const sums = typeof read === 'object' && !('unread' in read) ? read : null;
    // A zombie has freed its memory; so has, briefly, a process that exits while it is read.
    if (!sums && read !== 'blocked' && !sizes) {
      if (state === 'Z') onZombie?.(Number(fields[1]));
      return state === 'Z' ? 'zombie' : 'gone';
    }
    const uptime = clock();
    return {
      pid,
      comm,
      uid: status.uid,
      nsPids: status.nsPids,
      cgroup: parseCgroups(optionalText(source, `${folder}/cgroup`)),
      threads: status.threads,
      ageSeconds: ageOf(uptime, started),
      oomScore: withoutOom ? null : numberIn(optionalText(source, `${folder}/oom_score`)),
      oomScoreAdj: withoutOom ? null : numberIn(optionalText(source, `${folder}/oom_score_adj`)),
      status: sizes,
      sums,
      ...(read === 'blocked' ? { blocked: true } : {}),
      ...(read === 'large' ? { isLarge: true } : {}),
      ...(unread === undefined ? {} : { unread }),
      started,
      readAt: uptime,
      minorFaults: countIn(fields[7]),
      majorFaults: countIn(fields[9]),
    };
  } catch (error) {
    if (isHostError(error, 'gone')) return 'gone';
    throw error;
  }
}

/** Text of /proc/PID/stat; of a copy of /proc that has only status, what that contains of it. */
function statOf(source: HostSource, folder: string): string {
  try {
    return source.readText(`${folder}/stat`);
  } catch (error) {
    const isCopy = 'kind' in source && source.kind !== 'capture';
    if (!isHostError(error, 'gone') || !isCopy) throw error;
    const status = source.readText(`${folder}/status`);
    const [name = '', state = '', parent = ''] = ['Name', 'State', 'PPid'].map(
      (field) => new RegExp(`^${field}:\t(.*)$`, 'm').exec(status)?.[1],
    );
    return `0 (${name}) ${state.charAt(0)} ${parent}`;
  }
}

/**
 * Null: unknown, as when /proc/uptime uses another clock than /proc/PID/stat (lxcfs reports a
 * container's). Uptime may be read just before the process starts.
 */
function ageOf(uptime: number | null, started: number | null): number | null {
  if (uptime === null || started === null) return null;
  const age = uptime - started / USER_HZ;
  return age < -1 ? null : Math.round(Math.max(0, age));
}

function isLarge(sizes: StatusSizes | null): boolean {
  return sizes !== null && (sizes.rss > LARGE_BYTES || (sizes.swap ?? 0) > LARGE_BYTES);
}

/** After the main thread exits, its status lacks the memory that the other threads still use. */
async function readOtherThread(
  source: HostSource,
  folder: string,
  sumsOf: (folder: string, sizes: StatusSizes | null) => ReturnType<SumsOf>,
): Promise<{ sizes: StatusSizes | null; sums: Awaited<ReturnType<SumsOf>> }> {
  try {
    for (const name of source.list(`${folder}/task`)) {
      const own = `${folder}/task/${name}`;
      const { sizes } = statusOf(optionalText(source, `${own}/status`));
      if (sizes) return { sizes, sums: await sumsOf(own, sizes) };
    }
  } catch (error) {
    if (!isHostError(error, 'gone')) throw error;
  }
  return { sizes: null, sums: undefined };
}

async function smapsOf(source: HostSource, folder: string): ReturnType<SumsOf> {
  let unread: string | undefined;
  for (const file of ['smaps_rollup', 'smaps']) {
    try {
      const sums = sumSmaps(await source.readSlowText(`${folder}/${file}`));
      if (sums) return sums;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      if (error.code === 'blocked' || error.code === 'large') return error.code;
      if (error.code === 'denied') return undefined;
      if (error.code !== 'gone') unread = error.message;
    }
  }
  return unread === undefined ? undefined : { unread };
}

function statusOf(text: string): {
  readonly uid: number | null;
  readonly nsPids: readonly number[];
  readonly threads: number | null;
  readonly sizes: StatusSizes | null;
} {
  const fields = `\n${statusFields(text)}`;
  const bytes = (name: string) => kilobytesOf(fields, name);
  const rss = bytes('VmRSS');
  return {
    uid: numberAfter(fields, '\nUid:'),
    nsPids: nsPidsOf(fields),
    threads: numberAfter(fields, '\nThreads:'),
    sizes:
      rss === null
        ? null
        : {
            rss,
            anonymous: bytes('RssAnon'),
            file: bytes('RssFile'),
            shmem: bytes('RssShmem'),
            swap: bytes('VmSwap'),
            pageTables: bytes('VmPTE'),
            locked: bytes('VmLck'),
            pinned: bytes('VmPin'),
            hugetlb: bytes('HugetlbPages'),
          },
  };
}

/** The first number of a line; null if missing. */
function numberAfter(text: string, key: string): number | null {
  const at = text.indexOf(key);
  const number = at < 0 ? Number.NaN : Number.parseInt(text.slice(at + key.length), 10);
  return Number.isSafeInteger(number) ? number : null;
}

function countIn(text = ''): number | null {
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

function numberIn(text: string): number | null {
  const trimmed = text.trim();
  return /^-?\d{1,10}$/.test(trimmed) ? Number(trimmed) : null;
}

/** Pages below the start of a stack to check: a running process has written to some of its own. */
const PAGES = 32;

/**
 * Bits of /proc/PID/pagemap entries (fs/proc/task_mmu.c): present, file-mapped or shared, mapped
 * exclusively (4.2), and the frame, which is 0 without CAP_SYS_ADMIN.
 */
const [PRESENT, OF_FILE, ALONE, FRAME] = [1n << 63n, 1n << 61n, 1n << 56n, (1n << 55n) - 1n];

/**
 * Merges processes that share an address space (CLONE_VM without CLONE_THREAD, vfork) into one record:
 * each would report all of its memory, since PSS divides by address spaces. Two processes certainly
 * share it if both map an anonymous page that is mapped once. Only processes whose stacks start at the
 * same address are compared: forks and these.
 *
 * @param stacks start address of each process's stack
 */
export async function mergeShared(
  source: HostSource,
  records: ProcessMemoryRecord[],
  stacks: ReadonlyMap<number, number>,
): Promise<ProcessMemoryRecord[]> {
  if (!source.readSlowBytes) return records;
  const candidates = records.filter(
    ({ pid, blocked, sums, isLarge: large }) => !blocked && (sums !== null || large) && (stacks.get(pid) ?? 0) > PAGES,
  );
  const families = [...grouped(candidates, ({ pid }) => stacks.get(pid))].filter(([, members]) => members.length > 1);
  if (families.length === 0) return records;
  const pageSize = readPageSize(source);
  const shared = new Map<number, number[]>();
  for (const [stack = 0, members] of families) {
    const from = Math.max(0, Math.floor(stack / pageSize) - PAGES + 1) * 8;
    const read = ({ pid }: ProcessMemoryRecord) => ownFrames(source, pid, from);
    const byFrame = new Map<bigint, ProcessMemoryRecord>();
    for (const [at, frames] of (await Promise.all(members.map(read))).entries()) {
      const member = members[at]!;
      const known = [...frames].find((frame) => byFrame.has(frame));
      const first = known === undefined ? undefined : byFrame.get(known);
      // After a fork, the page may have passed from one process to the other.
      if (first && known !== undefined && (await read(first)).has(known))
        shared.set(first.pid, [...(shared.get(first.pid) ?? []), member.pid]);
      else for (const frame of frames) byFrame.set(frame, member);
    }
  }
  const sharing = new Set([...shared.values()].flat());
  return records.flatMap((record) => {
    if (sharing.has(record.pid)) return [];
    const sharedWith = shared.get(record.pid);
    return [sharedWith ? { ...record, sharedWith } : record];
  });
}

/** Frames of anonymous pages that only this process maps. */
async function ownFrames(source: HostSource, pid: number, from: number): Promise<Set<bigint>> {
  const frames = new Set<bigint>();
  try {
    const bytes = await source.readSlowBytes?.(`/proc/${pid}/pagemap`, from, PAGES * 8);
    for (let at = 0; bytes && at + 8 <= bytes.length; at += 8) {
      const entry = bytes.readBigUInt64LE(at);
      const isOwn = (entry & (PRESENT | OF_FILE | ALONE)) === (PRESENT | ALONE);
      if (isOwn && (entry & FRAME) !== 0n) frames.add(entry & FRAME);
    }
  } catch (error) {
    // Unknown: the process keeps its own record.
    if (!(error instanceof HostError)) throw error;
  }
  return frames;
}
