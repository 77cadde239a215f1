import type { RecordingEnd, StacksWarning } from '../../profile/faults/answer.js';
import type { Explanations } from './explanation.js';

/** Of `kdump-mem procs --stacks`. */
export const STACK_WARNINGS: Explanations<StacksWarning['code']> = {
  lost: {
    means: 'Some records were lost because a kernel buffer was full: their stacks are unknown.',
    known: 'perf counts them (PERF_RECORD_LOST).',
    next: 'Record for a shorter time, or when the process faults less.',
  },
  contradicted: {
    means: 'The records of perf and the counters of the kernel are inconsistent.',
    known: 'Page faults (/proc/PID/stat) and RssAnon before and after, compared with the records.',
    next: 'Read the message for possible causes. Do not rely on the totals.',
  },
  'ended-early': {
    means: 'The recording ended early. Everything recorded until then is reported.',
    known: 'The process exited, the file reached its limit, or perf was interrupted.',
    next: 'Record again, with a larger --max-size if the file was full.',
  },
  unreadable: {
    means: 'Some lines of perf script are malformed or unsupported, and were skipped.',
    known: 'Each line that does not parse is counted.',
    next: 'Report the version of perf (perf --version) and such a line.',
  },
};

/** Why recording or watching ended. */
export const ENDINGS: Explanations<RecordingEnd | 'signal' | 'stored'> = {
  time: {
    means: 'The requested time has passed.',
    known: 'The clock.',
    next: 'Nothing.',
  },
  interrupted: {
    means: 'It was interrupted (Ctrl-C). Everything recorded until then is reported.',
    known: 'The signal.',
    next: 'Nothing.',
  },
  'process-ended': {
    means: 'The process exited. Everything recorded until then is reported.',
    known: 'perf exited by itself, and the process no longer exists.',
    next: 'If that was unexpected, check the log for the OOM killer.',
    deeper: 'kdump-mem log --live',
  },
  'size-limit': {
    means: 'The recording reached its size limit.',
    known: 'The size of the file.',
    next: 'Record with a larger --max-size, or for a shorter time.',
  },
  signal: {
    means: 'It was interrupted by a signal. Everything sampled until then is reported.',
    known: 'SIGINT, SIGTERM or SIGHUP.',
    next: 'Nothing: --store continues where it stopped.',
  },
  stored: {
    means: 'Nothing was sampled: the report covers stored samples.',
    known: '--for 0.',
    next: 'Nothing.',
  },
};
