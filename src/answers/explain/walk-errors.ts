import type { WalkErrorCode } from '../../base/errors/walk.js';
import type { Explanations } from './explanation.js';

/** Why something that was asked for, or that an answer looks for, is not there. */
export const WALK_ERRORS: Explanations<WalkErrorCode> = {
  'no-such-pid': {
    means: 'There is no process or thread of that pid.',
    known: 'The kernel’s list of tasks, or /proc.',
    next: 'Look for it: kdump-mem procs.',
    deeper: 'kdump-mem procs',
  },
  'kernel-thread': {
    means: 'The pid is that of a kernel thread, which has neither files nor memory of its own.',
    known: 'task_struct.mm is null.',
    next: 'Look at its stack.',
    deeper: 'kdump-mem stacks',
  },
  'no-such-netns': {
    means: 'There is no network namespace of that number.',
    known: 'The kernel’s list of them (net_namespace_list).',
    next: 'Look for the inodes that sockets name.',
    deeper: 'kdump-mem sockets',
  },
  'no-such-fd': {
    means: 'The process has no open descriptor of that number.',
    known: 'Its table of files (files_struct).',
    next: 'See what it has: kdump-mem skb --pid N.',
    deeper: 'kdump-mem skb',
  },
  'not-a-socket': {
    means: 'What was named is no socket, or no longer one.',
    known: 'file.f_op, or the fields of the sock.',
    next: 'See which sockets the process has.',
    deeper: 'kdump-mem skb',
  },
  'no-such-symbol': {
    means: 'The kernel has no symbol of that name: other versions or configurations may.',
    known: 'The kernel’s own table of symbols (kallsyms).',
    next: 'Check the name; of a module, give it as MODULE:NAME where that is asked for.',
  },
  'ambiguous-symbol': {
    means: 'Several places of the kernel have that name.',
    known: 'The kernel’s own table of symbols (kallsyms).',
    next: 'Give the address in place of the name.',
  },
  'no-such-cpu': {
    means: 'There is no CPU of that number, or it ran nothing that was asked for.',
    known: 'The masks of CPUs that are online and possible.',
    next: 'See which CPUs there are.',
    deeper: 'kdump-mem info',
  },
  'no-such-type': {
    means: 'The kernel’s types have none of that name.',
    known: 'BTF of the kernel and of its modules.',
    next: 'Check the name; types of modules need BTF of those modules.',
  },
  'ambiguous-type': {
    means: 'The kernel or its modules have several types of that name which differ.',
    known: 'BTF of the kernel and of its modules.',
    next: 'Name the module that is meant.',
  },
  'no-such-member': {
    means: 'The type has no member of that name: other versions of the kernel may.',
    known: 'BTF of the kernel.',
    next: 'See which members it has.',
    deeper: 'kdump-mem struct TYPE',
  },
};
