/** Codes are stable: they are part of the JSON. */
export const WORKER_FAILURE_CODES = [
  'timed-out',
  'killed',
  'out-of-memory',
  'exhausted',
  'worker-failed',
] as const;
export type WorkerFailureCode = (typeof WORKER_FAILURE_CODES)[number];

/** Why a worker has no answer. */
export interface WorkerFailure {
  readonly code: WorkerFailureCode;
  readonly message: string;
  readonly signal: string | null;
}
