import type { ProgramPipes } from '../account/memory/answer.js';
import { countByProgram, largestProgram } from '../account/processes/groups.js';
import { HostError, hostOrNull, isHostError } from '../base/errors.js';
import { count, inflect } from '../base/size.js';
import { grouped } from '../base/util.js';
import { readVmallocPages } from '../host/proc/details.js';
import { type HugePagePool, readHugePagePools } from '../host/proc/named-memory.js';
import { listed, listedPids, optionalText, statusFields } from '../host/proc/process.js';
import { passedDescriptors, readDescriptors } from '../host/proc/process-files.js';
import { attempted, DELETED, mountsOf, sharedFiles } from '../host/proc/shared-files.js';
import { type SharedOwner, sharedOwners } from '../host/proc/shared-owners.js';
import { placeOf } from '../records/cgroups.js';
import { lackingLine, lackingVmalloc } from '../records/meminfo-lines.js';
import { pinnedOrLocked } from '../records/processes.js';
import type { HostCheckName } from '../records/triage-codes.js';
import { type Finding, found, severityOf } from './finding.js';
import type { Amount } from './findings/declared.js';
import { blocked } from './host-blocked.js';
import { MAX_DESCRIPTORS, NOT_ALL_LISTED } from './host-limits.js';
import { programFigures } from './host-memory.js';
import { type HostReader, isAbsent, malformed, type ProcessStatus, type ReadProcesses } from './host-reader.js';
import { isLargePart, THRESHOLDS } from './thresholds.js';

/** Shares of a smaller amount are not significant. Bytes. */
const MIN_BYTES = 64 * 2 ** 20;
/** Minimum descriptor table for which the limits of a process are read; tables grow in steps. */
const MIN_TABLE = 256;
const MAX_PROCESSES = 50_000;
const MAX_FINDINGS = 10;
/** With less free swap than this share, less than twice as much is little. */
const SWAP_USED_UP = 0.1;
/** Callers of vmalloc that allocate BPF maps (kernel/bpf): array_map_alloc, htab_map_alloc, … */
const BPF_MAP = /^(?:bpf_map_area_alloc|__bpf_map_area_alloc|\w+_map_alloc)$/;
/** Callers that allocate kernel stacks (dup_task_struct of kernel/fork.c, inlined). */
const STACKS = /^(?:kernel_clone|copy_process|dup_task_struct|alloc_thread_stack_node)$/;
/** A smaller process is not named as the largest. */
const LARGE_SHARE = 0.05;
const HIDES = 'zombies, blocked tasks, page tables, kernel stacks and descriptor limits of some processes';
/** THREAD_SIZE is 16 KiB or more on x86_64 and arm64, where it may be a single page. */
const MIN_STACK = 8192;
const NO_OWNER = 'a large part of Shmem (/proc/meminfo) has no visible owner';
const OWNERS_HIDE = 'zombies and blocked tasks, large page tables and kernel stacks, and their owners';

/** Zombies, blocked tasks, kernel stacks, page tables, descriptors. @throws {HostError} */
export function* processes(host: HostReader): Generator<Finding> {
  const all = processesOf(host);
  const comm = commIn(host);
  yield* zombies(all, comm);
  yield* blocked(host, all, comm);
  const largest = (size: 'threads' | 'tableBytes', most?: number) =>
    largestProgram(
      all.map((status) => ({ pid: status.pid, comm: comm(status.pid), amount: status[size] })),
      most,
    );
  for (const why of contradictions(host, all)) host.miss('processes', OWNERS_HIDE, new HostError('unreadable', why));
  for (const amount of largePart(host, 'KernelStack', 'kernel-stacks')) {
    const figures = { ...amount, ...programFigures(largest('threads'), 'threads') };
    yield found('kernel-stacks', 'warning', figures, 'procs --sort threads');
  }
  for (const amount of largePart(host, 'PageTables', 'page-tables')) {
    const figures = { ...amount, ...programFigures(largest('tableBytes', amount.bytes), 'mostBytes') };
    yield found('page-tables', 'warning', figures, 'procs --sort page-tables');
  }
  yield* pinnedPages(host, all, comm);
  yield* descriptors(host, all, comm);
}

/**
 * Fields of processes that contradict counters of the machine: one of them is damaged, and a large use, or its
 * owner, may be missing. Both are read one after the other: only large differences count. @throws {HostError}
 */
function* contradictions(host: HostReader, all: readonly ProcessStatus[]): Generator<string> {
  const sum = (of: (status: ProcessStatus) => number) => all.reduce((total, status) => total + of(status), 0);
  const threads = sum((status) => status.threads);
  const [stacks, tables] = [host.meminfo('KernelStack'), host.meminfo('PageTables')];
  const [, counted] = /^[\d. ]+ \d+\/(\d{1,10}) /.exec(optionalText(host.source, '/proc/loadavg')) ?? [];
  // Of an incomplete list, HIDES says all of that.
  const isWhole = readProcesses(host).missing.length === 0;
  if (counted === undefined && isWhole) yield '/proc/loadavg, which counts threads, is not readable';
  if (isWhole && Math.abs(threads - Number(counted)) > 0.2 * threads + 200)
    yield `/proc lists ${threads} of ${counted} threads, as in a container`;
  if (stacks + MIN_BYTES < threads * MIN_STACK)
    yield `KernelStack of /proc/meminfo is too small for ${threads} threads`;
  // Before 5.11 the counter lacks the tables above the lowest level. Processes may share tables (vfork).
  const largest = all.reduce((most, { tableBytes }) => Math.max(most, tableBytes), 0);
  const sums = sum((status) => status.tableBytes);
  if (largest > 2.2 * tables + MIN_BYTES || sums + MIN_BYTES < tables / 2)
    yield 'VmPTE of /proc/PID/status contradicts PageTables of /proc/meminfo';
}

