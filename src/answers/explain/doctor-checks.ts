import { CHECK_CODES, type CheckCode, type CheckState } from '../../doctor/check.js';
import { CHECK_WORDS } from '../doctor/words.js';
import type { Explanation, Explanations } from './explanation.js';

/** What each check looks at, and what it is known by. */
const LOOKED_AT: Readonly<Record<CheckCode, readonly [what: string, known: string]>> = {
  root: ['The rights of this user.', 'The user, and CapEff of /proc/self/status.'],
  processes: [
    'Whether processes of others are shown, and what they map.',
    '/proc/1, and the pid namespace.',
  ],
  ss: ['The program ss, which lists sockets.', 'ss -V.'],
  namespaces: ['Entering network namespaces of others.', 'nsenter, and the rights that it needs.'],
  counters: ['The kernel’s counters of memory.', '/proc/meminfo, vmstat and zoneinfo.'],
  pageflags: ['Flags of page frames.', '/proc/kpageflags is opened.'],
  kcore: [
    'The memory of the running kernel.',
    '/proc/kcore is opened, with symbols and types of this kernel.',
  ],
  crash: ['The program crash.', 'crash --version.'],
  pressure: ['Pressure stall information (PSI).', '/proc/pressure/memory is opened.'],
  perf: [
    'The program perf, and whether it may record.',
    'perf --version, and perf_event_paranoid.',
  ],
  tracefs: ['Events of the kernel.', 'tracefs, where the kernel mounts it.'],
  bpftrace: [
    'The program bpftrace, its version, and whether it may look at the kernel’s events.',
    'bpftrace --version, and bpftrace -l of the event for pages that are allocated.',
  ],
};

/** Checks of `kdump-mem doctor`. */
export const DOCTOR_CHECKS = Object.fromEntries(
  CHECK_CODES.map((code): [CheckCode, Explanation] => {
    const [what, known] = LOOKED_AT[code];
    const { without, remedy } = CHECK_WORDS[code];
    const means = `${what} Where it cannot be used: ${without}`;
    return [code, { means, known, next: remedy, deeper: 'kdump-mem doctor' }];
  }),
) as Explanations<CheckCode>;

/** What a check found. */
export const DOCTOR_STATES: Explanations<CheckState> = {
  works: {
    means: 'It can be used here.',
    known: 'It was tried, and changed nothing.',
    next: 'Nothing.',
  },
  partly: {
    means: 'Some of it can be used here; the answer says what of it.',
    known: 'It was tried, and changed nothing.',
    next: 'See the remedy beside it.',
  },
  refused: {
    means: 'It is here, and may not be used.',
    known: 'The kernel or the program refused it.',
    next: 'See the remedy beside it: mostly rights.',
  },
  missing: {
    means: 'It is not on this machine.',
    known: 'It was looked for.',
    next: 'See the remedy beside it, and what works all the same.',
  },
};
