import type { WorkerFailureCode } from '../../triage/batch/worker-failure.js';
import type { Explanation, Explanations } from './explanation.js';

const of = (means: string, known: string, next: string): Explanation => ({
  means,
  known,
  next,
  deeper: 'kdump-mem triage --ndjson --retry --resume FILE',
});

/** Why the worker process of one dump reported nothing: `error.code` of its line. */
export const WORKER_FAILURES: Explanations<WorkerFailureCode> = {
  'timed-out': of(
    'The worker exceeded the time limit for one dump and was killed.',
    'The limit of --timeout.',
    'Raise --timeout. A network drive or a corrupt dump is slow.',
  ),
  killed: of(
    'A signal that kdump-mem did not send killed the worker.',
    'The signal in the exit status.',
    'Check the kernel log: the OOM killer may have killed it.',
  ),
  'out-of-memory': of(
    'The worker exceeded the memory limit for one dump and was killed.',
    'The limit of --worker-memory: resident memory, sampled a few times a second, and the V8 heap.',
    'Raise --worker-memory, and use fewer workers (--jobs).',
  ),
  exhausted: of(
    'The machine ran out of processes, file descriptors or memory. The dump is not the cause.',
    'errno.',
    'Raise the limits (ulimit), or use fewer workers (--jobs).',
  ),
  'worker-failed': of(
    'The worker failed. The line contains its last output.',
    'Its exit status.',
    'Run triage on that dump alone, and report its output.',
  ),
};