/** Minimum share of memory in transparent huge pages for them to be named. */
const HUGE_SHARE = 0.05;

const hasKcore = ({ source }: HostReader): boolean =>
  source.file !== undefined && (hostOrNull(() => source.size('/proc/kcore')) ?? 0) > 0;

/** Low MemAvailable, with the largest use by counters and the largest process. @throws {HostError} */
export function* lowAvailable(host: HostReader): Generator<Finding> {
  // Since 3.14.
  const [availableBytes, totalBytes] = [host.meminfo('MemAvailable'), host.meminfo('MemTotal')];
  if (availableBytes > totalBytes) throw new HostError('unreadable', 'MemAvailable exceeds MemTotal (/proc/meminfo)');
  const share = availableBytes / totalBytes;
  const least = THRESHOLDS['low-available'].note;
  if (share >= 2 * least) return;
  const swap = sumOfMeminfo(host, /^SwapTotal:/);
  const readFree = () => host.meminfo('SwapFree');
  // It decides only above the lower limit.
  const swapFreeBytes = swap === 0 ? null : share >= least ? readFree() : hostOrNull(readFree);
  const isSwapUsed = swapFreeBytes !== null && swapFreeBytes < SWAP_USED_UP * swap;
  if (share >= least && !isSwapUsed) return;
  let most: ReturnType<typeof largestUse>;
  try {
    most = largestUse(host, totalBytes);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    host.miss('available', 'the largest use of memory', error);
  }
  const [process] = processesOf(host, 'available').toSorted((a, b) => b.anonBytes - a.anonBytes);
  const large = process && process.anonBytes >= LARGE_SHARE * totalBytes ? process : undefined;
  const figures = {
    availableBytes,
    totalBytes,
    share,
    use: most?.use ?? null,
    useBytes: most?.bytes ?? null,
    pid: large?.pid ?? null,
    comm: large ? commIn(host)(large.pid) : null,
    anonBytes: large?.anonBytes ?? null,
    ...(isSwapUsed ? { swapFreeBytes } : {}),
  };
  const hugeBytes = sumOfMeminfo(host, /^AnonHugePages:/);
  // Their content is in kernel memory alone.
  const hasZeros = hugeBytes >= HUGE_SHARE * totalBytes && hasKcore(host);
  const severity = share < THRESHOLDS['low-available'].warning ? 'warning' : 'note';
  yield found(
    'low-available',
    severity,
    { ...figures, ...(hasZeros ? { hugeBytes } : {}) },
    NEXT_BY_USE[most?.use ?? ''] ?? 'memory',
  );
}

/** The largest use of memory by counters. @throws {HostError} a counter is missing */
function largestUse(host: HostReader, totalBytes: number) {
  const uses = Object.entries(USES).map(([use, names]) => ({
    use,
    bytes: names.reduce((sum, name) => sum + host.meminfo(name), 0),
  }));
  const shared = sumOfMeminfo(host, /^Shmem:/);
  uses.push({ use: 'huge-pages', bytes: hugePages(host) }, { use: 'shared', bytes: shared });
  for (const use of uses) if (use.use === 'page-cache') use.bytes -= shared;
  const { zfs, balloon } = host.counts;
  uses.push({ use: 'zfs-arc', bytes: zfs?.pages ?? 0 });
  uses.push({ use: 'balloon', bytes: balloon?.isInTotal ? balloon.least : 0 });
  const counted = uses.reduce((sum, { bytes }) => sum + bytes, 0);
  const rest = isCut(host) ? 'missing-counters' : 'uncounted';
  uses.push({ use: rest, bytes: totalBytes - host.meminfo('MemFree') - counted });
  const [most] = uses.toSorted((a, b) => b.bytes - a.bytes);
  return most;
}

/** Whether lines of /proc/meminfo may be cut off: huge pages, the balloon and others may be in them. */
function isCut({ counts: { printed } }: HostReader): boolean {
  return !printed.has('Hugetlb') && lackingLine('Hugetlb', printed).state !== 'uncounted';
}

/** Fields of /proc/meminfo that add up to used memory without overlap. Cached includes Shmem. */
const USES: Readonly<Record<string, readonly string[]>> = {
  anonymous: ['AnonPages'],
  'page-cache': ['Cached', 'Buffers'],
  slab: ['Slab'],
  'kernel-stacks': ['KernelStack'],
  'page-tables': ['PageTables'],
};
/** Bytes of huge pages: of all sizes since 4.19, of the default size before; 0 without CONFIG_HUGETLBFS. */
function hugePages(host: HostReader): number {
  const text = host.text('/proc/meminfo');
  if (/^Hugetlb:/m.test(text)) return host.meminfo('Hugetlb');
  if (!/^HugePages_Total:/m.test(text)) return 0;
  const pages = host.figure('/proc/meminfo', text, /^HugePages_Total: +(\d{1,13})$/m);
  return pages === 0 ? 0 : pages * host.meminfo('Hugepagesize');
}

const NEXT_BY_USE: Readonly<Record<string, string>> = { anonymous: 'procs --sort anon' };

/** Bytes in the lines of /proc/meminfo that match; a missing one adds nothing. @throws {HostError} */
function sumOfMeminfo(host: HostReader, lines: RegExp): number {
  const all = host.text('/proc/meminfo').split('\n');
  const kilobytes = all.filter((line) => lines.test(line)).map((line) => /(\d{1,13}) kB$/.exec(line));
  return kilobytes.reduce((sum, match) => sum + Number(match?.[1] ?? 0) * 1024, 0);
}

