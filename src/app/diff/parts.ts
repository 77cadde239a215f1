import { accountMemory } from '../../account/memory/memory.js';
import { chosen } from '../../account/processes/groups.js';
import { hostProcesses } from '../../account/processes/host.js';
import { kernelProcesses } from '../../account/processes/kernel.js';
import { accountAll } from '../../account/sockets.js';
import { stateOfValues } from '../../answers/diff/read/answers.js';
import { memoryJson } from '../../answers/memory/json.js';
import { socketsJson } from '../../answers/sockets/json.js';
import { HostError, KernelError, ReadError } from '../../base/errors.js';
import { jsonOf } from '../../base/util.js';
import type { CapturedFiles } from '../../capture/read/captured-files.js';
import { readCapture } from '../../capture/read/files.js';
import { CapturedHost } from '../../capture/read/host.js';
import type { HostState } from '../../diff/state.js';
import { hostOrigin } from '../../host/proc/machine-sample.js';
import { kernelOrigin } from '../../walk/machine/origin.js';
import { capturedAt } from '../kit/captured-source.js';
import { openNativeSource } from '../kit/kernel-source.js';
import { Progress } from '../kit/terminal.js';
import { memoryOfCapture } from '../memory/captured.js';
import { recordsOf } from '../procs/host.js';
import { scan } from '../skcheck/scan.js';

/** Queries of an input, by the name of the part that each returns. */
export type Queries = Readonly<Record<string, () => unknown>>;

/**
 * Returns the state that an input contains. Each failed query is recorded as a flaw of the state.
 *
 * @throws the error of the first query, if all fail
 */
export async function queryParts(name: string, queries: Queries): Promise<HostState> {
  const answers: unknown[] = [];
  const missing: { readonly what: string; readonly error: Error }[] = [];
  for (const [what, ask] of Object.entries(queries)) {
    try {
      const answer = await ask();
      if (answer !== undefined) answers.push(answer);
    } catch (error) {
      if (!isLacking(error)) throw error;
      missing.push({ what, error });
    }
  }
  const [first] = missing;
  if (answers.length === 0 && first) throw first.error;
  const state = stateOfValues(name, answers);
  const flaws = missing.map(({ what, error }) => ({
    code: 'incomplete' as const,
    words: `${what} not available: ${error.message}`,
  }));
  return { ...state, flaws: [...state.flaws, ...flaws] };
}

/** Whether an error is a flaw of the input. Memory exhaustion in kdump-mem is not. */
function isLacking(error: unknown): error is Error {
  if (error instanceof KernelError) return error.code !== 'exhausted';
  return error instanceof HostError || error instanceof ReadError;
}

/**
 * Reads the state of a host from a capture.
 *
 * @throws {HostError} it cannot be read, or contains nothing to compare
 */
export async function queryCapture(path: string): Promise<HostState> {
  const files = await readCapture(path);
  // A sosreport has no fdinfo: devices are missing in it, not absent.
  const isSnapshot = new CapturedHost(files).kind === 'capture';
  return queryParts(path, {
    categories: () => ({ ...memoryJson(memoryOfCapture(path, files)), ...(isSnapshot ? {} : { named: null }) }),
    processes: () => processesOf(path, files),
    sockets: () => socketsOf(files),
  });
}

async function processesOf(path: string, files: CapturedFiles) {
  const { host, of, warnings } = capturedAt(files, 'last');
  const { psText } = host;
  const records = await recordsOf({ source: host, captured: of, warnings, ...(psText && { psText }) }, path);
  const processes = hostProcesses(records, undefined, { captured: of, warnings });
  return chosen({ ...processes, origin: hostOrigin(host, of.takenAt) }, {}, String).answer;
}

/** Returns all sockets as `skcheck --from` reports them. */
async function socketsOf(files: CapturedFiles) {
  const { report } = await scan(new CapturedHost(files), { interval: 0, minBytes: 0, minAge: 0 });
  return report;
}

/**
 * Computes the answers of memory, sockets and procs from a dump; an extract may lack some of them.
 *
 * @throws {KernelError}, {@link ReadError}: it cannot be opened, or contains none of them
 */
export async function queryDump(path: string): Promise<HostState> {
  const kernel = await openNativeSource({ vmcore: [path], engine: 'native' });
  const progress = new Progress();
  try {
    const origin = kernelOrigin(kernel);
    const reading = (at: string) => progress.of(`reading ${at} of ${path}`);
    let census: ReturnType<typeof accountMemory>['census'];
    return await queryParts(path, {
      'page frames': () => {
        const memory = accountMemory(kernel, reading('page frames'), { cgroups: true });
        census = memory.census;
        return memoryJson({ ...memory, origin });
      },
      processes: () => {
        const processes = kernelProcesses(kernel, reading('processes'));
        return chosen({ ...processes, origin }, {}, String).answer;
      },
      sockets: () => {
        const sockets = census ?? accountAll(kernel, { progress: reading('sockets') });
        return jsonOf(socketsJson({ ...sockets, origin }, sockets.sockets));
      },
    });
  } finally {
    progress.clear();
    kernel.close();
  }
}
