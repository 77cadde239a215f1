import { isHostError } from '../../base/errors.js';
import { isDeviceLink } from '../../host/proc/graphics.js';
import { isKernelThread, isPid, listedPids, statFields } from '../../host/proc/process.js';
import { PERF_LINES, PERF_LINK } from '../../host/proc/rings.js';
import { URING_LINES, URING_LINK } from '../../host/proc/uring-buffers.js';
import { LARGE_BYTES } from '../../records/pss.js';
import {
  MAX_BYTES,
  MAX_PROCESS_BYTES,
  NAMESPACES,
  OWN_NAMESPACES,
  THREAD_STATUS,
  WAIT_FILES,
} from '../read/contents.js';
import type { Member } from './archive.js';
import { linesOf, SMALL_FILE, type Work } from './work.js';

/** Processes at one point in time. */
export interface ListedProcesses {
  readonly pids: readonly string[];
  /** Those with memory of their own. */
  readonly withMemory: readonly string[];
  /** Those of them that are large. */
  readonly large: ReadonlySet<string>;
  readonly kernelThreads: number;
  /** Number of `pids` whose state was not recorded: the limit of time or size was reached before them. */
  readonly missing: number;
}

/**
 * Records the states of all processes and threads in lines `PATH:LINE`; for a process its complete
 * status except the name, which may contain anything.
 *
 * @param files files of a process besides its status
 * @throws {HostError} /proc cannot be listed
 */
export async function recordStates(work: Work, name: string, files: readonly string[]): Promise<ListedProcesses> {
  const { source, archive, deadline, failures } = work;
  const member = archive.member(name);
  const pids = listedPids(source);
  const withMemory: string[] = [];
  const large = new Set<string>();
  let [kernelThreads, missing] = [0, 0];
  for (const [index, pid] of pids.entries()) {
    await deadline.breathe();
    const isFull = member.size >= MAX_PROCESS_BYTES;
    if (deadline.isOver || isFull) {
      const of = `${index} of ${pids.length} processes`;
      failures.add(name, 'cut', isFull ? `only ${of} fit` : `timeout after ${of}`);
      missing = pids.length - index;
      break;
    }
    const kind = recordState(work, member, pid, files);
    if (kind === 'process' || kind === 'large') withMemory.push(pid);
    if (kind === 'large') large.add(pid);
    else if (kind === 'kernel thread') kernelThreads++;
  }
  member.end();
  return { pids, withMemory, large, kernelThreads, missing };
}

/** @returns its kind; a `process` has memory of its own, and may be `large`; undefined: a zombie, or it exited */
function recordState(
  work: Work,
  member: Member,
  pid: string,
  files: readonly string[],
): 'process' | 'large' | 'kernel thread' | undefined {
  const folder = `/proc/${pid}`;
  const status = linesIn(work, `${folder}/status`);
  // The process exited after it was listed.
  if (status === null) return undefined;
  const putFile = (path: string, lines: readonly string[]) => {
    member.write(lines.map((line) => `${path}:${line}\n`).join(''));
  };
  putFile(
    `${folder}/status`,
    status.filter((line) => !line.startsWith('Name:')),
  );
  // The status of a process is that of its main thread, with the same lines.
  const isAlone = status.includes('Threads:\t1');
  for (const thread of isAlone ? [pid] : threadsOf(work, folder)) {
    const path = `${folder}/task/${thread}/status`;
    const state = () => (linesIn(work, path) ?? []).filter((line) => THREAD_STATUS.test(line));
    const lines = isAlone ? status.filter((line) => THREAD_STATUS.test(line)) : state();
    putFile(path, lines);
    if (!lines.some((line) => /^State:\sD/.test(line))) continue;
    for (const file of WAIT_FILES) {
      const wait = `${folder}/task/${thread}/${file}`;
      putFile(wait, linesIn(work, wait) ?? []);
    }
    putFile(path, state());
  }
  const stat = linesIn(work, `${folder}/stat`) ?? [];
  for (const file of files) {
    const path = `${folder}/${file}`;
    const lines = file === 'stat' ? stat : (linesIn(work, path) ?? []);
    putFile(path, work.anonymizer?.processLines(file, lines, stat) ?? lines);
  }
  if (status.some((line) => line.startsWith('VmRSS:'))) return status.some(isLargeLine) ? 'large' : 'process';
  return isKernelThread(statFields(stat.join('\n'))) ? 'kernel thread' : undefined;
}

function isLargeLine(line: string): boolean {
  const kilobytes = /^(?:VmRSS|VmSwap):\s+(\d{1,15}) kB$/.exec(line)?.[1];
  return Number(kilobytes ?? 0) * 1024 > LARGE_BYTES;
}

function threadsOf({ source, failures }: Work, folder: string): readonly string[] {
  try {
    return source.list(`${folder}/task`).filter(isPid);
  } catch (error) {
    failures.note(`${folder}/task`, error);
    return [];
  }
}