/**
 * Large memfds, tmpfs files and System V segments. If no process maps that much shared memory, no RSS
 * shows it: tools that list processes miss it. @throws {HostError}
 */
export function* sharedMemory(host: HostReader): Generator<Finding> {
  const [shared, total] = [host.meminfo('Shmem'), host.meminfo('MemTotal')];
  const hides = 'memfds and files in tmpfs that hold much memory';
  const missed = (why: string) => host.miss('shared-memory', hides, new HostError('unreadable', why));
  // Both kinds are on the lists of anonymous memory, unless they are locked.
  const onLists = sumOfMeminfo(host, /^(?:Active|Inactive)\(anon\):/);
  if (onLists > sumOfMeminfo(host, /^(?:AnonPages|Shmem|SwapCached):/) + THRESHOLDS['shared-memory'].note * total)
    missed('AnonPages and Shmem contradict Active(anon) and Inactive(anon) (/proc/meminfo)');
  if (shared < MIN_BYTES) return;
  const missing: string[] = [];
  const all = sharedFiles(host.source, (why) => missing.push(why), host.mappings);
  const sizes = processesOf(host, 'shared-memory').map(({ shmemBytes }) => shmemBytes);
  const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
  // Files include swapped pages. Processes may map a part that was not found, or the same memory many times: Mapped
  // counts it once.
  const swapped = host.meminfo('SwapTotal') - host.meminfo('SwapFree');
  const others = Math.min(host.mappings?.unknownBytes ?? sum(sizes), sumOfMeminfo(host, /^Mapped:/));
  const unowned = shared - sum(all.map(({ bytes }) => bytes)) - others + (missing.length > 0 ? swapped : 0);
  const isUnowned = unowned >= THRESHOLDS['shared-memory'].note * total;
  if (isUnowned) missed(missing.length > 0 ? `${NO_OWNER} (${missing.join('; ')})` : NO_OWNER);
  const largest = Math.max(0, ...sizes);
  const owners = sharedOwners(host.source, all, THRESHOLDS['shared-memory'].note * total).map((owner) => ({
    ...owner,
    // Where no mappings were read, a process may map a file that is not larger than its RSS.
    isMapped: owner.mapped ?? (largest >= owner.bytes / 2 ? null : false),
  }));
  host.mapped.push(...all.filter(({ mapped }) => mapped === true));
  host.unmapped.push(...owners.filter(({ isMapped }) => isMapped === false));
  // Mapped memory is in the RSS of its processes: it is a fact, and no fault.
  for (const owner of owners)
    if (owner.bytes >= THRESHOLDS['shared-memory'].note * total && owner.isMapped !== true)
      yield ofShared(host, owner, owner.isMapped, total);
  const passed = isUnowned ? mostPassed(host) : undefined;
  if (passed) {
    const amount = { bytes: unowned, share: unowned / total };
    const figures = { kind: 'passed', name: null, ...amount, ...passed, mapped: 0 };
    yield found('shared-memory', 'note', figures, `procs --pid ${passed.pid} --fds`);
  }
}

/** The process with most descriptors in messages that it has not received: no process has their files open. */
function mostPassed(host: HostReader) {
  let most: { readonly pid: number; readonly comm: string | null; readonly descriptors: number } | undefined;
  if (!host.source.file) return most;
  let left = MAX_DESCRIPTORS;
  for (const pid of listedPids(host.source)) {
    let descriptors = 0;
    for (const fd of attempted(() => host.source.list(`/proc/${pid}/fd`)) ?? []) {
      if (left-- <= 0) return most;
      if (!attempted(() => host.source.readLink(`/proc/${pid}/fd/${fd}`))?.startsWith('socket:')) continue;
      descriptors += passedDescriptors(host.source, `/proc/${pid}`, fd) ?? 0;
    }
    if (descriptors > (most?.descriptors ?? 0))
      most = { pid: Number(pid), comm: commIn(host)(Number(pid)), descriptors };
  }
  return most;
}

/** Share of the size limit of a tmpfs from which writes to it soon fail. */
const NEARLY_FULL = 0.9;

/** A finding of shared memory that no process maps; null: unknown whether one does. */
function ofShared(host: HostReader, owner: SharedOwner, isMapped: false | null, total: number): Finding {
  const { kind, name, bytes, files, processes, isHidden, mount, inside, cgroup, limit, attached } = owner;
  const share = bytes / total;
  const pid = owner.pid ?? inside ?? null;
  const commOf = (of: number | null) => (of === null ? null : commIn(host)(of));
  const isNearLimit = limit !== undefined && bytes >= NEARLY_FULL * limit;
  const figures = {
    kind,
    name,
    bytes,
    share,
    pid,
    comm: owner.comm,
    mapped: isMapped === null ? 1 : 0,
    attachTime: attached?.at.toISOString() ?? null,
    attachPid: attached?.pid ?? null,
    attachComm: commOf(attached?.pid ?? null),
    ...(files > 1 ? { files } : {}),
    ...(processes > 1 ? { processes } : {}),
    ...(mount === undefined ? {} : { mount }),
    ...(inside === undefined ? {} : { inside, ...placeFigures(cgroup) }),
    ...(isNearLimit ? { limitBytes: limit } : {}),
    ...loopFigures(host, owner),
  };
  const isFault = isNearLimit || kind === 'segment' || isHidden;
  const severity = isFault && isMapped === false && share >= THRESHOLDS['shared-memory'].warning ? 'warning' : 'note';
  // A snapshot lacks descriptors, and only memfds are listed with their sizes.
  const isListed = kind === 'file' && name.startsWith('memfd:') && processes === 1 && host.source.file !== undefined;
  return found('shared-memory', severity, figures, isListed ? `procs --pid ${pid} --fds` : 'memory');
}

