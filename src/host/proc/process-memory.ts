import { HostError, isHostError } from '../../base/errors/host.js';
import { rightsOf } from '../../records/capabilities.js';
import { parseCgroups } from '../../records/cgroup-place.js';
import type {
  ProcessMemoryRecord,
  ProcessRecords,
  SmapsSums,
  StatusSizes,
} from '../../records/processes.js';
import { USER_HZ } from '../../records/processes.js';
import type { HostSource } from '../host-source.js';
import { kilobytesOf } from './kilobytes.js';
import { listedPids } from './pids.js';
import { nsPidsOf, optionalText, statusFields } from './process.js';
import { withoutShared } from './shared-memory.js';
import { sumSmaps } from './smaps.js';
import { readUptime } from './uptime.js';

/** Undefined: it has no memory of its own, or may not be looked at. `blocked`: its mmap_lock is held. */
type SumsOf = (source: HostSource, folder: string) => Promise<SmapsSums | 'blocked' | undefined>;

/** So many processes are read at a time: their smaps by another process than ours. */
const BATCH = 16;

/** How processes are read. */
interface ReadOptions {
  /** Without oom_score and oom_score_adj: two files less of each. */
  readonly withoutOom?: boolean;
  /** What a process maps, added up. */
  readonly sumsOf?: SumsOf;
  /** Receives where the stack of a process began (`start_stack`). */
  readonly onStack?: (pid: number, address: number) => void;
}

/**
 * Reads all of them, one after the other: each is a moment of its own. Processes that share memory (CLONE_VM, vfork)
 * are one record, where page maps show it: that takes CAP_SYS_ADMIN.
 *
 * @throws {HostError} if /proc cannot be listed
 */
export async function readProcesses(
  source: HostSource,
  options: ReadOptions = {},
): Promise<ProcessRecords> {
  const uptime = readUptime(source);
  const begun = source.now();
  const clock = () => (uptime === null ? null : uptime + (source.now() - begun) / 1000);
  const processes: ProcessMemoryRecord[] = [];
  const stacks = new Map<number, number>();
  const onStack = (pid: number, address: number) => void stacks.set(pid, address);
  let [kernelThreads, zombies, gone, closed] = [0, 0, 0, 0];
  const names = listedPids(source);
  for (let at = 0; at < names.length; at += BATCH) {
    const batch = names.slice(at, at + BATCH);
    const found = batch.map((name) =>
      readListed(source, Number(name), clock, { ...options, onStack }),
    );
    for (const read of await Promise.all(found)) {
      if (read === 'kernel thread') kernelThreads++;
      else if (read === 'zombie') zombies++;
      else if (read === 'gone') gone++;
      else if (read === 'closed') closed++;
      else processes.push(read);
    }
  }
  if (processes.length + kernelThreads + zombies + gone + closed === 0)
    throw new HostError('unreadable', '/proc lists no process', { next: NOT_MOUNTED });
  const hidden = closed > 0 || !names.includes('1');
  const reader = rightsOf(optionalText(source, '/proc/self/status'));
  const rows = await withoutShared(source, processes, stacks);
  return { processes: rows, kernelThreads, zombies, gone, hidden, reader };
}

/** Mounted with hidepid=1, /proc lists processes and opens nothing of them. */
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

/** PF_KTHREAD (include/linux/sched.h), of field 9 of /proc/PID/stat. */
const PF_KTHREAD = 0x0020_0000;

/** What a process is that has no memory. */
export type WithoutMemory = 'kernel thread' | 'zombie' | 'gone';

/**
 * One process, its sums as they are read of it.
 *
 * @throws {HostError} what `sumsOf` throws, but for `gone`
 */
export function readProcess(
  source: HostSource,
  pid: number,
  sumsOf: SumsOf,
): Promise<ProcessMemoryRecord | WithoutMemory> {
  return readOne(source, pid, () => readUptime(source), { sumsOf });
}

async function readOne(
  source: HostSource,
  pid: number,
  clock: () => number | null,
  { sumsOf = smapsOf, withoutOom = false, onStack }: ReadOptions,
): Promise<ProcessMemoryRecord | WithoutMemory> {
  const folder = `/proc/${pid}`;
  try {
    const stat = source.readText(`${folder}/stat`);
    // The name may hold anything: fields are counted from its last parenthesis.
    const end = stat.lastIndexOf(')');
    const comm = stat.slice(stat.indexOf('(') + 1, end);
    const fields = stat.slice(end + 2).split(' ');
    const [state = '', flags = 0] = [fields[0], Number(fields[6])];
    const started = countIn(fields[19]);
    onStack?.(pid, Number(fields[25]));
    if ((flags & PF_KTHREAD) !== 0) return 'kernel thread';
    const status = statusOf(source.readText(`${folder}/status`));
    const { sizes, sums } =
      state === 'Z' && (status.threads ?? 1) > 1
        ? await ofOtherThread(source, folder, sumsOf)
        : { sizes: status.sizes, sums: await sumsOf(source, folder) };
    // A zombie has let go of its memory; so has, for a moment, one that ends while it is read.
    if (!sums && !sizes) return state === 'Z' ? 'zombie' : 'gone';
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
      sums: sums === 'blocked' ? null : (sums ?? null),
      ...(sums === 'blocked' ? { blocked: true } : {}),
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

/**
 * Null: not known, as where /proc/uptime is another clock than that of /proc/PID/stat (lxcfs has a container's).
 * It may be read a moment before the process begins.
 */
function ageOf(uptime: number | null, started: number | null): number | null {
  if (uptime === null || started === null) return null;
  const age = uptime - started / USER_HZ;
  return age < -1 ? null : Math.round(Math.max(0, age));
}

/** A main thread that has ended has let go of the memory, and the others go on with it. */
async function ofOtherThread(
  source: HostSource,
  folder: string,
  sumsOf: SumsOf,
): Promise<{ sizes: StatusSizes | null; sums: Awaited<ReturnType<SumsOf>> }> {
  try {
    for (const name of source.list(`${folder}/task`)) {
      const own = `${folder}/task/${name}`;
      const { sizes } = statusOf(optionalText(source, `${own}/status`));
      if (sizes) return { sizes, sums: await sumsOf(source, own) };
    }
  } catch (error) {
    if (!isHostError(error, 'gone')) throw error;
  }
  return { sizes: null, sums: undefined };
}

async function smapsOf(source: HostSource, folder: string): ReturnType<SumsOf> {
  for (const file of ['smaps_rollup', 'smaps']) {
    try {
      const sums = sumSmaps(await source.readSlowText(`${folder}/${file}`));
      if (sums) return sums;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      if (error.code === 'blocked') return 'blocked';
      if (error.code === 'denied') return undefined;
    }
  }
  return undefined;
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
            hugetlb: bytes('HugetlbPages'),
          },
  };
}

/** The first number of a line; null where there is none. */
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