/** Returns the lines of a small file; null: it could not be read, which is recorded as a failure. */
function linesIn({ source, failures }: Work, path: string): string[] | null {
  try {
    return linesOf(source.read(path, SMALL_FILE).bytes.toString('latin1'));
  } catch (error) {
    failures.note(path, error);
    return null;
  }
}

/**
 * Records the namespaces of each process in the format of `ls -l`.
 *
 * @returns the links of network namespaces, by path
 */
export async function recordNamespaces(
  { source, archive, failures, deadline }: Work,
  at: string,
  pids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const member = archive.member(`${at}namespaces`);
  const ofNetwork = new Map<string, string>();
  const record = (path: string) => {
    try {
      const link = source.readLink(path);
      member.write(`lrwxrwxrwx 1 0 0 0 Jan 1 00:00 ${path} -> ${link}\n`);
      if (path.endsWith('/net')) ofNetwork.set(path, link);
    } catch (error) {
      // One failure per process, since all its namespaces are readable or none is.
      failures.note(path.slice(0, path.lastIndexOf('/')), error);
    }
  };
  for (const path of OWN_NAMESPACES) record(path);
  for (const pid of pids) {
    await deadline.breathe();
    if (deadline.isOver) {
      failures.add(`${at}namespaces`, 'cut', `from process ${pid} on`);
      break;
    }
    for (const kind of NAMESPACES) record(`/proc/${pid}/ns/${kind}`);
  }
  member.end();
  return ofNetwork;
}

/** Maximum number of links to read. */
const MAX_DESCRIPTORS = 2_000_000;

/** Descriptors of files, by folder (`/proc/PID/fd`). */
export type OpenFiles = ReadonlyMap<string, readonly string[]>;

/** The fdinfo of a descriptor whose link names a device; the mappings of a process with a perf event. */
interface Device {
  readonly path: string;
  readonly link: string;
}

/**
 * Records the descriptors of sockets and pipes of each process in the format of `ls -l`. Returns those of files, and the
 * fdinfo of GPUs, dma-bufs, BPF maps and io_uring, and the processes with perf events.
 */
export async function recordDescriptors(
  work: Work,
  at: string,
  pids: readonly string[],
): Promise<{ readonly openFiles: OpenFiles; readonly devices: readonly Device[] }> {
  const openFiles = new Map<string, string[]>();
  const devices: Device[] = [];
  const { source, archive, failures, deadline } = work;
  const member = archive.member(`${at}descriptors`);
  let budget = MAX_DESCRIPTORS;
  for (const pid of pids) {
    const folder = `/proc/${pid}/fd`;
    if (deadline.isOver || budget < 0) {
      failures.add(`${at}descriptors`, 'cut', `from process ${pid} on`);
      break;
    }
    try {
      let text = `${folder}:\n`;
      const files: string[] = [];
      let hasPerf = false;
      for (const name of source.list(folder)) {
        budget--;
        const target = linkOf(work, `${folder}/${name}`);
        if (target?.startsWith('socket:[') || target?.startsWith('pipe:['))
          text += `lrwx------ 1 0 0 64 Jan 1 00:00 ${name} -> ${target}\n`;
        else if (target?.startsWith('/')) files.push(name);
        if (target === PERF_LINK) hasPerf = true;
        else if (target !== undefined && isDeviceLink(target))
          devices.push({ path: `/proc/${pid}/fdinfo/${name}`, link: target });
        await deadline.breathe();
      }
      if (hasPerf) devices.push({ path: `/proc/${pid}/maps`, link: PERF_LINK });
      member.write(text);
      openFiles.set(folder, files);
    } catch (error) {
      failures.note(folder, error);
    }
  }
  member.end();
  return { openFiles, devices };
}

/**
 * Records fdinfo in lines `PATH:LINE`, without the names of buffers, and of the files of io_uring; of mappings only those of
 * perf's rings.
 */
export async function recordDevices({ source, archive, failures }: Work, devices: readonly Device[]): Promise<void> {
  const member = archive.member('fdinfo');
  const parts = new Map([
    [URING_LINK, new RegExp(URING_LINES)],
    [PERF_LINK, new RegExp(`^${PERF_LINES}`)],
  ]);
  for (const { path, link } of devices)
    try {
      const { bytes, cut } =
        link === PERF_LINK ? await source.readSlow(path, MAX_BYTES) : source.read(path, SMALL_FILE);
      const part = parts.get(link);
      for (const line of linesOf(bytes.toString('latin1')))
        if (part ? part.test(line) : !line.startsWith('name:')) member.write(`${path}:${line}\n`);
      if (cut && link === PERF_LINK) failures.add(path, 'cut', `after ${MAX_BYTES} bytes`);
    } catch (error) {
      if (!isHostError(error, 'gone')) failures.note(path, error);
    }
  member.end();
}

/** Undefined: closed after it was listed. @throws {HostError} of another kind */
function linkOf({ source }: Work, path: string): string | undefined {
  try {
    return source.readLink(path);
  } catch (error) {
    if (isHostError(error, 'gone')) return undefined;
    throw error;
  }
}