/**
 * The loop device that has the largest file: no descriptor shows it. Of a tmpfs a deleted one, whose allocated size is
 * unknown. Its path is that of the process that attached it (loop_attr_backing_file_show, drivers/block/loop.c).
 */
function loopFigures({ source }: HostReader, { kind, name, mount, inside }: SharedOwner) {
  // A snapshot does not have them; another mount namespace may have other files of these names.
  if (!source.file || inside !== undefined || !['file', 'tmpfs'].includes(kind)) return {};
  const devices = (attempted(() => source.list('/sys/block')) ?? []).filter((device) => /^loop\d+$/.test(device));
  const files = devices.flatMap((device) => {
    const folder = `/sys/block/${device}`;
    const file = attempted(() => source.readText(`${folder}/loop/backing_file`))?.replace(/\n$/, '');
    const sectors = Number(attempted(() => source.readText(`${folder}/size`)) ?? Number.NaN);
    if (file === undefined) return [];
    const isOf =
      kind === 'file' ? file === name : file.endsWith(DELETED) && mount !== undefined && file.startsWith(`${mount}/`);
    return isOf && Number.isSafeInteger(sectors) ? [{ loop: device, loopFile: file, loopBytes: sectors * SECTOR }] : [];
  });
  return files.toSorted((a, b) => b.loopBytes - a.loopBytes)[0] ?? {};
}

/** Unit of /sys/block/DEVICE/size, whatever the device's. */
const SECTOR = 512;

/** The cgroup of a process, and the container and pod that its path names. */
function placeFigures(cgroup: string | null) {
  if (cgroup === null) return { cgroup };
  const { container, pod } = placeOf(cgroup);
  return { cgroup, ...(container === null ? {} : { container }), ...(pod === null ? {} : { pod }) };
}

/**
 * Programs whose pipes can hold at least half of the memory that is in no counter. The kernel reports neither the size of
 * a pipe nor its contents to others: the maximum is that of fcntl(F_SETPIPE_SZ) without CAP_SYS_RESOURCE.
 *
 * @param unattributedBytes lower bound
 * @throws {HostError}
 */
export function* pipes(host: HostReader, unattributedBytes: number): Generator<Finding> {
  const share = unattributedBytes / host.meminfo('MemTotal');
  if (share < THRESHOLDS.pipes.note || unattributedBytes < THRESHOLDS.pipes.leastBytes) return;
  const programs = pipesByProgram(host, unattributedBytes / 2).slice(0, MAX_FINDINGS);
  for (const program of programs) {
    const severity = share >= THRESHOLDS.pipes.warning ? 'warning' : 'note';
    yield found('pipes', severity, { ...program, unattributedBytes }, 'memory');
  }
  const passed = programs.length === 0 ? mostPassed(host) : undefined;
  const mostBytes = (passed?.descriptors ?? 0) * host.number(PIPE_MAX_SIZE);
  // They may be of other files: what they hold is unknown.
  if (passed && mostBytes >= unattributedBytes / 2)
    yield found('pipes', 'note', { ...passed, mostBytes, unattributedBytes }, `procs --pid ${passed.pid} --fds`);
}

const PIPE_MAX_SIZE = '/proc/sys/fs/pipe-max-size';

/** Programs whose pipes can hold so much, the largest first. @throws {HostError} */
export function pipesByProgram(
  host: HostReader,
  leastBytes: number,
): (Omit<ProgramPipes, 'processes'> & { readonly processes?: number })[] {
  const most = host.number(PIPE_MAX_SIZE);
  return countByProgram(pipesOf(host), commIn(host))
    .map(({ count, ...program }) => ({ ...program, pipes: count, mostBytes: count * most }))
    .filter(({ mostBytes }) => mostBytes >= leastBytes);
}

/** Pipes of each process, by their links. */
function pipesOf(host: HostReader): [pid: number, links: ReadonlySet<string>][] {
  let left = MAX_DESCRIPTORS;
  const pipes: [number, ReadonlySet<string>][] = [];
  // The largest tables first: they are read, whatever the limit.
  for (const { pid } of processesOf(host, 'pipes').toSorted((a, b) => b.fdTable - a.fdTable)) {
    const links = new Set<string>();
    try {
      for (const fd of host.source.list(`/proc/${pid}/fd`)) {
        if (left-- <= 0) throw new HostError('unreadable', `only ${MAX_DESCRIPTORS} descriptors were read`);
        const link = host.link(`/proc/${pid}/fd/${fd}`);
        if (link.startsWith('pipe:')) links.add(link);
      }
    } catch (error) {
      // A snapshot lists no process without sockets and pipes.
      const isEmpty = !host.source.file && isHostError(error, 'gone');
      if (!isEmpty && !isAbsent(error)) host.miss('pipes', 'pipes that hold much memory', error);
    }
    if (links.size > 0) pipes.push([pid, links]);
    if (left < 0) break;
  }
  return pipes;
}

