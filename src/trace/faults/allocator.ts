import type { Frame } from '../perf/sample.js';

/** Libraries that take memory for who calls them: the C and C++ libraries, and well-known allocators. */
const LIBRARIES =
  /(^|\/)(libc|libc\+\+|libstdc\+\+|libpthread|ld|ld-linux[\w-]*|ld-musl[\w-]*|libgcc_s|libjemalloc|libtcmalloc(_minimal)?|libmimalloc|librpmalloc)([-.][\w.-]*)?( \(deleted\))?$/;

/** The same where a program has them inside, linked statically. */
const FUNCTIONS =
  /^(_*(libc_|GI_+|int_|rjem_|je_|tc_|mi_|g_(try_)?)*(malloc|calloc|realloc|reallocarray|memalign|posix_memalign|aligned_alloc|valloc|pvalloc|free|mmap|mmap64|munmap|mremap|brk|sbrk)[\w@.]*|_*sysmalloc[\w.]*|_*(default_)?morecore[\w@.]*|malloc_consolidate|unlink_chunk[\w.]*|tcache_[\w.]+|_*(mem(set|cpy|move|pcpy)|bzero|str(n?dup|n?cpy))[\w@.]*|operator new.*|_Zn[wa][\w.]*|arena_get2[\w.]*|new_heap|sysmalloc_mmap[\w.]*|syscall)$/;

/** Whether a function takes memory only because another asked it to. */
function isAllocator({ symbol, module }: Frame): boolean {
  return LIBRARIES.test(module) || (symbol !== null && FUNCTIONS.test(symbol));
}

/**
 * Who allocates: of a stack, innermost first, the first function that is none of the libraries that others
 * call for memory. The innermost where there is no other.
 */
export function allocatingFrame(frames: readonly Frame[]): Frame | undefined {
  return frames.find((frame) => !isAllocator(frame)) ?? frames[0];
}

/** Where threads begin: a stack that ends elsewhere was cut off. */
export function reachesStart(frames: readonly Frame[]): boolean {
  const last = frames.at(-1)?.symbol;
  return last !== undefined && last !== null && BEGINNINGS.test(last);
}

const BEGINNINGS =
  /^(_start|_*clone3?|_*start_thread|thread_start|_dl_start(_user)?|_*libc_start_main[\w@.]*|runtime\.(goexit|mstart|rt0_go|asmcgocall)[\w.]*|_rt0_[\w]+|__restore_rt)$/;
