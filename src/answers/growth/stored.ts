import { z } from 'zod';
import { UNKNOWN_HELD } from '../../account/processes/process.js';
import {
  type MachineSample,
  machineShape,
  type ProcessSample,
  processSampleSchema,
  procsEndSchema,
  procsSampleSchema,
} from '../../contracts/growth.js';
import type { ProcessesAtTime } from '../../growth/processes.js';
import { cgroupFields, placeOf } from '../../records/cgroups.js';

/** Defaults for fields that an earlier release did not store. */
export const laterMachineShape = { noPressureCode: machineShape.noPressureCode.catch(null) };

/** Fields read from stored lines; lines of a later release may contain more. */
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
const endLine = z.object({ schema: procsEndSchema.shape.schema });
const line = z.discriminatedUnion('schema', [lookLine, processLine, endLine]);

/** Error in stored samples, without a line number. */
export class StoredError extends Error {}

/**
 * Reader of stored samples. Throws on a complete line that is unknown or out of place; counts truncated
 * lines.
 */
export class StoredSamples {
  /** Number of lines with incomplete JSON, as left by an interrupted write. */
  torn = 0;
  /** Number of samples with fewer processes than stated, or with process lines that have no first line. */
  cut = 0;
  /** Number of samples that are marked as not containing all processes. */
  partial = 0;
  #look: { readonly machine: MachineSample; readonly most: number; readonly whole: boolean } | null = null;
  #processes: ProcessSample[] = [];
  readonly #pids = new Set<number>();
  /** Whether process lines without the first line of their sample were read. */
  #lost = false;

  /** @param onLook called with each sample after its last line */
  constructor(readonly onLook: (look: ProcessesAtTime) => void) {}

  /** @throws {StoredError}, and errors thrown by `onLook` */
  line(text: string): void {
    if (text.trim() === '') return;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      this.torn++;
      // The next lines may belong to another sample whose first line is truncated.
      const cut = this.cut;
      this.end();
      this.#lost = this.cut > cut;
      return;
    }
    const parsed = line.safeParse(value);
    if (!parsed.success) throw new StoredError(wrongWords(parsed.error, value, 'procs --ndjson'));
    const sample = parsed.data;
    switch (sample.schema) {
      case 'kdump-mem.procs-sample/1':
        this.end();
        this.#look = { machine: machineOf(sample), most: sample.processes, whole: sample.allListed };
        return;
      case 'kdump-mem.process-sample/1':
        this.#take(processOf(sample));
        return;
      case 'kdump-mem.procs-end/1':
        this.end();
    }
  }

  /** Completes the current sample, at the next sample or at the end of the file. */
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
      throw new StoredError(`more than the ${this.#look.most} processes of its sample`);
    const { pid } = sample;
    if (this.#pids.has(pid)) throw new StoredError(`pid ${pid} occurs twice in one sample`);
    this.#pids.add(pid);
    this.#processes.push(sample);
  }
}

/** @param found a machine, among other fields of its line */
export function machineOf(machine: MachineSample): MachineSample {
  return {
    at: new Date(machine.at).toISOString(),
    host: machine.host,
    bootId: machine.bootId,
    uptimeSeconds: machine.uptimeSeconds,
    memTotalBytes: machine.memTotalBytes,
    memAvailableBytes: machine.memAvailableBytes,
    swapTotalBytes: machine.swapTotalBytes,
    swapFreeBytes: machine.swapFreeBytes,
    pressure: machine.pressure,
    noPressure: machine.noPressure,
    noPressureCode: machine.noPressureCode,
  };
}

/** @param found a process, among other fields of its line */
export function processOf(process: Omit<ProcessSample, 'pod' | 'container'>): ProcessSample {
  const { pid, comm, nsPids, cgroup, startTicks, uptimeSeconds, heldBytes, takenBytes, heldBy } = process;
  const { minorFaults, majorFaults, cgroupPressure } = process;
  const isKnown = heldBytes !== null && takenBytes !== null && heldBy !== null;
  return {
    pid,
    comm,
    nsPids,
    ...cgroupFields(cgroup === null ? null : placeOf(cgroup)),
    startTicks,
    uptimeSeconds,
    ...(isKnown ? { heldBytes, takenBytes, heldBy } : UNKNOWN_HELD),
    minorFaults,
    majorFaults,
    cgroupPressure,
  };
}

/** Returns why a line does not match its schema. @param command the command that should have printed it */
export function wrongWords({ issues }: z.ZodError, value: unknown, command: string): string {
  const [first] = issues;
  const schema = z.object({ schema: z.string() }).safeParse(value);
  if (!schema.success) return `not a line of ${command}: it contains no schema`;
  if (first?.code === 'invalid_union' || first?.path[0] === 'schema')
    return `${schema.data.schema.slice(0, 80)} is not a sample of ${command}`;
  return `${first?.path.join('.')}: ${first?.message}`;
}