/** Large vmalloc areas, with the largest caller (untrusted; null: unknown), and for BPF maps the process that has the most. @throws {HostError} */
export function* vmalloc(host: HostReader): Generator<Finding> {
  const { meminfo, printed } = host.counts;
  // Only since 5.3 it counts pages; kernel stacks are part of it (CONFIG_VMAP_STACK).
  const lacking = lackingVmalloc(meminfo, printed);
  const areas = listed(() => readVmallocPages(host.source));
  const callers = 'list' in areas ? [...areas.list] : [];
  const listedBytes = callers.reduce((sum, [, pages]) => sum + pages, 0) * host.pageSize;
  if (lacking && 'why' in areas) throw new HostError('gone', lacking.why);
  const used = lacking ? listedBytes : (meminfo.get('VmallocUsed') ?? 0);
  const stacks = callers.filter(([name]) => STACKS.test(name)).reduce((sum, [, pages]) => sum + pages, 0);
  const bytes = used - (lacking ? stacks * host.pageSize : host.meminfo('KernelStack'));
  const share = bytes / host.meminfo('MemTotal');
  const hides = 'the size of vmalloc memory, and its callers';
  if ('list' in areas && Math.abs(listedBytes - used) > 0.2 * used + MIN_BYTES) {
    const why = 'VmallocUsed of /proc/meminfo contradicts /proc/vmallocinfo';
    host.miss('vmalloc', hides, new HostError('unreadable', why));
  }
  if (!isLargePart('vmalloc', bytes, share)) return;
  if ('why' in areas) host.miss('vmalloc', hides, new HostError(areas.code, areas.why));
  const [most] = callers.filter(([name]) => !STACKS.test(name)).toSorted((a, b) => b[1] - a[1]);
  const caller = most?.[0] ?? null;
  const callerBytes = most ? most[1] * host.pageSize : null;
  const maps = caller !== null && BPF_MAP.test(caller) ? largestMaps(host) : undefined;
  // A map that is pinned needs no descriptor.
  const isHeld = (maps?.bytes ?? 0) >= (callerBytes ?? 0) / 2;
  const pinned = caller !== null && BPF_MAP.test(caller) && !isHeld ? pinnedInBpffs(host) : [];
  const figures = {
    bytes,
    share,
    caller,
    callerBytes,
    pid: maps?.pid ?? null,
    comm: maps?.comm ?? null,
    mapBytes: maps?.bytes ?? null,
    ...(pinned.length > 0 ? { pinned: pinned.slice(0, MAX_PATHS).join(', '), pinnedObjects: pinned.length } : {}),
  };
  const next = maps ? `procs --pid ${maps.pid} --fds` : 'memory -v';
  yield found('vmalloc', 'warning', figures, next);
}

/** Paths of a finding; of all of them, and their depth. */
const MAX_PATHS = 3;
const MAX_PINNED = 10_000;
const MAX_DEPTH = 8;

/** Paths of objects in mounts of bpffs: maps, programs and links, which only bpftool tells apart. */
function pinnedInBpffs({ source }: HostReader): string[] {
  const paths: string[] = [];
  const walk = (folder: string, depth: number): void => {
    for (const name of attempted(() => source.list(folder)) ?? []) {
      if (paths.length >= MAX_PINNED) return;
      const path = `${folder}/${name}`;
      // maps.debug and progs.debug of the kernel's preload are iterators.
      if (/\.debug$/.test(name)) continue;
      if (attempted(() => source.file?.(path))?.isFolder && depth < MAX_DEPTH) walk(path, depth + 1);
      else paths.push(path);
    }
  };
  const points = ['self', '1'].flatMap((pid) =>
    [...mountsOf(source, pid).values()].filter(({ type }) => type === 'bpf'),
  );
  const own = new Map(points.map(({ device, point }) => [device, point]));
  for (const point of own.values()) walk(point, 0);
  return paths;
}

/** The process whose descriptors hold the largest BPF maps; pinned maps have no descriptor. */
function largestMaps(host: HostReader) {
  let most: { pid: number; comm: string | null; bytes: number } | undefined;
  if (!host.source.file) return most;
  // Pages of ring buffers are not vmalloc memory.
  const named = host.memory?.named?.find(({ kind, name }) => kind === 'trace-rings' && name === 'BPF');
  const rings = new Map(named?.processes?.map(({ pid, bytes }) => [pid, bytes]));
  for (const { pid } of processesOf(host, 'vmalloc'))
    try {
      const { comm, groups } = readDescriptors(host.source, pid);
      const bytes = (groups.find(({ kind }) => kind === 'bpf')?.bytes ?? 0) - (rings.get(pid) ?? 0);
      if (bytes > (most?.bytes ?? 0)) most = { pid, comm, bytes };
    } catch (error) {
      if (!isAbsent(error)) host.miss('vmalloc', 'owners of BPF maps', error);
    }
  return most;
}

