import { CHECK_CODES, type CheckCode, type CheckState } from '../../doctor/machine.js';
import { CHECK_WORDS } from '../doctor/render.js';
import type { Explanation, Explanations } from './explanation.js';

/** Subject of each check, and how its result is known. */
const TESTED: Readonly<Record<CheckCode, readonly [what: string, known: string]>> = {
  root: ['The user and its capabilities.', 'The user ID, and CapEff in /proc/self/status.'],
  processes: [
    'Visibility of the processes of other users, and of their mappings.',
    '/proc/1, and the pid namespace.',
  ],
  ss: ['The program ss, which lists sockets.', 'ss -V.'],
  namespaces: [
    'Permission to enter other network namespaces.',
    'nsenter, and the capabilities that it needs.',
  ],
  counters: ['The kernel’s memory counters.', '/proc/meminfo, vmstat and zoneinfo.'],
  pageflags: ['The flags of page frames.', '/proc/kpageflags is opened.'],
  kcore: [
    'The memory of the running kernel.',
    '/proc/kcore is opened, with the symbols and types of this kernel.',
  ],
  crash: ['The program crash.', 'crash --version.'],
  pressure: ['Pressure stall information (PSI).', '/proc/pressure/memory is opened.'],
  perf: [
    'The program perf, and permission to record.',
    'perf --version, and perf stat of one event.',
  ],
  tracefs: ['Kernel trace events.', 'tracefs, at its usual mount points.'],
  bpftrace: [
    'The program bpftrace, its version, and permission to trace kernel events.',
    'bpftrace --version, and bpftrace -l of the page allocation event.',
  ],
};

/** Checks of `kdump-mem doctor`. */
export const DOCTOR_CHECKS = Object.fromEntries(
  CHECK_CODES.map((code): [CheckCode, Explanation] => {
    const [what, known] = TESTED[code];
    const { without, remedy } = CHECK_WORDS[code];
    const means = `${what} Without it: ${without}`;
    return [code, { means, known, next: remedy, deeper: 'kdump-mem doctor' }];
  }),
) as Explanations<CheckCode>;

/** Results of a check. */
export const DOCTOR_STATES: Explanations<CheckState> = {
  works: {
    means: 'The feature works here.',
    known: 'A test that changes nothing.',
    next: 'None.',
  },
  partly: {
    means: 'The feature works in part; the answer says which.',
    known: 'A test that changes nothing.',
    next: 'See the remedy in the answer.',
  },
  refused: {
    means: 'The feature exists here, but permission was denied.',
    known: 'The error of the kernel or the program.',
    next: 'See the remedy in the answer: usually a missing capability.',
  },
  missing: {
    means: 'The feature does not exist on this machine.',
    known: 'The file or program was not found.',
    next: 'See the remedy in the answer, and what works without it.',
  },
};
