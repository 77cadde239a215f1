import type { FaultSum, Frame, FunctionSum, SpaceSum, StackSum } from '../../contracts/stacks.js';
import type { Sample } from '../perf/script.js';

/** A sum that grows with each fault or call. */
type Growing<Sum> = { -readonly [Key in keyof Sum]: Sum[Key] extends FaultSum ? Growing<Sum[Key]> : Sum[Key] };

/** Kinds of memory with sums per stack. */
const NEW_KINDS = ['anonymous', 'shared', 'hugetlb'] as const satisfies readonly MappingKind[];
type NewKind = (typeof NEW_KINDS)[number];

/** Further stacks are summed up as one without frames: each takes about 1 KiB. */
const MAX_STACKS = 50_000;

/** Sums samples by stack. Memory use grows with the number of different stacks, not of samples. */
export class StackSums {
  readonly stacks = new Map<string, Growing<StackSum>>();
  readonly space = { mmap: new Map<string, Growing<SpaceSum>>(), brk: new Map<string, Growing<SpaceSum>>() };
  readonly kinds: Readonly<Record<MappingKind, Growing<FaultSum>>> = {
    anonymous: none(),
    shared: none(),
    hugetlb: none(),
    file: none(),
    unknown: none(),
  };
  /** Samples of this process. */
  samples = 0;
  /** By the kernel's two counters. */
  minor = 0;
  major = 0;
  /** Anonymous pages that were swapped in: faults on memory that is not new. */
  readonly swappedIn: Growing<FaultSum> = none();
  /** Faults of forked processes. */
  ofChildren = 0;
  /** Bytes of new memory with a stack that does not reach the start of its thread. */
  truncatedBytes = 0;
  /** Faults on anonymous memory with unknown page size: counted as a base page. */
  sizesUnknown = 0;
  readonly #frames = new Map<string, Frame>();
  #heapEnd: bigint | null;

  /** @param heapEnd end of the heap at the start, null: unknown */
  constructor(
    readonly pid: number,
    readonly period: number,
    readonly pageSize: number,
    heapEnd: bigint | null,
  ) {
    this.#heapEnd = heapEnd;
  }

  add({ pid, what, frames }: Sample): void {
    if (what.type !== 'fault') {
      if (pid === this.pid) this.#call(what.type, what.value, what.anonymous, frames);
      return;
    }
    const times = what.major ? 1 : this.period;
    if (pid !== this.pid) {
      this.ofChildren += times;
      return;
    }
    this.samples++;
    this[what.major ? 'major' : 'minor'] += times;
    const kind = mappingKind(what.mapping);
    const fault = { faults: times, bytes: times * (what.pageBytes ?? this.pageSize) };
    if (what.major && kind === 'anonymous') {
      grow(this.swappedIn, fault);
      return;
    }
    grow(this.kinds[kind], fault);
    if (kind === 'file' || kind === 'unknown') return;
    if (what.pageBytes === null) this.sizesUnknown += times;
    if (!reachesStart(frames)) this.truncatedBytes += fault.bytes;
    this.#stack(kind, frames, fault);
  }

  /** Functions that allocate, each with all its stacks combined. */
  functions(): FunctionSum[] {
    const sums = new Map<Frame | null, Growing<FunctionSum>>();
    for (const stack of this.stacks.values()) {
      const frame = allocatingFrame(stack.frames) ?? null;
      let sum = sums.get(frame);
      if (!sum) {
        sum = { frame, ...noMemory() };
        sums.set(frame, sum);
      }
      sum.newBytes += stack.newBytes;
      for (const kind of NEW_KINDS) grow(sum[kind], stack[kind]);
    }
    return [...sums.values()];
  }

  #stack(kind: NewKind, frames: readonly Frame[], fault: FaultSum): void {
    const own = frames.map((frame) => this.#known(frame));
    const key = own.map(keyOf).join('\n');
    const known = this.stacks.has(key) || this.stacks.size < MAX_STACKS;
    const sum = this.stacks.get(known ? key : '') ?? { frames: known ? own : [], ...noMemory() };
    this.stacks.set(known ? key : '', sum);
    sum.newBytes += fault.bytes;
    grow(sum[kind], fault);
  }

  #call(type: 'mmap' | 'brk', value: bigint, anonymous: boolean, frames: readonly Frame[]): void {
    let bytes = value;
    if (type === 'brk') {
      const before = this.#heapEnd;
      this.#heapEnd = value;
      if (before === null || value <= before) return;
      bytes = value - before;
    } else if (!anonymous) return;
    const own = frames.map((frame) => this.#known(frame));
    const key = own.map(keyOf).join('\n');
    const sums = this.space[type];
    const known = sums.has(key) || sums.size < MAX_STACKS;
    const sum = sums.get(known ? key : '') ?? { frames: known ? own : [], calls: 0, bytes: 0 };
    sums.set(known ? key : '', sum);
    sum.calls++;
    sum.bytes += Number(bytes);
  }

