import { availableParallelism, totalmem } from 'node:os';
import { formatSize } from '../../base/size.js';
import { UsageError } from '../kit/failure.js';

/** Minimum memory of a worker: node itself needs about 60 MiB. */
export const MIN_WORKER_BYTES = 128 * 2 ** 20;
/** Default memory of a worker: few dumps need as much. */
const USUAL_WORKER_BYTES = 512 * 2 ** 20;
/** Share of the machine's memory for all worker processes together. */
const SHARE = 0.8;

/** Number of dumps read at once, and the memory of each. */
export interface Jobs {
  readonly atOnce: number;
  readonly bytes: number;
}

interface JobOptions {
  readonly jobs?: number;
  readonly workerMemory?: number;
}

/**
 * Divides the available memory among workers. A container may have access to all CPUs of a machine but little
 * of its memory. Then fewer dumps are read at once, since with too little memory each would fail.
 *
 * @throws {UsageError} too many jobs for the available memory
 */
export function shareOut(
  { jobs, workerMemory }: JobOptions,
  cpus = availableParallelism(),
  memory = memoryHere(),
): Jobs {
  const most = SHARE * memory;
  const atOnce = jobs ?? Math.max(1, Math.min(cpus, Math.floor(most / (workerMemory ?? USUAL_WORKER_BYTES))));
  const bytes = workerMemory ?? Math.floor(most / atOnce);
  if (jobs !== undefined && jobs > 1 && bytes < MIN_WORKER_BYTES)
    throw new UsageError(
      `--jobs ${jobs}: too little memory, ${formatSize(bytes)} for each worker (at least 128 MiB)`,
      `Use at most --jobs ${Math.max(1, Math.floor(most / MIN_WORKER_BYTES))} here.`,
    );
  return { atOnce, bytes };
}

/** Memory of this machine, or the limit of its container, in bytes. */
function memoryHere(): number {
  const most = process.constrainedMemory();
  return most > 0 && most < totalmem() ? most : totalmem();
}
