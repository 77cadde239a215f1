import type { MethodRefusal } from '../../leaks/offered-method.js';
import type { Explanations } from './explanation.js';

const METHODS = 'kdump-mem leaks --methods';

/** Why a method of `kdump-mem leaks` cannot be had. */
export const METHOD_REFUSALS: Explanations<MethodRefusal> = {
  absent: {
    means: 'This kernel was built without it, or is too old for it.',
    known: 'Its file is not there, where its file system is mounted.',
    next: 'Take another method.',
    deeper: METHODS,
  },
  off: {
    means: 'The kernel has it, and it was not asked for when the kernel started.',
    known: 'The file says so, or is empty.',
    next: 'Start the kernel with what the answer names (page_owner=on, slub_debug=U), or take another method.',
    deeper: METHODS,
  },
  'not-mounted': {
    means: 'The file system that it is in is not mounted.',
    known: 'Its folder is empty.',
    next: 'Mount it: mount -t debugfs debugfs /sys/kernel/debug, or mount -t tracefs tracefs /sys/kernel/tracing.',
    deeper: METHODS,
  },
  denied: {
    means: 'The kernel does not let this user at it.',
    known: 'Opening it failed with EACCES or EPERM.',
    next: 'Ask as root; under lockdown also root is refused.',
    deeper: 'kdump-mem doctor',
  },
  threshold: {
    means:
      'It was told to leave out stacks that hold little: what is small and grows is not in it.',
    known: 'The count threshold of page_owner_stacks.',
    next: 'Set the threshold back to 0, or take another method.',
    deeper: METHODS,
  },
  'not-installed': {
    means: 'It is done by a program that is not installed.',
    known: 'PATH names no folder that has it.',
    next: 'Install bpftrace, or take another method.',
    deeper: METHODS,
  },
  'not-readable': {
    means: 'It is there, and reading it failed.',
    known: 'What the kernel answered stands beside it.',
    next: 'Take another method.',
    deeper: METHODS,
  },
};
