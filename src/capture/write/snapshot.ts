import { isHostError } from '../../base/errors.js';
import { endAll } from '../../host/child.js';
import { findNamespaces } from '../../host/namespaces.js';
import { listedPids } from '../../host/proc/process.js';
import type { PssChoice } from '../../records/pss.js';
import {
  type FailureCode,
  type LeftOut,
  NAMING,
  NEVER_TAKEN,
  type OptionalPart,
  SECRET_PARTS,
} from '../../records/snapshot-parts.js';
import { LAST_PROCESS_FILES, LAYOUT_VERSION, MAX_BYTES, MAX_PROCESS_BYTES, PROCESS_FILES } from '../read/contents.js';
import { Anonymizer } from './anonymizer.js';
import { Archive, type Member, type Sink } from './archive.js';
import { type Failure, Failures } from './failures.js';
import {
  recordCgroups,
  recordCounters,
  recordFilesInMemory,
  recordHostFiles,
  recordLog,
  recordMessageQueues,
  recordNetlink,
  recordRing,
  recordSlabAttributes,
} from './host-files.js';
import { type ListedProcesses, recordDescriptors, recordDevices, recordNamespaces, recordStates } from './processes.js';
import { recordSockets, type SocketsCaptured } from './sockets.js';
import type { SnapshotSource } from './source.js';
import { Deadline, linesOf, SMALL_FILE, type Work } from './work.js';

export interface SnapshotOptions {
  readonly parts: ReadonlySet<OptionalPart>;
  /** Time between the samples. */
  readonly intervalMs: number;
  /** Parts that are not finished by then are reported as missing. */
  readonly timeoutSeconds: number;
  readonly anonymize: boolean;
  /** Processes whose mappings are read (default `small`). */
  readonly pss?: PssChoice;
  /** Program and version, for the file `taken-by`. */
  readonly program: string;
}

/** Contents of a snapshot, and what is missing. */
export interface Snapshot {
  readonly takenAt: Date;
  readonly bytes: number;
  readonly files: number;
  /** With memory of their own, as in procs: without kernel threads and zombies. */
  readonly processes: number;
  readonly kernelThreads: number;
  /** Processes and kernel threads of the last listing that are not in the archive. */
  readonly missingProcesses: number;
  readonly namespaces: number;
  readonly closedNamespaces: number;
  readonly parts: readonly OptionalPart[];
  readonly leftOut: readonly LeftOut[];
  readonly anonymized: boolean;
  readonly failures: readonly Failure[];
  readonly failureCounts: Readonly<Record<FailureCode, number>>;
  readonly seconds: number;
}

/**
 * Takes a snapshot of a host: layout version 3 (docs/internals/snapshot.md). It modifies nothing, and
 * runs only `ss` (by nsenter for other network namespaces).
 *
 * @param sink receives the archive
 * @throws {HostError} /proc cannot be listed or has no uptime
 */
export async function takeSnapshot(source: SnapshotSource, sink: Sink, options: SnapshotOptions): Promise<Snapshot> {
  const start = source.now();
  const archive = new Archive(sink, Date.now());
  const failures = new Failures();
  const deadline = new Deadline(options.timeoutSeconds, () => source.now());
  const anonymizer = options.anonymize ? new Anonymizer(interfaceList(source)) : null;
  const work: Work = { source, archive, failures, deadline, parts: options.parts, anonymizer };
  const parts = [...options.parts];
  const leftOut: LeftOut[] = [
    ...NEVER_TAKEN,
    ...SECRET_PARTS.filter((part) => !options.parts.has(part)),
    ...(options.anonymize ? NAMING : []),
  ];
  const lines = (all: readonly string[]) => all.map((line) => `${line}\n`).join('');
  archive.add('version', `${LAYOUT_VERSION}\n`);
  archive.add('taken-by', `${options.program}\n`);
  archive.add('asked', lines(parts));
  archive.add('left-out', lines(leftOut));
  // At the time limit, ss is killed.
  const late = setTimeout(endAll, options.timeoutSeconds * 1000);
  try {
    await recordHostFiles(work);
    if (!options.anonymize) {
      recordLog(work);
      recordRing(work);
    }
    await recordCgroups(work);
    await recordSlabAttributes(work);
    const takenAt = new Date();
    archive.add('taken', `${takenAt.toISOString().replace(/\.\d+/, '')}\n`);
    const first = await takeSample(work, 1);
    await source.sleep(Math.min(options.intervalMs, deadline.timeLeft));
    const second = await takeSample(work, 2);
    await recordDevices(work, second.devices);
    // Names of interfaces are in it.
    if (!options.anonymize) recordNetlink(work);
    recordMessageQueues(work);
    await recordFilesInMemory(work, second.openFiles);
    await recordMemory(work, 'sample-2/', second, options.pss ?? 'small');
    if (options.parts.has('stacks')) await recordStacks(work, 'sample-2/', second.pids);
    const unknown = [...new Set([...first.unknown, ...second.unknown])];
    if (unknown.length > 0) archive.add('unknown-tables', `${unknown.join(' ')}\n`);
    const reported = anonymizer ? failures.anonymous((path) => anonymizer.failedPath(path)) : failures;
    archive.add('errors', reported.text());
    archive.finish();
    return {
      takenAt,
      parts,
      leftOut,
      anonymized: options.anonymize,
      bytes: archive.bytes,
      files: archive.files,
      processes: second.withMemory.length,
      kernelThreads: second.kernelThreads,
      missingProcesses: second.missing,
      namespaces: second.namespaces,
      closedNamespaces: second.closed,
      failures: reported.list(),
      failureCounts: reported.counts(),
      seconds: (source.now() - start) / 1000,
    };
  } finally {
    clearTimeout(late);
  }
}

