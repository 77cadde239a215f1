import type { RecordingEnd, StacksWarning } from '../../profile/faults/answer.js';
import type { Explanations } from './explanation.js';

/** Of `kdump-mem procs --stacks`. */
export const STACK_WARNINGS: Explanations<StacksWarning['code']> = {
  lost: {
    means: 'The kernel had no room for some records: their stacks are not known.',
    known: 'perf counts them (PERF_RECORD_LOST).',
    next: 'Record for a shorter time, or when the process faults less.',
  },
  contradicted: {
    means: 'What perf recorded and what the kernel counted by itself do not agree.',
    known: 'Faults of /proc/PID/stat and RssAnon, before and after, beside the records.',
    next: 'Read the message: it names what may explain it. Do not take the sums by their word.',
  },
  'ended-early': {
    means: 'The recording ended before its time. What was recorded until then is told.',
    known: 'The process ended, the file was full, or perf was told to end.',
    next: 'Ask again: with --max-size where the file was full.',
  },
  unreadable: {
    means: 'Lines of perf script are of no known form, and were left out.',
    known: 'Each line that does not parse is counted.',
    next: 'Tell us the version of perf (perf --version) and such a line.',
  },
};

/** Why recording or watching ended. */
export const ENDINGS: Explanations<RecordingEnd | 'signal' | 'stored'> = {
  time: {
    means: 'Its time was over, as asked.',
    known: 'The clock.',
    next: 'Nothing.',
  },
  interrupted: {
    means: 'It was told to end (Ctrl-C). What there was until then is told.',
    known: 'The signal.',
    next: 'Nothing.',
  },
  'process-ended': {
    means: 'The process ended. What it did until then is told.',
    known: 'perf ended by itself, and the process is gone.',
    next: 'If that was no plan, see the log: the OOM killer says whom it kills.',
    deeper: 'kdump-mem log --live',
  },
  'size-limit': {
    means: 'The recording was as large as it may get.',
    known: 'The size of its file.',
    next: 'Ask with a larger --max-size, or for a shorter time.',
  },
  signal: {
    means: 'It was told to end, and told what there was until then.',
    known: 'SIGINT, SIGTERM or SIGHUP.',
    next: 'Nothing: --store goes on where it ended.',
  },
  stored: {
    means: 'Nothing was watched: the answer is of stored samples.',
    known: '--for 0.',
    next: 'Nothing.',
  },
};
