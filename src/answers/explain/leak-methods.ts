import type { MethodRefusal } from '../../leaks/offered-method.js';
import type { Explanations } from './explanation.js';

const METHODS = 'kdump-mem leaks --methods';

/** Why a method of `kdump-mem leaks` is not available. */
export const METHOD_REFUSALS: Explanations<MethodRefusal> = {
  absent: {
    means: 'This kernel was built without it, or is too old for it.',
    known: 'Its file does not exist, although the file system is mounted.',
    next: 'Use another method.',
    deeper: METHODS,
  },
  off: {
    means: 'The kernel supports it, but it was not enabled at boot.',
    known: 'Its file is empty or reports it.',
    next: 'Boot with the option in the answer (page_owner=on, slub_debug=U), or use another method.',
    deeper: METHODS,
  },
  'not-mounted': {
    means: 'Its file system is not mounted.',
    known: 'Its directory is empty.',
    next: 'Mount it: mount -t debugfs debugfs /sys/kernel/debug, or mount -t tracefs tracefs /sys/kernel/tracing.',
    deeper: METHODS,
  },
  denied: {
    means: 'Permission denied for this user.',
    known: 'Opening it failed with EACCES or EPERM.',
    next: 'Run it as root. Under kernel lockdown, root is refused too.',
    deeper: 'kdump-mem doctor',
  },
  threshold: {
    means: 'Its count threshold hides small stacks, including those that grow.',
    known: 'The count threshold of page_owner_stacks.',
    next: 'Set the threshold to 0, or use another method.',
    deeper: METHODS,
  },
  'not-installed': {
    means: 'It needs a program that is not installed.',
    known: 'No directory of PATH has the program.',
    next: 'Install bpftrace, or use another method.',
    deeper: METHODS,
  },
  'not-readable': {
    means: 'Its file exists, but reading it failed.',
    known: 'The error of the kernel, printed beside it.',
    next: 'Use another method.',
    deeper: METHODS,
  },
};
