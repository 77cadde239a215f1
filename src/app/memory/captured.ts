import { type MemoryAnswer, makeAnswer } from '../../account/memory/answer.js';
import { countedMemory } from '../../account/memory/counted.js';
import { detailsOf } from '../../account/memory/details.js';
import { type Category, leaves, makeCategory, type Owner } from '../../account/memory/tree.js';
import { HostError, hostOrNull } from '../../base/errors.js';
import { formatSize } from '../../base/size.js';
import type { CapturedFiles } from '../../capture/read/captured-files.js';
import { readCapture } from '../../capture/read/files.js';
import { readHostDetails } from '../../host/proc/details.js';
import { hostOrigin } from '../../host/proc/machine-sample.js';
import { readHostCounts, readPageSize } from '../../host/proc/memory.js';
import { optionalText } from '../../host/proc/process.js';
import { sharedFiles } from '../../host/proc/shared-files.js';
import type { SharedMappings } from '../../host/proc/shared-mappings.js';
import { sharedOwners } from '../../host/proc/shared-owners.js';
import { commIn, pipesByProgram, readProcesses } from '../../triage/host-processes.js';
import { HostReader } from '../../triage/host-reader.js';
import { THRESHOLDS } from '../../triage/thresholds.js';
import { capturedAt } from '../kit/captured-source.js';
import { withNamed } from './named.js';

/**
 * Returns the memory breakdown of a captured host, based on its counters.
 *
 * @param withSockets whether to estimate the memory of socket queues
 * @throws {HostError} `gone`, `denied`, `not-a-capture`; `unreadable`: it lacks /proc/meminfo
 */
export async function capturedMemory(path: string, withSockets: boolean): Promise<MemoryAnswer> {
  const files = await readCapture(path);
  if (files.pasted && !withSockets && !files.has('proc/meminfo')) return listsAlone(capturedAt(files, 'last'));
  const answer = memoryOfCapture(path, files);
  if (!withSockets) return answer;
  const { socketsTogether } = await import('../../skcheck/sockets-of-processes.js');
  return { ...answer, socketEstimate: await socketsTogether(capturedAt(files, 'last').host, true) };
}

/** @throws as capturedMemory */
export function memoryOfCapture(path: string, files: CapturedFiles): MemoryAnswer {
  const last = memoryAt(path, capturedAt(files, 'last'));
  // Files are read one after the other, so they can contradict each other if memory changes quickly.
  const isContradictory = last.warnings.some(({ code }) => code === 'corrupt');
  if (!isContradictory || !files.has('sample-2/proc/meminfo')) return last;
  const first = memoryAt(path, capturedAt(files, 'first'));
  return first.warnings.some(({ code }) => code === 'corrupt') ? last : first;
}

/** @throws {HostError} with advice that fits a capture */
function attempted<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    const next = `Its other parts can be read: kdump-mem triage --from ${path}.`;
    throw new HostError(error.code, error.message, { cause: error, next });
  }
}

/** Lists of a text that lacks the amount of memory; the only known bytes are those of its slab caches. */
function listsAlone({ host, of, warnings }: ReturnType<typeof capturedAt>): MemoryAnswer {
  const pageSize = readPageSize(host);
  const lists = detailsOf(readHostDetails(host), pageSize);
  const bytes = lists.caches.reduce((sum, cache) => sum + cache.bytes, 0);
  const why = 'the amount of memory is unknown: the text has no /proc/meminfo';
  const frames = bytes / pageSize;
  return makeAnswer({
    host: { release: optionalText(host, '/proc/sys/kernel/osrelease').trim(), pageSize, pageSizeKnown: true },
    source: 'counters',
    memory: makeCategory({ category: 'memory', frames, bytes, known: 'counter', complete: false, why }),
    ...lists,
    captured: { host: of.host, takenAt: null },
    origin: hostOrigin(host, null),
    warnings: [...warnings, { code: 'unreadable', message: why }],
    complete: false,
  });
}

function memoryAt(path: string, { host, of, warnings }: ReturnType<typeof capturedAt>): MemoryAnswer {
  // Only a snapshot has whole files for certain.
  const counts = attempted(path, () => readHostCounts(host, host.kind === 'capture' ? 'snapshot' : 'text'));
  const counted = countedMemory(counts, readHostDetails(host));
  const reader = new HostReader(host, counts.pageSize);
  const owned = withUsers({ ...counted, warnings: [...warnings, ...counted.warnings] }, reader);
  const answer = withNamed(owned, host);
  const at = host.timeOf('/proc/meminfo')?.toISOString() ?? null;
  const captured = { host: of.host, takenAt: at };
  const lacksProcesses = host.psText === undefined && !hasProcessMemory(reader);
  return { ...answer, captured, lacksProcesses, origin: hostOrigin(host, at) };
}

/** Whether a capture has memory of a process: `procs` reads it. */
function hasProcessMemory(reader: HostReader): boolean {
  const read = hostOrNull(() => readProcesses(reader));
  return read?.all.some(({ rssAnonBytes, sharedBytes }) => rssAnonBytes + sharedBytes > 0) === true;
}