/** Huge pages that are neither used nor reserved, or in files that no process maps; of all sizes. @throws {HostError} */
export function* unusedHugePages(host: HostReader): Generator<Finding> {
  const total = host.meminfo('MemTotal');
  let all: readonly HugePagePool[];
  try {
    all = readHugePagePools(host.source);
  } catch (error) {
    // The kernel lacks CONFIG_HUGETLBFS.
    if (isAbsent(error)) return;
    throw error;
  }
  const pools = all.map(({ pageBytes, pages, free, reserved, surplus }) => ({
    pageBytes,
    pages,
    // Pages that a mapping reserved count as free until they are touched.
    unused: (free - reserved) * pageBytes,
    reserved: reserved * pageBytes,
    surplus: (surplus ?? 0) * pageBytes,
    used: (pages - free) * pageBytes,
  }));
  const sum = (of: (pool: (typeof pools)[number]) => number) => pools.reduce((all, pool) => all + of(pool), 0);
  const counted = hugePages(host);
  if (Math.abs(sum((pool) => pool.pages * pool.pageBytes) - counted) >= THRESHOLDS['hugetlb-unused'].note * total)
    throw new HostError('unreadable', `Hugetlb of /proc/meminfo contradicts /sys/kernel/mm/hugepages`);
  const used = sum((pool) => pool.used);
  const inFilesBytes = used >= THRESHOLDS['hugetlb-unused'].note * total ? unmappedHugePages(host, used) : 0;
  const bytes = sum(({ unused }) => unused) + inFilesBytes;
  const share = bytes / total;
  const [largest] = pools.toSorted((a, b) => b.unused - a.unused || b.used - a.used);
  if (!largest || share < THRESHOLDS['hugetlb-unused'].note) return;
  const { pageBytes, pages } = largest;
  const [user] = readProcesses(host).all.toSorted((a, b) => (b.hugetlbBytes ?? 0) - (a.hugetlbBytes ?? 0));
  const [reservedBytes, surplusBytes] = [sum(({ reserved }) => reserved), sum(({ surplus }) => surplus)];
  const figures = {
    pageBytes,
    pages,
    bytes,
    share,
    ...(inFilesBytes > 0 ? { inFilesBytes } : {}),
    ...(reservedBytes > 0 ? { reservedBytes } : {}),
    ...(surplusBytes > 0 ? { surplusBytes } : {}),
    ...(user?.hugetlbBytes ? { pid: user.pid, comm: commIn(host)(user.pid), mappedBytes: user.hugetlbBytes } : {}),
  };
  yield found('hugetlb-unused', share >= THRESHOLDS['hugetlb-unused'].warning ? 'warning' : 'note', figures, 'memory');
}

/** Lower bound of huge pages in use that no process maps: processes that map the same page count it each. */
function unmappedHugePages(host: HostReader, used: number): number {
  const missed = host.unread.length;
  const all = processesOf(host, 'huge-pages');
  const sizes = all.flatMap(({ hugetlbBytes }) => hugetlbBytes ?? []);
  // Every process with memory has the line: where it is missing, or a process is hidden, more may be mapped.
  const isWhole = all.every(({ hugetlbBytes, anonBytes }) => hugetlbBytes !== null || anonBytes === 0);
  if (!isWhole || sizes.length === 0 || host.unread.length > missed) return 0;
  return Math.max(0, used - sizes.reduce((sum, bytes) => sum + bytes, 0));
}

type CommOf = (pid: number) => string | null;

export const commIn =
  (host: HostReader): CommOf =>
  (pid) =>
    optionalText(host.source, `/proc/${pid}/comm`).trimEnd() || null;

/** Processes by their status; those that are missing are recorded. @throws {HostError} */
export function processesOf(host: HostReader, check: HostCheckName = 'processes'): readonly ProcessStatus[] {
  const { all, missing } = readProcesses(host);
  for (const why of missing) host.miss(check, HIDES, why);
  return all;
}

/** Reads /proc/PID/status once, which needs no mmap_lock. A process that exits meanwhile is left out. @throws {HostError} */
export function readProcesses(host: HostReader): ReadProcesses {
  host.processes ??= readStatuses(host);
  return host.processes;
}

function readStatuses(host: HostReader): ReadProcesses {
  const pids = listedPids(host.source);
  const missing: HostError[] = [];
  const miss = (why: string) => missing.push(new HostError('denied', why));
  if (!pids.includes('1')) miss(NOT_ALL_LISTED);
  if (pids.length > MAX_PROCESSES) miss(`only ${MAX_PROCESSES} processes were read`);
  const all: ProcessStatus[] = [];
  let damaged = 0;
  for (const pid of pids.slice(0, MAX_PROCESSES)) {
    try {
      const text = host.text(`/proc/${pid}/status`);
      const status = withoutName(text);
      const figure = (name: string) => statusFigure(status, name) ?? 0;
      const bytes = (name: string) => figure(name) * 1024;
      const state = /^State:\s+(\S)/m.exec(status)?.[1];
      // Only a process that has exited has no descriptor table; one that is about to exit, for a moment.
      const isExited = state === 'Z' || state === 'X';
      const fdTable = statusFigure(status, 'FDSize');
      const hasTable = fdTable !== 0 || isExited;
      const [rssAnon, rss] = [statusFigure(status, 'RssAnon'), statusFigure(status, 'VmRSS')];
      const shmemBytes = bytes('RssShmem');
      const adds =
        rssAnon === undefined || rss === undefined || 1024 * (rss - rssAnon) === bytes('RssFile') + shmemBytes;
      const hugetlb = statusFigure(status, 'HugetlbPages');
      if (state === undefined || !adds || !(hasTable || isExiting(host, pid))) damaged++;
      else
        all.push({
          pid: Number(pid),
          name: nameIn(text),
          state,
          parent: figure('PPid'),
          threads: figure('Threads'),
          tableBytes: bytes('VmPTE'),
          fdTable: fdTable ?? 0,
          anonBytes: rssAnon === undefined ? 0 : 1024 * rssAnon + bytes('VmSwap'),
          rssAnonBytes: 1024 * (rssAnon ?? 0),
          shmemBytes,
          // The parts add up: before 4.5 there are none.
          sharedBytes: rssAnon === undefined ? 1024 * (rss ?? 0) : shmemBytes,
          hugetlbBytes: hugetlb === undefined ? null : 1024 * hugetlb,
          pinnedBytes: bytes('VmPin'),
          lockedBytes: bytes('VmLck'),
        });
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      if (!isAbsent(error)) damaged++;
    }
  }
  if (damaged > 0) miss(`/proc/PID/status of ${count(damaged, 'process', 'processes')} is not readable or malformed`);
  return { all, missing };
}

