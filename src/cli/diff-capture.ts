import { chosen } from '../account/processes/chosen.js';
import { hostProcesses } from '../account/processes/host.js';
import { type CapturedFiles, readCapture } from '../host/capture/files.js';
import { CapturedHost } from '../host/capture/host.js';
import { HostError, isHostError } from '../host/error.js';
import { readProcesses } from '../host/proc/process-memory.js';
import { hostTaken } from '../host/proc/taken.js';
import { KernelError } from '../kernel/error.js';
import { memoryJson } from '../report/memory/json.js';
import { procsJson } from '../report/procs/json.js';
import { capturedAt } from './captured-source.js';
import { memoryOfCapture } from './memory-captured.js';
import { look } from './skcheck-look.js';

/**
 * Asks a capture what it knows of a host. A part that it lacks is not there.
 *
 * @throws {HostError} it cannot be read, or knows nothing that can be compared
 */
export async function askCapture(path: string): Promise<unknown[]> {
  const files = await readCapture(path);
  const parts = [
    await part(() => memoryJson(memoryOfCapture(path, files))),
    await part(() => processesOf(path, files)),
    await part(() => socketsOf(files)),
  ];
  const told = parts.flatMap((one) => ('told' in one ? [one.told] : []));
  const [first] = parts;
  if (told.length === 0 && first && 'why' in first) throw first.why;
  return told;
}

async function part<T>(
  read: () => T | Promise<T>,
): Promise<{ readonly told: T } | { readonly why: HostError | KernelError }> {
  try {
    return { told: await read() };
  } catch (error) {
    if (isHostError(error) || error instanceof KernelError) return { why: error };
    throw error;
  }
}

function processesOf(path: string, files: CapturedFiles) {
  const { host, of, warnings } = capturedAt(files, 'last');
  const records = readProcesses(host);
  if (records.processes.length === 0)
    throw new HostError('unreadable', `${path} has no memory of processes`);
  const found = hostProcesses(records, undefined, { captured: of, warnings });
  return procsJson(chosen({ ...found, taken: hostTaken(host, of.taken) }, {}, String));
}

/** As `skcheck --from` tells them all. */
async function socketsOf(files: CapturedFiles) {
  const { report } = await look(new CapturedHost(files), { interval: 0, minBytes: 0, minAge: 0 });
  return report;
}
