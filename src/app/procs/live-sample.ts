import type { ProcsAnswer } from '../../account/processes/answer.js';
import { type Capture, hostProcesses } from '../../account/processes/host.js';
import { processSample } from '../../account/processes/sample.js';
import type { ProcessesAtTime } from '../../growth/processes.js';
import type { HostSource } from '../../host/host-source.js';
import { readMachine } from '../../host/proc/machine-sample.js';
import { readCgroupPressure } from '../../host/proc/pressure.js';
import { readProcesses } from '../../host/proc/process-memory.js';
import type { Pressure } from '../../records/machine-sample.js';
import type { ProcessMemoryRecord } from '../../records/processes.js';

/** Of so many cgroups the pressure is read at each look. */
const MOST_CGROUPS = 1000;

/** What a look at a running machine finds. */
export interface LiveSample {
  readonly answer: ProcsAnswer;
  readonly look: ProcessesAtTime;
}

/**
 * @param capture where the source is one
 * @throws {HostError} if /proc does not tell of processes, or of the time
 */
export async function lookAtProcesses(
  source: HostSource,
  at: Date,
  capture?: Capture,
): Promise<LiveSample> {
  const machine = readMachine(source, at);
  const records = await readProcesses(source);
  const known = new Map<string, Pressure | null>();
  const pressureOf = (path: string | undefined): Pressure | null => {
    if (path === undefined) return null;
    const told = known.get(path);
    if (told !== undefined) return told;
    const pressure = known.size < MOST_CGROUPS ? readCgroupPressure(source, path) : null;
    known.set(path, pressure);
    return pressure;
  };
  const answer = hostProcesses(records, undefined, capture);
  // A program that has just started grows: we would name ourselves.
  const others = capture
    ? records.processes.map(likeTheFirst)
    : records.processes.filter(({ pid }) => pid !== process.pid);
  const processes = others.map((record) => processSample(record, pressureOf(record.cgroup?.path)));
  return { answer, look: { machine, processes, whole: !records.hidden } };
}

/** What a process maps is captured once, with the last sample: growth is told by what both have. */
function likeTheFirst(record: ProcessMemoryRecord): ProcessMemoryRecord {
  return { ...record, sums: null };
}
