import { type HostWaits, hostBlocked } from '../../account/host-blocked.js';
import { HostError } from '../../base/errors.js';
import { readCapture } from '../../capture/read/files.js';
import type { BlockedAnswer } from '../../contracts/blocked.js';
import type { HostSource } from '../../host/host-source.js';
import { liveHost } from '../../host/live.js';
import { isKernelThread, listedPids, optionalText, statFields } from '../../host/proc/process.js';
import { WaitCauseReader } from '../../host/proc/wait-causes.js';
import { LastRuns, lockHolders, readFileLocks, readThreads } from '../../host/proc/waits.js';
import type { Warning } from '../../walk/warnings.js';
import { capturedAt } from '../kit/captured-source.js';

/** Time between two samples of this machine: a thread that did not run has waited that long. */
const INTERVAL_MS = 1000;

/** Returns the blocked threads of this machine according to /proc. @throws {HostError} */
export async function blockedHere(): Promise<BlockedAnswer> {
  const threads = readThreads(liveHost, () => {});
  const from = liveHost.now();
  await liveHost.sleep(INTERVAL_MS);
  return hostBlocked(waitsOf(liveHost, { before: { threads, seconds: (liveHost.now() - from) / 1000 } }));
}

/** Returns those of a snapshot. @throws {HostError} */
export async function blockedIn(path: string): Promise<BlockedAnswer> {
  const files = await readCapture(path);
  const [first, last] = (['first', 'last'] as const).map((moment) => capturedAt(files, moment));
  if (!first || !last || last.host.kind !== 'capture')
    throw new HostError('unreadable', `${path}: a sosreport has no states of threads`);
  // From the end of the first sample to that of the last: states were read before and after.
  const ms = Number(last.host.at ?? 0) - Number(first.host.at ?? 0);
  const threads = ms > 0 ? readThreads(first.host, () => {}) : [];
  const { host, of: captured, warnings } = last;
  return hostBlocked(waitsOf(host, { captured, warnings, before: { threads, seconds: ms / 1000 } }));
}

function waitsOf(source: HostSource, given: Partial<HostWaits>): HostWaits {
  const warnings: Warning[] = [...(given.warnings ?? [])];
  const missed = (error: HostError) => void warnings.push({ code: 'unreadable', message: error.message });
  const threads = readThreads(source, missed);
  // Kernel threads are in the initial pid namespace only.
  const kthreadd = statFields(optionalText(source, '/proc/2/stat'));
  if (!listedPids(source).includes('1') || !isKernelThread(kthreadd))
    missed(new HostError('denied', '/proc does not list all processes (hidepid, or a pid namespace)'));
  let fileLocks: HostWaits['fileLocks'] = [];
  try {
    fileLocks = readFileLocks(source, missed);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    missed(error);
  }
  const name = (path: string) => optionalText(source, path).replace(/\n$/, '');
  const causes = new WaitCauseReader(source);
  const runs = new LastRuns(source);
  return {
    threads,
    // Not part of a snapshot.
    ...(source.file ? { secondsSinceRun: (thread) => runs.secondsSince(thread) } : {}),
    causeOf: (thread) =>
      causes.read(
        thread,
        [thread.function, ...(thread.trace ?? []).map(({ symbol }) => symbol)].filter((name) => name !== null),
      ),
    fileLocks,
    before: given.before,
    captured: given.captured ?? null,
    warnings,
    nameOf: ({ pid, process }) => name(`/proc/${process}/task/${pid}/comm`) || name(`/proc/${process}/comm`),
    functionOf: (process) => /^[A-Za-z_][\w.]{0,63}$/.exec(name(`/proc/${process}/wchan`))?.[0] ?? null,
    // A snapshot has descriptors of sockets and pipes only.
    holdersOf: (lock) => (source.file ? lockHolders(source, lock) : null),
  };
}
