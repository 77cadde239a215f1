import type { WorkerFailureCode } from '../../triage/batch/worker-failure.js';
import type { Explanation, Explanations } from './explanation.js';

const of = (means: string, known: string, next: string): Explanation => ({
  means,
  known,
  next,
  deeper: 'kdump-mem triage --ndjson --retry --resume FILE',
});

/** Why the process that looked at one of many dumps told nothing: `error.code` of its line. */
export const WORKER_FAILURES: Explanations<WorkerFailureCode> = {
  'timed-out': of(
    'It took longer than one dump may, and was ended.',
    'The limit of --timeout.',
    'Give it more time, or see what is slow: a dump on a network drive, or a damaged one.',
  ),
  killed: of(
    'A signal ended it that did not come from this program.',
    'The signal that the process ended with.',
    'Look at the machine’s log: its OOM killer, or somebody, ended it.',
  ),
  'out-of-memory': of(
    'It needed more memory than one dump may, and was ended.',
    'The limit of --worker-memory: memory in RAM, looked at a few times a second, and V8’s heap.',
    'Give it more, and look at fewer dumps at once (--jobs).',
  ),
  exhausted: of(
    'The machine has no more processes, descriptors or memory. It says nothing of the dump.',
    'errno.',
    'Raise the limits (ulimit), or look at fewer dumps at once (--jobs).',
  ),
  'worker-failed': of(
    'It ended in another way than it should, and the line has its last words.',
    'Its exit status.',
    'Look at that dump alone, and report what it prints.',
  ),
};
