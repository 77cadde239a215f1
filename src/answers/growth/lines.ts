import type {
  GrownProcess,
  ProcessSampleJson,
  ProcsEndJson,
  ProcsGrowthJson,
  ProcsSampleJson,
} from '../../contracts/growth.js';
import type { ProcessFigures } from '../../contracts/procs.js';
import type { GrowthAnswer } from '../../growth/answer.js';
import type { Warning } from '../../walk/warnings.js';

/** Maximum number of named processes that exited between two samples. */
const MAX_ENDED = 100;

/** Returns the first line of a sample. */
export function procsSample(
  { machine, loss, ended, complete }: GrowthAnswer,
  facts: Pick<ProcsSampleJson, 'sample' | 'processes' | 'allListed'> & { readonly warnings: readonly Warning[] },
): ProcsSampleJson {
  return {
    schema: 'kdump-mem.procs-sample/1',
    sample: facts.sample,
    ...machine,
    processes: facts.processes,
    ...loss,
    ended: ended.slice(0, MAX_ENDED),
    endedProcesses: ended.length,
    allListed: facts.allListed,
    complete,
    warnings: facts.warnings,
  };
}

/** Returns the line of a process. */
export function processSampleLine(figures: ProcessFigures, grown: GrownProcess): ProcessSampleJson {
  return { schema: 'kdump-mem.process-sample/1', ...figures, ...grown };
}

/** Returns the last line. */
export function procsEnd(samples: number, interrupted: boolean): ProcsEndJson {
  return { schema: 'kdump-mem.procs-end/1', samples, interrupted };
}

/** Returns the growth computed from stored samples. */
export function procsGrowth(
  { machine, samples, seconds, loss, processes, endedGrowing, boots, notLater, pidsReused, complete }: GrowthAnswer,
  warnings: readonly Warning[],
): ProcsGrowthJson {
  return {
    schema: 'kdump-mem.procs-growth/1',
    machine,
    samples,
    seconds,
    ...loss,
    processes,
    endedGrowing,
    boots,
    notLater,
    pidsReused,
    complete: complete && warnings.length === 0,
    warnings,
  };
}