/** The sockets at one point in time, and the processes before or after it. */
async function takeSample(
  work: Work,
  number: 1 | 2,
): Promise<ListedProcesses & SocketsCaptured & Awaited<ReturnType<typeof recordDescriptors>>> {
  const at = `sample-${number}/`;
  const uptime = (name: string) => work.archive.add(`${at}${name}`, work.source.read('/proc/uptime', MAX_BYTES).bytes);
  uptime('began');
  recordCounters(work, at);
  // States are recorded before the first sample and after the last, to detect processes that ran in between.
  const before = number === 1 ? await recordStates(work, `${at}before`, PROCESS_FILES) : null;
  const pids = listedPids(work.source);
  const links = await recordNamespaces(work, at, pids);
  // Runs while waiting for ss.
  const [coverage, descriptors] = await Promise.all([
    recordSockets(work, at, links),
    recordDescriptors(work, at, pids),
  ]);
  uptime('ended');
  if (before) return { ...before, ...coverage, ...descriptors };
  const after = await recordStates(work, `${at}after`, [...PROCESS_FILES, ...LAST_PROCESS_FILES]);
  noteExits(work, pids, after.pids);
  return { ...after, ...coverage, ...descriptors };
}

/** Records the exit of listed processes that /proc no longer has: their states are not missing. */
function noteExits({ failures }: Work, pids: readonly string[], still: readonly string[]): void {
  const running = new Set(still);
  for (const pid of pids) if (!running.has(pid)) failures.add(`/proc/${pid}/status`, 'gone', 'the process exited');
}

/** Names of the network devices in all namespaces of processes, from /proc/PID/net/dev. */
function interfaceList(source: SnapshotSource): Buffer[] {
  const names = new Set<string>();
  for (const { pid } of findNamespaces(source, 'all')) {
    if (pid === null) continue;
    try {
      const text = source.read(`/proc/${pid}/net/dev`, SMALL_FILE).bytes.toString('latin1');
      for (const [, name = ''] of text.matchAll(/^ *([^\s:|]+):/gm)) names.add(name);
    } catch (error) {
      if (!isHostError(error)) throw error;
    }
  }
  return [...names].map((name) => Buffer.from(name, 'latin1'));
}

/** Records the kernel stacks of all threads, in lines `PATH:LINE`. */
async function recordStacks(work: Work, at: string, pids: readonly string[]): Promise<void> {
  const { source, archive, failures, deadline } = work;
  const member = archive.member(`${at}stacks`);
  for (const pid of pids) {
    await deadline.breathe();
    if (deadline.isOver || member.size >= MAX_BYTES) {
      failures.add(`${at}stacks`, 'cut', `from process ${pid} on`);
      break;
    }
    try {
      for (const thread of source.list(`/proc/${pid}/task`)) {
        const path = `/proc/${pid}/task/${thread}/stack`;
        for (const line of linesOf(source.read(path, SMALL_FILE).bytes.toString('latin1')))
          member.write(`${path}:${line}\n`);
      }
    } catch (error) {
      if (!isHostError(error, 'gone')) failures.note(`/proc/${pid}/task`, error);
    }
  }
  member.end();
}

/** A file of processes that may be slow to read: the kernel takes the mmap_lock. */
interface SlowPart {
  /** Member of the archive, within its sample. */
  readonly name: string;
  readonly option: OptionalPart | null;
  /** A file of /proc/PID. */
  readonly file: string;
  lines(text: string): readonly string[];
}

const SLOW_PARTS: readonly SlowPart[] = [
  { name: 'memory', option: null, file: 'smaps_rollup', lines: linesOf },
  { name: 'smaps', option: 'smaps', file: 'smaps', lines: linesOf },
  {
    name: 'arguments',
    option: 'arguments',
    file: 'cmdline',
    lines: (text) => linesOf(text).map((line) => line.replaceAll('\0', ' ')),
  },
];

/** Records each process's memory, summed up and (if requested) per mapping; its arguments. */
async function recordMemory(
  work: Work,
  at: string,
  { withMemory, large }: ListedProcesses,
  pss: PssChoice,
): Promise<void> {
  for (const part of SLOW_PARTS) {
    if (part.option !== null && !work.parts.has(part.option)) continue;
    const member = work.archive.member(`${at}${part.name}`);
    for (const pid of withMemory) {
      const path = `/proc/${pid}/${part.file}`;
      if (part.name === 'arguments' || pss === 'all' || !large.has(pid)) await recordSlow(work, part, member, path);
      else work.failures.add(path, 'large', 'reading it blocks the process: --pss all');
    }
    member.end();
  }
}

async function recordSlow(
  { source, deadline, failures }: Work,
  part: SlowPart,
  member: Member,
  path: string,
): Promise<void> {
  const limit = part.name === 'memory' ? MAX_PROCESS_BYTES : MAX_BYTES;
  if (member.size >= limit) {
    failures.add(path, 'cut', `${part.name} has ${limit} bytes before it`);
    return;
  }
  try {
    const maximum = part.name === 'memory' ? SMALL_FILE : MAX_BYTES - member.size;
    const answer = source.readSlow(path, maximum);
    // A late answer is ignored.
    answer.catch(() => undefined);
    const { bytes, cut } = await deadline.within(path, answer);
    for (const line of part.lines(bytes.toString('latin1'))) member.write(`${path}:${line}\n`);
    if (cut) failures.add(path, 'cut', 'only its beginning');
  } catch (error) {
    // Exits are already recorded with the states.
    if (!isHostError(error, 'gone')) failures.note(path, error);
  }
}
