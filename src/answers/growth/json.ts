import type { Held, ProcessSample } from '../../account/processes/process.js';
import type {
  GrowthJson,
  ProcessSampleJson,
  ProcsEndJson,
  ProcsGrowthJson,
  ProcsSampleJson,
} from '../../contracts/growth.js';
import type { ProcessFigures } from '../../contracts/procs.js';
import type { EndedProcess, GrownProcess, GrowthAnswer, Loss } from '../../growth/answer.js';
import type { Growth, Trend } from '../../growth/trend.js';
import type { MachineSample } from '../../records/machine-sample.js';
import type { Warning } from '../../walk/warnings.js';

/** Maximum number of named processes that exited between two samples. */
const MAX_ENDED = 100;

/** Fields of a sample other than growth. */
export interface SampleFacts {
  readonly look: number;
  /** Number of process lines that follow. */
  readonly listed: number;
  readonly whole: boolean;
  readonly warnings: readonly Warning[];
}

/** Returns the first line of a sample. */
export function procsSample(answer: GrowthAnswer, facts: SampleFacts): ProcsSampleJson {
  const { machine, loss, ended, complete } = answer;
  return {
    schema: 'kdump-mem.procs-sample/1',
    sample: facts.look,
    ...machineJson(machine),
    processes: facts.listed,
    ...lossJson(loss),
    ended: ended.slice(0, MAX_ENDED).map(endedJson),
    endedProcesses: ended.length,
    allListed: facts.whole,
    complete,
    warnings: facts.warnings,
  };
}

/** Returns the line of a process. */
export function processSampleJson(figures: ProcessFigures, grown: GrownProcess): ProcessSampleJson {
  return { schema: 'kdump-mem.process-sample/1', ...figures, ...sampleJson(grown.sample), ...grownJson(grown) };
}

/** Returns the last line. */
export function procsEnd(samples: number, interrupted: boolean): ProcsEndJson {
  return { schema: 'kdump-mem.procs-end/1', samples: samples, interrupted };
}

/** Returns the growth computed from stored samples. */
export function procsGrowth(answer: GrowthAnswer, warnings: readonly Warning[]): ProcsGrowthJson {
  const { machine, loss, processes, endedGrowing, samples, seconds } = answer;
  return {
    schema: 'kdump-mem.procs-growth/1',
    machine: machineJson(machine),
    samples,
    seconds,
    ...lossJson(loss),
    processes: processes.map(grownProcessJson),
    endedGrowing: endedGrowing.map(endedJson),
    boots: answer.boots,
    notLater: answer.notLater,
    pidsReused: answer.pidsReused,
    complete: answer.complete && warnings.length === 0,
    warnings,
  };
}

/** Returns a process with its growth rate. */
export function grownProcessJson(grown: GrownProcess): ProcsGrowthJson['processes'][number] {
  return { ...grown.sample.who, ...sampleJson(grown.sample), ...grownJson(grown) };
}

export function machineJson(machine: MachineSample): ProcsGrowthJson['machine'] {
  return {
    at: machine.at.toISOString(),
    host: machine.host,
    bootId: machine.bootId,
    uptimeSeconds: machine.uptime,
    memTotalBytes: machine.total,
    memAvailableBytes: machine.available,
    swapTotalBytes: machine.swapTotal,
    swapFreeBytes: machine.swapFree,
    pressure: machine.pressure,
    noPressure: machine.noPressure,
    noPressureCode: machine.noPressureCode ?? null,
  };
}

export function lossJson({ available, held, rest, ends, explanation }: Loss) {
  return {
    memAvailableGrowth: growthJson(available?.growth),
    memAvailableCourse: courseOf(available),
    processesGrowth: growthJson(held?.growth),
    otherGrowth: growthJson(rest?.growth),
    memAvailableExhausted: ends,
    explanation,
  };
}

export function sampleJson(sample: ProcessSample) {
  const { started, readAt, held, minorFaults, majorFaults, pressure } = sample;
  return {
    startTicks: started,
    uptimeSeconds: readAt,
    ...heldJson(held),
    minorFaults,
    majorFaults,
    cgroupPressure: pressure,
  };
}

function heldJson(held: Held | null) {
  return { heldBytes: held?.bytes ?? null, takenBytes: held?.taken ?? null, heldBy: held?.by ?? null };
}

function grownJson({ trend, minorPerSecond, majorPerSecond }: GrownProcess) {
  return {
    growth: growthJson(trend?.growth),
    course: courseOf(trend),
    minorFaultsPerSecond: minorPerSecond,
    majorFaultsPerSecond: majorPerSecond,
  };
}

export function endedJson({ sample, trend, seenAt, pidReused }: EndedProcess) {
  const { who, started, held } = sample;
  return {
    pid: who.pid,
    comm: who.comm,
    startTicks: started,
    heldBytes: held?.bytes ?? null,
    growth: growthJson(trend?.growth),
    course: courseOf(trend),
    seenSeconds: seenAt,
    pidReused,
  };
}

export function growthJson(growth: Growth | undefined): GrowthJson {
  return growth ?? null;
}

export function courseOf(trend: Trend | null) {
  return trend?.course ?? null;
}
