import { isHostError } from '../../base/errors/host.js';
import type { ReadingSource } from './reading-source.js';

/** Whether allocations are counted (allocation profiling, from 6.10 on). */
export const PROFILING = '/proc/sys/vm/mem_profiling';

/** Null: the kernel does not tell. */
export function isSwitchOn(source: Pick<ReadingSource, 'readText'>, path: string): boolean | null {
  try {
    return source.readText(path).trim() === '1';
  } catch (error) {
    if (!isHostError(error)) throw error;
    return null;
  }
}
