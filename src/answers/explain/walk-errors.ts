import type { WalkErrorCode } from '../../base/errors/walk.js';
import type { Explanations } from './explanation.js';

/** Why a requested object was not found. */
export const WALK_ERRORS: Explanations<WalkErrorCode> = {
  'no-such-pid': {
    means: 'No process or thread has this pid.',
    known: 'The kernel’s list of tasks, or /proc.',
    next: 'List processes: kdump-mem procs.',
    deeper: 'kdump-mem procs',
  },
  'kernel-thread': {
    means: 'The pid is that of a kernel thread, which has neither files nor memory of its own.',
    known: 'task_struct.mm is null.',
    next: 'See its stack.',
    deeper: 'kdump-mem stacks',
  },
  'no-such-netns': {
    means: 'No network namespace has this inode number.',
    known: 'The kernel’s list of them (net_namespace_list).',
    next: 'List namespaces: kdump-mem sockets --by netns.',
    deeper: 'kdump-mem sockets',
  },
  'no-such-fd': {
    means: 'The process has no open descriptor with this number.',
    known: 'Its table of files (files_struct).',
    next: 'List its sockets: kdump-mem skb --pid N.',
    deeper: 'kdump-mem skb',
  },
  'not-a-socket': {
    means: 'The object is not a socket, or no longer one.',
    known: 'file.f_op, or the fields of the sock.',
    next: 'List the sockets of the process.',
    deeper: 'kdump-mem skb',
  },
  'no-such-symbol': {
    means: 'This kernel has no such symbol; other versions or configurations may.',
    known: 'The kernel’s own table of symbols (kallsyms).',
    next: 'Check the name. Symbols of modules are written MODULE:NAME.',
  },
  'ambiguous-symbol': {
    means: 'Several kernel symbols have this name.',
    known: 'The kernel’s own table of symbols (kallsyms).',
    next: 'Use the address instead of the name.',
  },
  'no-such-cpu': {
    means: 'No CPU has this number, or it ran no matching task.',
    known: 'The masks of CPUs that are online and possible.',
    next: 'List the CPUs.',
    deeper: 'kdump-mem info',
  },
  'no-such-type': {
    means: 'The kernel has no type with this name.',
    known: 'BTF of the kernel and of its modules.',
    next: 'Check the name. Types of modules need their BTF.',
  },
  'ambiguous-type': {
    means: 'The kernel or its modules have several different types with this name.',
    known: 'BTF of the kernel and of its modules.',
    next: 'Name the module.',
  },
  'no-such-member': {
    means: 'The type has no such member; other kernel versions may.',
    known: 'BTF of the kernel.',
    next: 'List its members.',
    deeper: 'kdump-mem struct TYPE',
  },
};