/** Maximum number of owners, largest first. */
const MAX_OWNERS = 10;
/** Processes with less are one owner with others of their name, as in triage. */
const PROGRAM_SHARE = 0.05;
/** Shared memory without a known owner is mentioned from this share of memory on, or this many bytes. */
const NOTABLE_SHARE = 0.01;
const NOTABLE_BYTES = 64 * 2 ** 20;

/** Smaller parts of the anonymous memory are left to procs. */
const LARGE_PART = 0.05;

/**
 * Processes with most anonymous memory by RssAnon, which counts pages that a fork shares for each process; none if a
 * process is missing, which may be the largest one. A process that grew since the counters were read has at most all.
 */
function anonymousOwners({ bytes: all }: Category, reader: HostReader): Owner[] {
  const { all: processes, missing } = readProcesses(reader);
  if (missing.length > 0) return [];
  const comm = commIn(reader);
  return processes
    .filter(({ rssAnonBytes: bytes }) => bytes > 0 && bytes >= LARGE_PART * all)
    .toSorted((a, b) => b.rssAnonBytes - a.rssAnonBytes)
    .slice(0, MAX_OWNERS)
    .map(({ pid, name, rssAnonBytes }) => ({
      kind: 'process',
      pid,
      name: name ?? comm(pid) ?? '?',
      bytes: Math.min(rssAnonBytes, all),
    }));
}

/**
 * Programs whose pipes can hold most of the memory in no counter: that of pipes is in none. Undefined: little is in no
 * counter, or pipes are unknown.
 */
function pipesOf(unattributed: Category | undefined, answer: MemoryAnswer, reader: HostReader) {
  const { leastBytes = unattributed?.bytes ?? 0 } = unattributed?.range ?? {};
  if (leastBytes < THRESHOLDS.pipes.note * answer.memory.bytes) return undefined;
  return hostOrNull(() => pipesByProgram(reader, 0).map((program) => ({ processes: 1, ...program }))) ?? undefined;
}

/**
 * Adds what processes have of anonymous memory, and the files in tmpfs. Page flags and counters do not name them;
 * descriptors and mounts do. If some are unreadable and much shared memory has no known owner, the answer is incomplete.
 */
export function withUsers(answer: MemoryAnswer, reader: HostReader, mappings?: SharedMappings): MemoryAnswer {
  const host = reader.source;
  const missing: string[] = [];
  const files = sharedFiles(host, (why) => missing.push(why), mappings);
  const owners = sharedOwners(host, files, PROGRAM_SHARE * answer.memory.bytes)
    .slice(0, MAX_OWNERS)
    .map(({ kind, name, bytes, files, processes, comm, pid, inside }): Owner => {
      const process = pid ?? inside;
      // A tmpfs that is in no mount namespace has a holder, as a file has.
      const of = kind === 'tmpfs' && pid !== undefined ? 'file' : kind;
      return {
        kind: of,
        name,
        ...(process === undefined ? {} : { pid: process }),
        ...(files > 1 ? { files } : {}),
        ...(processes > 1 && comm !== null ? { processes, comm } : {}),
        bytes,
      };
    });
  const unattributed = leaves(answer.memory).find(({ category }) => category === 'unattributed');
  const pipes = pipesOf(unattributed, answer, reader)?.slice(0, MAX_OWNERS);
  // CAP_SYS_RESOURCE allows larger pipes: only uncounted memory is a bound.
  const mostBytes = unattributed?.range?.mostBytes ?? unattributed?.bytes ?? 0;
  const named = (category: Category): Category => ({
    ...category,
    ...(category.category === 'shared' ? { owners } : {}),
    ...(category.category === 'anonymous' ? { owners: hostOrNull(() => anonymousOwners(category, reader)) ?? [] } : {}),
    ...(category.category === 'pipes' && pipes?.length ? { range: { leastBytes: 0, mostBytes } } : {}),
    children: category.children.map(named),
  });
  const memory = named(answer.memory);
  const extended = { ...answer, memory, ...(pipes ? { pipes } : {}) };
  const shared = leaves(memory).find(({ category }) => category === 'shared')?.bytes ?? 0;
  // Files include swapped pages.
  const counted = (name: string) => answer.counted?.get(name) ?? 0;
  const swapped = counted('SwapTotal') - counted('SwapFree');
  const owned = files.reduce((sum, { bytes }) => sum + bytes, mappings?.unknownBytes ?? 0);
  const unowned = Math.min(shared, shared - owned + swapped);
  if (missing.length === 0 || unowned < Math.min(NOTABLE_BYTES, NOTABLE_SHARE * memory.bytes)) return extended;
  const message = `up to ${formatSize(unowned)} of shared memory has no known owner (${missing.join('; ')})`;
  const warnings = [...answer.warnings, { code: 'unreadable', message } as const];
  return { ...extended, warnings, complete: false };
}