  /** One object per function: the call offset identifies a frame, not the source line. */
  #known({ symbol, module, offset, guess }: Frame): Frame {
    const frame = { symbol, module, offset: symbol === null ? offset : null, guess };
    const key = keyOf(frame);
    const known = this.#frames.get(key);
    if (known) return known;
    this.#frames.set(key, frame);
    return frame;
  }
}

function none() {
  return { faults: 0, bytes: 0 };
}

function noMemory() {
  return { newBytes: 0, anonymous: none(), shared: none(), hugetlb: none() };
}

function grow(sum: Growing<FaultSum>, by: FaultSum): void {
  sum.faults += by.faults;
  sum.bytes += by.bytes;
}

/** Module names contain no NUL. */
function keyOf({ symbol, module, offset }: Frame): string {
  return `${symbol ?? offset}\0${module}`;
}

/** Kinds of memory that a fault can add. */
type MappingKind =
  /** New private memory of the process: heap, stacks, anonymous mappings. */
  | 'anonymous'
  /** tmpfs, memfd, shared anonymous memory: new for the process that touches it first. */
  | 'shared'
  /** Huge pages of the hugetlb pool. */
  | 'hugetlb'
  /** A file's pages, which are in the page cache, and private copies of them. */
  | 'file'
  /** perf does not know the mapping. */
  | 'unknown';

/**
 * Classifies a mapping by its name in perf, which is the kernel's (perf_event_mmap_event,
 * kernel/events/core.c): `//anon`, `[heap]`, `[stack]`, or a path.
 */
export function mappingKind(name: string): MappingKind {
  if (/^(\/\/anon|\[heap\]|\[stack(:\d+)?\]|\[anon:.*\])$/s.test(name)) return 'anonymous';
  if (name === '/anon_hugepage (deleted)') return 'hugetlb';
  if (/^\/(memfd:|dev\/shm\/|SYSV[0-9a-f]{8})|^\/dev\/zero( \(deleted\))?$|^\[anon_shmem:/.test(name)) return 'shared';
  return name === '[unknown]' || name === '' ? 'unknown' : 'file';
}

/** Libraries that allocate for their callers: the C and C++ libraries, and well-known allocators. */
const LIBRARIES =
  /(^|\/)(libc|libc\+\+|libstdc\+\+|libpthread|ld|ld-linux[\w-]*|ld-musl[\w-]*|libgcc_s|libjemalloc|libtcmalloc(_minimal)?|libmimalloc|librpmalloc)([-.][\w.-]*)?( \(deleted\))?$/;

/** Functions of statically linked allocators. */
const FUNCTIONS =
  /^(_*(libc_|GI_+|int_|rjem_|je_|tc_|mi_|g_(try_)?)*(malloc|calloc|realloc|reallocarray|memalign|posix_memalign|aligned_alloc|valloc|pvalloc|free|mmap|mmap64|munmap|mremap|brk|sbrk)[\w@.]*|_*sysmalloc[\w.]*|_*(default_)?morecore[\w@.]*|malloc_consolidate|unlink_chunk[\w.]*|tcache_[\w.]+|_*(mem(set|cpy|move|pcpy)|bzero|str(n?dup|n?cpy))[\w@.]*|operator new.*|_Zn[wa][\w.]*|arena_get2[\w.]*|new_heap|sysmalloc_mmap[\w.]*|syscall)$/;

/** Whether a function only allocates on behalf of its caller. */
function isAllocator({ symbol, module }: Frame): boolean {
  return LIBRARIES.test(module) || (symbol !== null && FUNCTIONS.test(symbol));
}

/**
 * Returns the allocating function: the first frame of a stack, innermost first, that is not in an
 * allocator library. The innermost frame if there is no other.
 */
export function allocatingFrame(frames: readonly Frame[]): Frame | undefined {
  return frames.find((frame) => !isAllocator(frame)) ?? frames[0];
}

/** Whether a stack ends in a thread's start function; otherwise it was truncated. */
export function reachesStart(frames: readonly Frame[]): boolean {
  const last = frames.at(-1)?.symbol;
  return last !== undefined && last !== null && BEGINNINGS.test(last);
}

const BEGINNINGS =
  /^(_start|_*clone3?|_*start_thread|thread_start|_dl_start(_user)?|_*libc_start_main[\w@.]*|runtime\.(goexit|mstart|rt0_go|asmcgocall)[\w.]*|_rt0_[\w]+|__restore_rt)$/;