const MAX_FIGURE = 10 ** 12;
const [TAB, SPACE, ZERO, NINE] = [0x09, 0x20, 0x30, 0x39] as const;

/**
 * The figure of a line of /proc/PID/status; 0: malformed, undefined: there is none. A list has a thousand of these files, in
 * which a pattern costs as much as the kernel's part of reading them.
 */
function statusFigure(status: string, name: string): number | undefined {
  const line = status.indexOf(`\n${name}:`);
  if (line < 0 && !status.startsWith(`${name}:`)) return undefined;
  let at = line + name.length + 2;
  while (status.charCodeAt(at) === TAB || status.charCodeAt(at) === SPACE) at++;
  let figure = 0;
  for (let code = status.charCodeAt(at); code >= ZERO && code <= NINE; code = status.charCodeAt(++at))
    figure = 10 * figure + code - ZERO;
  // Behind it is its unit, or nothing.
  return figure < MAX_FIGURE && (at >= status.length || status.charCodeAt(at) <= SPACE) ? figure : 0;
}

/** The name as in comm: the kernel escapes line breaks and backslashes (proc_task_name, fs/proc/array.c). */
function nameIn(status: string): string | null {
  const name = /^Name:\t(.+)\n/.exec(status)?.[1];
  return name?.replaceAll(/\\([n\\])/g, (_, escaped) => (escaped === 'n' ? '\n' : '\\')) ?? null;
}

/** Whether a process without a descriptor table has exited by now. @throws {HostError} */
function isExiting(host: HostReader, pid: string): boolean {
  return /^State:\s+[ZX]/m.test(statusFields(host.text(`/proc/${pid}/status`)));
}

/** Snapshots lack the Name line. */
function withoutName(status: string): string {
  return status.startsWith('Name:') ? statusFields(status) : status;
}

/** What pins pages of processes for as long as it is open, by the link of its descriptor. */
const PINS: readonly (readonly [link: RegExp, kind: string])[] = [
  [/^anon_inode:\[io_uring\]$/, 'io_uring'],
  [/^\/dev\/infiniband\/uverbs\d+$/, 'RDMA'],
  [/^\/dev\/vhost-vdpa-\d+$/, 'vdpa'],
  [/^anon_inode:\[perf_event\]$/, 'perf'],
  [/^(?:\/dev\/vfio\/(?:\d+|vfio)|anon_inode:\[?vfio-device\]?)$/, 'VFIO'],
  // A device of VFIO without a group needs an iommufd (drivers/vfio/device_cdev.c).
  [/^\/dev\/(?:iommu|vfio\/devices\/vfio\d+)$/, 'iommufd'],
  [/^\/dev\/udmabuf$|^\/dmabuf:/, 'dma-buf'],
];
/** Of these, what counts in VmLck, as mlocked mappings do (vfio_lock_acct). */
const COUNTED_AS_LOCKED: readonly string[] = ['VFIO'];

/** Kinds of pins that a process has open; empty: none, or a snapshot. */
function pinsOf({ source }: HostReader, pid: number): string[] {
  if (!source.file) return [];
  const kinds = new Set<string>();
  for (const fd of (attempted(() => source.list(`/proc/${pid}/fd`)) ?? []).slice(0, MAX_DESCRIPTORS)) {
    const link = attempted(() => source.readLink(`/proc/${pid}/fd/${fd}`)) ?? '';
    const [, kind] = PINS.find(([form]) => form.test(link)) ?? [];
    if (kind !== undefined) kinds.add(kind);
  }
  return [...kinds];
}

/**
 * Processes whose pinned pages are a large part of memory: reclaim and compaction cannot move them. Pins that no process
 * counts, such as those of AF_XDP, have candidates only.
 */
function* pinnedPages(host: HostReader, all: readonly ProcessStatus[], comm: CommOf): Generator<Finding> {
  const total = host.meminfo('MemTotal');
  const pins = all.flatMap(({ pid, pinnedBytes, lockedBytes }) => {
    if (severityOf(pinnedBytes + lockedBytes, total) === undefined) return [];
    const kinds = pinsOf(host, pid);
    const isLocked = kinds.some((kind) => COUNTED_AS_LOCKED.includes(kind));
    const bytes = isLocked ? pinnedOrLocked(pinnedBytes, lockedBytes) : pinnedBytes;
    if (severityOf(bytes, total) === undefined) return [];
    const figures = { pid, comm: comm(pid), pinnedBytes: bytes, share: bytes / total };
    return [
      { ...figures, ...(isLocked ? { lockedBytes } : {}), ...(kinds.length > 0 ? { kinds: kinds.join(', ') } : {}) },
    ];
  });
  for (const figures of pins.toSorted((a, b) => b.pinnedBytes - a.pinnedBytes).slice(0, MAX_FINDINGS)) {
    const severity = severityOf(figures.pinnedBytes, total) === 'critical' ? 'warning' : 'note';
    // Of a large process, only smaps tells mlocked pages from those of VFIO.
    const next = 'lockedBytes' in figures ? 'procs --sort pinned --pss all' : 'procs --sort pinned';
    yield found('pinned-pages', severity, figures, next);
  }
  // VmPin contains rings of perf, which are allocated, not pinned (FOLL_PIN).
  const perf = host.memory?.named?.find(({ name, kind }) => kind === 'trace-rings' && name === 'perf');
  const counted = all.reduce((sum, status) => sum + status.pinnedBytes, 0) - (perf?.figures.pinnedBytes ?? 0);
  const outstanding = outstandingPins(host) - counted;
  if (severityOf(outstanding, total) === undefined) return;
  const locked = all.filter(
    ({ pid, lockedBytes }) => lockedBytes > 0 && pinsOf(host, pid).some((kind) => COUNTED_AS_LOCKED.includes(kind)),
  );
  const rest = locked.reduce(
    (left, { pinnedBytes, lockedBytes }) => left + pinnedBytes - pinnedOrLocked(pinnedBytes, lockedBytes),
    outstanding,
  );
  if (severityOf(rest, total) === undefined) return;
  const [holder] = all
    .flatMap(({ pid, anonBytes }) => pinsOf(host, pid).map((kind) => ({ pid, kind, anonBytes })))
    .toSorted((a, b) => b.anonBytes - a.anonBytes);
  const owner = holder ? { pid: holder.pid, comm: comm(holder.pid), kinds: holder.kind } : { pid: null, comm: null };
  yield found('pinned-pages', 'note', { ...owner, pinnedBytes: rest, share: rest / total, uncounted: 1 });
}

