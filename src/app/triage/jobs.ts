import { availableParallelism, totalmem } from 'node:os';
import { formatSize } from '../../answers/text/size.js';
import { UsageError } from '../kit/failure.js';

/** Node itself needs some 60 MiB. */
export const LEAST_WORKER_BYTES = 128 * 2 ** 20;
/** Default memory of a worker: few dumps need so much. */
const USUAL_WORKER_BYTES = 512 * 2 ** 20;
/** Of the machine's memory, for all processes together. */
const SHARE = 0.8;

/** How many dumps are looked at at once, and with how much memory each. */
export interface Jobs {
  readonly atOnce: number;
  readonly bytes: number;
}

interface JobOptions {
  readonly jobs?: number;
  readonly workerMemory?: number;
}

/**
 * Shares what there is. A container may see all CPUs of a machine and have little of its memory: then fewer are
 * looked at at once, since with too little each of them would fail.
 *
 * @throws {UsageError} so many jobs were asked for that none would have enough
 */
export function shareOut(
  { jobs, workerMemory }: JobOptions,
  cpus = availableParallelism(),
  memory = memoryHere(),
): Jobs {
  const most = SHARE * memory;
  const atOnce =
    jobs ?? Math.max(1, Math.min(cpus, Math.floor(most / (workerMemory ?? USUAL_WORKER_BYTES))));
  const bytes = workerMemory ?? Math.floor(most / atOnce);
  if (jobs !== undefined && jobs > 1 && bytes < LEAST_WORKER_BYTES)
    throw new UsageError(
      `--jobs ${jobs}: too little memory, ${formatSize(bytes)} for each worker (at least 128 MiB)`,
      `Use at most --jobs ${Math.max(1, Math.floor(most / LEAST_WORKER_BYTES))} here.`,
    );
  return { atOnce, bytes };
}

/** Bytes that this machine has, or its container may take. */
function memoryHere(): number {
  const most = process.constrainedMemory();
  return most > 0 && most < totalmem() ? most : totalmem();
}
