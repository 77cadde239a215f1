import { z } from 'zod';
import type { ProcessSample } from '../../account/processes/sample.js';
import type { ProcessesAtTime } from '../../growth/processes.js';
import { placeOf } from '../../records/cgroup-place.js';
import type { MachineSample } from '../../records/machine-sample.js';
import {
  machineShape,
  type ProcsGrowthJson,
  processSampleSchema,
  procsEndSchema,
  procsSampleSchema,
} from './schema.js';

/** What lines lack that an earlier release stored. */
export const laterMachineShape = { noPressureCode: machineShape.noPressureCode.catch(null) };

/** What is read of stored lines; those of a later release may have more. */
const lookLine = z.object({
  ...procsSampleSchema.pick({
    schema: true,
    at: true,
    host: true,
    bootId: true,
    uptimeSeconds: true,
    memTotalBytes: true,
    memAvailableBytes: true,
    swapTotalBytes: true,
    swapFreeBytes: true,
    pressure: true,
    noPressure: true,
    processes: true,
    allListed: true,
  }).shape,
  ...laterMachineShape,
});
const processLine = z.object(
  processSampleSchema.pick({
    schema: true,
    pid: true,
    comm: true,
    nsPids: true,
    cgroup: true,
    startTicks: true,
    uptimeSeconds: true,
    heldBytes: true,
    takenBytes: true,
    heldBy: true,
    minorFaults: true,
    majorFaults: true,
    cgroupPressure: true,
  }).shape,
);
type StoredProcess = Omit<z.infer<typeof processLine>, 'schema'>;
const endLine = z.object({ schema: procsEndSchema.shape.schema });
const line = z.discriminatedUnion('schema', [lookLine, processLine, endLine]);

/** What is wrong with stored samples that nothing can be told of the line. */
export class StoredError extends Error {}

/** A whole line that is none of ours, or one that is where it cannot be, throws; what was cut is counted. */
export class StoredSamples {
  /** Lines that are no whole JSON, as a write leaves that was cut off. */
  torn = 0;
  /** Looks that have fewer processes than they say, or lines of processes whose look is not there. */
  cut = 0;
  /** Looks that say themselves that not all processes are in them. */
  partial = 0;
  #look: {
    readonly machine: MachineSample;
    readonly most: number;
    readonly whole: boolean;
  } | null = null;
  #processes: ProcessSample[] = [];
  readonly #pids = new Set<number>();
  /** Lines of processes come whose look is not there. */
  #lost = false;

  /** @param onLook is given each look when all of its lines have come */
  constructor(readonly onLook: (look: ProcessesAtTime) => void) {}

  /** @throws {StoredError}, and what `onLook` throws */
  line(text: string): void {
    if (text.trim() === '') return;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      this.torn++;
      // What comes now may be of another look, whose first line was cut.
      const cut = this.cut;
      this.end();
      this.#lost = this.cut > cut;
      return;
    }
    const parsed = line.safeParse(value);
    if (!parsed.success) throw new StoredError(wrongWords(parsed.error, value, 'procs --ndjson'));
    const found = parsed.data;
    switch (found.schema) {
      case 'kdump-mem.procs-sample/1':
        this.end();
        this.#look = { machine: machineOf(found), most: found.processes, whole: found.allListed };
        return;
      case 'kdump-mem.process-sample/1':
        this.#take(processOf(found));
        return;
      case 'kdump-mem.procs-end/1':
        this.end();
    }
  }

  /** The look that came last is over: another one comes, or the file ends. */
  end(): void {
    const [look, processes] = [this.#look, this.#processes];
    this.#look = null;
    this.#processes = [];
    this.#pids.clear();
    this.#lost = false;
    if (!look) return;
    const all = processes.length === look.most;
    if (!all) this.cut++;
    if (!look.whole) this.partial++;
    this.onLook({ machine: look.machine, processes, whole: look.whole && all });
  }

  #take(sample: ProcessSample): void {
    if (!this.#look) {
      if (!this.#lost) this.cut++;
      this.#lost = true;
      return;
    }
    if (this.#processes.length === this.#look.most)
      throw new StoredError(`more than the ${this.#look.most} processes that its look has`);
    const { pid } = sample.who;
    if (this.#pids.has(pid)) throw new StoredError(`pid ${pid} is twice in its look`);
    this.#pids.add(pid);
    this.#processes.push(sample);
  }
}

/** @param found what {@link machineJson} made of it */
export function machineOf(found: ProcsGrowthJson['machine']): MachineSample {
  return {
    at: new Date(found.at),
    uptime: found.uptimeSeconds,
    bootId: found.bootId,
    host: found.host,
    total: found.memTotalBytes,
    available: found.memAvailableBytes,
    swapTotal: found.swapTotalBytes,
    swapFree: found.swapFreeBytes,
    pressure: found.pressure,
    noPressure: found.noPressure,
    noPressureCode: found.noPressureCode,
  };
}

/** @param found what {@link sampleJson} made of it, and which it is */
export function processOf(found: StoredProcess): ProcessSample {
  const { pid, comm, nsPids, cgroup, heldBytes, takenBytes, heldBy } = found;
  const known = heldBytes !== null && takenBytes !== null && heldBy !== null;
  return {
    who: { pid, comm, nsPids, cgroup: cgroup === null ? null : placeOf(cgroup) },
    held: known ? { bytes: heldBytes, taken: takenBytes, by: heldBy } : null,
    started: found.startTicks,
    readAt: found.uptimeSeconds,
    minorFaults: found.minorFaults,
    majorFaults: found.majorFaults,
    pressure: found.cgroupPressure,
  };
}

/** What is wrong with a line that its schema does not take. @param command whose lines they should be */
export function wrongWords({ issues }: z.ZodError, value: unknown, command: string): string {
  const [first] = issues;
  const schema = z.object({ schema: z.string() }).safeParse(value);
  if (!schema.success) return `no line of ${command}: it names no schema`;
  if (first?.code === 'invalid_union' || first?.path[0] === 'schema')
    return `${schema.data.schema.slice(0, 80)} is no sample of ${command}`;
  return `${first?.path.join('.')}: ${first?.message}`;
}
