import { chosen } from '../../account/processes/chosen.js';
import { hostProcesses } from '../../account/processes/host.js';
import { memoryJson } from '../../answers/memory/json.js';
import { procsJson } from '../../answers/procs/json.js';
import { type CapturedFiles, readCapture } from '../../capture/read/files.js';
import { CapturedHost } from '../../capture/read/host.js';
import type { HostState } from '../../diff/state.js';
import { hostOrigin } from '../../host/proc/machine-sample.js';
import { readProcesses } from '../../host/proc/process-memory.js';
import { capturedAt } from '../kit/captured-source.js';
import { memoryOfCapture } from '../memory/captured.js';
import { withoutMemory } from '../procs/host.js';
import { scan } from '../skcheck/scan.js';
import { queryParts } from './parts.js';

/**
 * Reads the state of a host from a capture.
 *
 * @throws {HostError} it cannot be read, or contains nothing to compare
 */
export async function queryCapture(path: string): Promise<HostState> {
  const files = await readCapture(path);
  return queryParts(path, {
    categories: () => memoryJson(memoryOfCapture(path, files)),
    processes: () => processesOf(path, files),
    sockets: () => socketsOf(files),
  });
}

async function processesOf(path: string, files: CapturedFiles) {
  const { host, of, warnings } = capturedAt(files, 'last');
  const records = await readProcesses(host);
  if (records.processes.length === 0) throw withoutMemory(path);
  const found = hostProcesses(records, undefined, { captured: of, warnings });
  return procsJson(chosen({ ...found, origin: hostOrigin(host, of.taken) }, {}, String));
}

/** Returns all sockets as `skcheck --from` reports them. */
async function socketsOf(files: CapturedFiles) {
  const { report } = await scan(new CapturedHost(files), { interval: 0, minBytes: 0, minAge: 0 });
  return report;
}
