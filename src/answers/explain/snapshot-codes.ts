import type { LeftOut } from '../../capture/read/contents.js';
import type { Condition } from '../../capture/write/when/conditions.js';
import type { Explanations } from './explanation.js';

/** Why a snapshot was due. */
export const SNAPSHOT_CONDITIONS: Explanations<Condition['kind']> = {
  psi: {
    means: 'For more than the limit’s share of 10 s some task waited for memory.',
    known: 'some avg10 of /proc/pressure/memory.',
    next: 'Ask the snapshot where the memory is: kdump-mem memory --from FILE.',
  },
  'psi-full': {
    means: 'For more than the limit’s share of 10 s all tasks waited for memory at once.',
    known: 'full avg10 of /proc/pressure/memory.',
    next: 'Ask the snapshot where the memory is: kdump-mem memory --from FILE.',
  },
  available: {
    means: 'Less memory was available than the limit.',
    known: 'MemAvailable of /proc/meminfo.',
    next: 'Ask the snapshot where the memory is: kdump-mem memory --from FILE.',
  },
  oom: {
    means: 'The OOM killer killed processes since the last snapshot.',
    known: 'oom_kill of /proc/vmstat.',
    next: 'See which: kdump-mem triage --from FILE.',
  },
};

const ON_PURPOSE = 'The snapshot’s manifest lists it.';

/** What a snapshot leaves out on purpose. */
export const SNAPSHOT_LEFT_OUT: Explanations<LeftOut> = {
  environment: {
    means: 'Environment variables of processes are never taken: they hold passwords.',
    known: ON_PURPOSE,
    next: 'Nothing: there is no option for them.',
  },
  arguments: {
    means: 'Arguments of processes and of the kernel’s command line were left out.',
    known: ON_PURPOSE,
    next: 'Take it with --with arguments, if they hold no secrets.',
  },
  'unix-paths': {
    means: 'Names of unix sockets were left out; (left-out) stands in their place.',
    known: ON_PURPOSE,
    next: 'Take it with --with unix-paths.',
  },
  log: {
    means: 'The kernel’s log was left out.',
    known: ON_PURPOSE,
    next: 'Take it without --anonymize: a log has names in free text.',
  },
  names: {
    means: 'Names and addresses were replaced by others.',
    known: ON_PURPOSE,
    next: 'Take it without --anonymize, if they may be known.',
  },
};
