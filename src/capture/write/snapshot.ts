import { isHostError } from '../../base/errors/host.js';
import { endAll } from '../../host/child.js';
import { findNamespaces } from '../../host/namespaces.js';
import { listedPids } from '../../host/proc/pids.js';
import {
  LAYOUT_VERSION,
  type LeftOut,
  MOST_BYTES,
  MOST_PROCESS_BYTES,
  NAMING,
  NEVER_TAKEN,
  type OptionalPart,
  SECRET_PARTS,
} from '../read/contents.js';
import { Anonymizer } from './anonymizer.js';
import { Archive, type Member, type Sink } from './archive.js';
import { Deadline } from './deadline.js';
import { type Failure, type FailureCode, Failures } from './failures.js';
import {
  takeCgroups,
  takeHostFiles,
  takeLog,
  takeMovingFiles,
  takeSlabAttributes,
} from './host-files.js';
import { type Seen, takeDescriptors, takeNamespaces, takeStates } from './processes.js';
import { type SocketsCaptured, takeSockets } from './sockets.js';
import type { SnapshotSource } from './source.js';
import { linesOf, SMALL_FILE, type Work } from './work.js';

export interface SnapshotOptions {
  readonly parts: ReadonlySet<OptionalPart>;
  /** Between the samples. */
  readonly intervalMs: number;
  /** What is not taken by then is said to be missing. */
  readonly timeoutSeconds: number;
  readonly anonymize: boolean;
  /** Program and version, for the file `taken-by`. */
  readonly program: string;
}

/** What a snapshot has, and what it has not. */
export interface Snapshot {
  readonly taken: Date;
  readonly bytes: number;
  readonly files: number;
  readonly processes: number;
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
 * Takes a snapshot of a host: layout version 3 (docs/snapshot.md). It changes nothing, and starts `ss`
 * alone (by nsenter for other network namespaces).
 *
 * @param sink takes the archive
 * @throws {HostError} /proc cannot be listed or has no uptime
 */
export async function takeSnapshot(
  source: SnapshotSource,
  sink: Sink,
  options: SnapshotOptions,
): Promise<Snapshot> {
  const begun = source.now();
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
  // What ss has not told by then it does not tell.
  const late = setTimeout(endAll, options.timeoutSeconds * 1000);
  try {
    await takeHostFiles(work);
    if (!options.anonymize) takeLog(work);
    await takeCgroups(work);
    await takeSlabAttributes(work);
    const taken = new Date();
    archive.add('taken', `${taken.toISOString().replace(/\.\d+/, '')}\n`);
    const first = await takeSample(work, 1);
    await source.sleep(Math.min(options.intervalMs, deadline.left));
    const second = await takeSample(work, 2);
    await takeMemory(work, 'sample-2/', second.withMemory);
    if (options.parts.has('stacks')) await takeStacks(work, 'sample-2/', second.pids);
    const unknown = [...new Set([...first.unknown, ...second.unknown])];
    if (unknown.length > 0) archive.add('unknown-tables', `${unknown.join(' ')}\n`);
    const told = anonymizer ? failures.anonymous((path) => anonymizer.failedPath(path)) : failures;
    archive.add('errors', told.text());
    archive.finish();
    return {
      taken,
      parts,
      leftOut,
      anonymized: options.anonymize,
      bytes: archive.bytes,
      files: archive.files,
      processes: second.pids.length,
      namespaces: second.namespaces,
      closedNamespaces: second.closed,
      failures: told.list(),
      failureCounts: told.counts(),
      seconds: (source.now() - begun) / 1000,
    };
  } finally {
    clearTimeout(late);
  }
}

/** The sockets of a moment, and the processes before or after it. */
async function takeSample(work: Work, number: 1 | 2): Promise<Seen & SocketsCaptured> {
  const at = `sample-${number}/`;
  const uptime = (name: string) =>
    work.archive.add(`${at}${name}`, work.source.read('/proc/uptime', MOST_BYTES).bytes);
  uptime('began');
  takeMovingFiles(work, at);
  // What ran between the samples is told from before the first until after the last.
  const before = number === 1 ? await takeStates(work, `${at}before`) : null;
  const pids = listedPids(work.source);
  await takeNamespaces(work, at, pids);
  // While ss is waited for.
  const [told] = await Promise.all([takeSockets(work, at), takeDescriptors(work, at, pids)]);
  uptime('ended');
  return { ...(before ?? (await takeStates(work, `${at}after`))), ...told };
}

/** The names of the network devices of all namespaces that a process lives in, as /proc/PID/net/dev has them. */
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

/** The kernel stacks of all threads, in lines `PATH:LINE`. */
async function takeStacks(work: Work, at: string, pids: readonly string[]): Promise<void> {
  const { source, archive, failures, deadline } = work;
  const member = archive.member(`${at}stacks`);
  for (const pid of pids) {
    await deadline.breathe();
    if (deadline.passed || member.size >= MOST_BYTES) {
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

/** What is read of processes where the kernel may take its time: it waits for their memory maps. */
interface SlowPart {
  /** The member of the archive, below its sample. */
  readonly name: string;
  readonly asked: OptionalPart | null;
  /** A file of /proc/PID. */
  readonly file: string;
  lines(text: string): readonly string[];
}

const SLOW_PARTS: readonly SlowPart[] = [
  { name: 'memory', asked: null, file: 'smaps_rollup', lines: linesOf },
  { name: 'smaps', asked: 'smaps', file: 'smaps', lines: linesOf },
  {
    name: 'arguments',
    asked: 'arguments',
    file: 'cmdline',
    lines: (text) => linesOf(text).map((line) => line.replaceAll('\0', ' ')),
  },
];

/** What each process maps, in sum and (where that was asked for) one by one; its arguments. */
async function takeMemory(work: Work, at: string, withMemory: readonly string[]): Promise<void> {
  for (const part of SLOW_PARTS) {
    if (part.asked !== null && !work.parts.has(part.asked)) continue;
    const member = work.archive.member(`${at}${part.name}`);
    for (const pid of withMemory) await takeSlow(work, part, member, `/proc/${pid}/${part.file}`);
    member.end();
  }
}

async function takeSlow(
  { source, deadline, failures }: Work,
  part: SlowPart,
  member: Member,
  path: string,
): Promise<void> {
  const limit = part.name === 'memory' ? MOST_PROCESS_BYTES : MOST_BYTES;
  if (member.size >= limit) {
    failures.add(path, 'cut', `${part.name} has ${limit} bytes before it`);
    return;
  }
  try {
    const most = part.name === 'memory' ? SMALL_FILE : MOST_BYTES - member.size;
    const answer = source.readSlow(path, most);
    // What comes too late is nobody's.
    answer.catch(() => undefined);
    const { bytes, cut } = await deadline.within(path, answer);
    for (const line of part.lines(bytes.toString('latin1'))) member.write(`${path}:${line}\n`);
    if (cut) failures.add(path, 'cut', 'only its beginning');
  } catch (error) {
    // Those that ended meanwhile are told with their states.
    if (!isHostError(error, 'gone')) failures.note(path, error);
  }
}