/**
 * Bytes of pins that were not released: a page counts for each of its pins. 0: none, or a kernel before 5.7. The two
 * counters are read one after the other, each with deltas of CPUs.
 */
function outstandingPins(host: HostReader): number {
  const path = '/proc/vmstat';
  const text = host.optional(path);
  const lines = ['acquired', 'released'].map((name) => new RegExp(`^nr_foll_pin_${name} .*$`, 'm').exec(text)?.[0]);
  if (lines.every((line) => line === undefined)) return 0;
  const [acquired, released] = lines.map((line) => Number(/ (\d{1,16})$/.exec(line ?? '')?.[1] ?? Number.NaN)) as [
    number,
    number,
  ];
  const pins = acquired - released;
  const least = -(host.meminfo('MemTotal') / host.pageSize) / 100;
  if (pins >= least) return Math.max(0, pins) * host.pageSize;
  host.miss('processes', 'pins that no process counts', malformed(path));
  return 0;
}

function* zombies(all: readonly ProcessStatus[], comm: CommOf): Generator<Finding> {
  const byParent = grouped(
    all.filter(({ state }) => state === 'Z'),
    ({ parent }) => parent,
  );
  const piles = [...byParent].filter(([, children]) => children.length >= THRESHOLDS.zombies.note);
  for (const [pid, children] of piles.toSorted((a, b) => b[1].length - a[1].length).slice(0, MAX_FINDINGS)) {
    const severity = children.length >= THRESHOLDS.zombies.warning ? 'warning' : 'note';
    yield found('zombies', severity, { zombies: children.length, pid, comm: comm(pid) }, 'procs');
  }
}

/** A counter and its share of memory; empty: it is small. @throws {HostError} */
function largePart(host: HostReader, name: string, code: 'kernel-stacks' | 'page-tables'): Amount[] {
  const bytes = host.meminfo(name);
  const share = bytes / host.meminfo('MemTotal');
  return isLargePart(code, bytes, share) ? [{ bytes, share }] : [];
}

/**
 * Processes near their limit of open files. A descriptor table is never smaller than the number of
 * descriptors.
 */
function* descriptors(host: HostReader, all: readonly ProcessStatus[], comm: CommOf): Generator<Finding> {
  let [denied, uncounted, count] = [0, 0, 0];
  for (const { pid, fdTable } of all) {
    if (fdTable < MIN_TABLE) continue;
    try {
      if (host.source.file && isSparse(host, pid)) continue;
      const text = host.text(`/proc/${pid}/limits`);
      const most = Number(/^Max open files +(\d{1,15}) /m.exec(text)?.[1] ?? Number.NaN);
      if (!(most > 0) || fdTable < THRESHOLDS['limit-near'].warning * most) continue;
      const used = descriptorsOf(host, pid);
      // The sockets and pipes of a snapshot are part of the descriptors.
      if (used < THRESHOLDS['limit-near'].warning * most && !host.source.file) uncounted++;
      if (used < THRESHOLDS['limit-near'].warning * most || ++count > MAX_FINDINGS) continue;
      const figures = { limit: 'RLIMIT_NOFILE', used, most, share: used / most, pid, comm: comm(pid) };
      // A snapshot has no descriptors except sockets.
      const next = host.source.file ? `procs --pid ${pid} --fds` : `procs --pid ${pid}`;
      yield found('limit-near', 'warning', figures, next);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      if (!isAbsent(error)) denied++;
    }
  }
  const miss = (processes: number, code: 'denied' | 'gone', why: string) => {
    const subject = `descriptors of ${processes} ${inflect(processes, 'process', 'processes')}`;
    const hides = 'processes near their limit of open files';
    if (processes > 0) host.miss('processes', hides, new HostError(code, `${subject}: ${why}`));
  };
  miss(denied, 'denied', 'permission denied');
  miss(uncounted, 'gone', 'a snapshot contains only those of sockets and pipes');
}

/** Whether a process has so few descriptors that its limit is not read; not known before 6.2 (proc_fd_getattr). */
function isSparse({ source }: HostReader, pid: number): boolean {
  const used = source.size(`/proc/${pid}/fd`);
  return used > 0 && used < MIN_TABLE / 4;
}

/** Number of descriptors; in a snapshot, of sockets and pipes. @throws {HostError} */
function descriptorsOf({ source }: HostReader, pid: number): number {
  try {
    return source.list(`/proc/${pid}/fd`).length;
  } catch (error) {
    // A snapshot does not list a process without sockets and pipes.
    if (!source.file && isHostError(error, 'gone')) return 0;
    throw error;
  }
}
