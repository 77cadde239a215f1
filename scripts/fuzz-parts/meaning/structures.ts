import type { Kernel } from '../../../src/kernel/kernel.js';
import { commandsOf } from './answers.js';
import { MEMORY } from './memory.js';
import { PROCS } from './procs.js';

/** Structures that every answer rests on: tasks, their memory, files and cgroups, and pages. */
const STRUCTURES = [
  'task_struct',
  'thread_struct',
  'signal_struct',
  'pid',
  'upid',
  'pid_namespace',
  'xa_node',
  'mm_struct',
  'percpu_counter',
  'vm_area_struct',
  'maple_node',
  'files_struct',
  'fdtable',
  '\\*fdtable',
  'file',
  'css_set',
  'cgroup',
  'cgroup_subsys_state',
  'kernfs_node',
  'mem_cgroup',
  'page',
  'folio',
  'slab',
];

/** The answers about processes, memory and sockets, and those structures, bit by bit. */
export const STRUCTURES_OF_ALL = {
  commands: (kernel: Kernel) => [...PROCS.commands(), ...MEMORY.commands(), ...commandsOf(kernel).slice(0, 1)],
  frames: MEMORY.frames,
  only: new RegExp(`^(?:${STRUCTURES.join('|')})(?:\\.|$)`),
  every: true,
};
