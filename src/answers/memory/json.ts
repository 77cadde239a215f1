import type { MemoryAnswer } from '../../account/memory/answer.js';
import type { MemoryEndJson, MemoryJson } from '../../contracts/memory.js';

/** Returns what JSON has of an answer. */
export function memoryJson({
  lacksProcesses: _,
  contradictions: _contradictions,
  sharedFiles: _sharedFiles,
  inCgroup: _inCgroup,
  census: _census,
  queues: _queues,
  counted: _counted,
  otherCounters: _otherCounters,
  ...answer
}: MemoryAnswer): MemoryJson {
  return { ...answer, named: answer.named?.map((memory) => ({ nodes: null, processes: null, ...memory })) ?? null };
}

/** Returns the last line of `--watch --json`. */
export function memoryWatchEnd(samples: number, interrupted: boolean): MemoryEndJson {
  return { schema: 'kdump-mem.memory-end/1', samples, interrupted };
}
