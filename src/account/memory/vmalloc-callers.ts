import type { CategoryName } from './categories.js';

/** Functions that ask for memory of vmalloc's address space which has a category of its own. */
const MODULES = /^(module_alloc|load_module|move_module|execmem_)/;
const BPF =
  /^(_*bpf_|(?!resv_)\w+_map_alloc|sock_hash_alloc|reuseport_array_alloc|prealloc_|arena_)/;

/** alloc_thread_stack_node, or whatever the compiler made it part of (kernel/fork.c). */
const STACKS =
  /^(alloc_thread_stack_node|dup_task_struct|copy_process|kernel_clone|_do_fork|fork_idle)\b/;

/** Of a module: `name [module]`. */
const OF_A_MODULE = / \[/;

/** The category of what a function took; whoever took a stack for a thread is not told here. */
export function categoryOfCaller(caller = ''): CategoryName {
  if (OF_A_MODULE.test(caller)) return 'vmalloc';
  return MODULES.test(caller) ? 'modules' : BPF.test(caller) ? 'bpf' : 'vmalloc';
}

/** Whether a function takes stacks for threads. */
export function takesStacks(caller: string): boolean {
  return STACKS.test(caller) && !OF_A_MODULE.test(caller);
}
