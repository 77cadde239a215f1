import type { KernelSymbols } from '../host/proc/kallsyms.js';
import { NO_STACK, OTHER_STACK, type StackTable } from './follow/stack-table.js';
import type { Site, SiteFrame } from './recording.js';

/**
 * Functions at which a CPU was interrupted: frames beyond them are unrelated to the allocation. Softirqs run
 * on top of the interrupted code, or in ksoftirqd (kernel/softirq.c); page faults on top of any code that
 * accesses memory.
 */
const ENTRIES = [
  /^(__do_softirq|handle_softirqs|__softirqentry_text_start|__do_softirq_own_stack)$/,
  /^(asm_|__)?common_interrupt$/,
  /^(asm_)?sysvec_[a-z0-9_]+$/,
  /^(asm_)?exc_(page_fault|nmi)$/,
  /^asm_call_irq_on_stack$/,
  // arm64: arch/arm64/kernel/entry.S
  /^(el[01][th]?_(64_|32_)?(irq|fiq|sync|da|error)|el0_ia|gic_handle_irq)$/,
  /^el[01][th]?_64_(irq|fiq)_handler$/,
];

/** Functions that run because of tracing. */
const TRACER = /^(__traceiter_|trace_event_raw_event_|perf_trace_|__bpf_trace_|bpf_trace_run)/;

/** Functions of the tracer and the allocators: their caller is the allocation site. */
const ALLOCATORS = [
  TRACER,
  /^_*(alloc_pages?|get_free_pages?|get_zeroed_page|get_page_from_freelist|alloc_frozen_pages?)(_.*)?$/,
  /^_*(folio_alloc|vma_alloc_folio|alloc_zeroed_user_highpage)(_.*)?$/,
  /^_*(kmalloc|kmem_cache_alloc|kmem_cache_zalloc|kzalloc|kcalloc|krealloc|kmemdup|kstrdup|kvmalloc|do_kmalloc)(_.*)?$/,
  /^_*(slab_alloc|allocate_slab|new_slab|alloc_slab_page|refill_objects|cache_alloc_refill)(_.*)?$/,
  /^_*(vmalloc|vzalloc)(_.*)?$/,
  /^(post_alloc_hook|prep_new_page|kasan_.*|memcg_.*|mempool_alloc.*|stack_trace_save|save_stack|set_track_prepare)$/,
];

/**
 * The frames of the allocation itself: up to the interrupted function. Stacks that differ only beyond it are
 * one site.
 *
 * @param frames innermost first
 */
export function ownFrames(frames: readonly SiteFrame[]): readonly SiteFrame[] {
  const entry = frames.findIndex(isEntry);
  return entry < 0 ? frames : frames.slice(0, entry + 1);
}

/** Whether a CPU was interrupted at this frame. */
export function isEntry({ symbol }: SiteFrame): boolean {
  return symbol !== null && matches(ENTRIES, symbol);
}

/** The same without functions of the allocator and of the tracer; all frames if no other remains. */
export function callers(frames: readonly SiteFrame[]): readonly SiteFrame[] {
  const first = frames.findIndex(
    ({ symbol, line }) => line !== null || symbol === null || !matches(ALLOCATORS, plain(symbol)),
  );
  return first < 0 ? frames : frames.slice(first);
}

/** The frames without those of the tracer. */
export function untraced(frames: readonly SiteFrame[]): readonly SiteFrame[] {
  const first = frames.findIndex(({ symbol }) => symbol === null || !TRACER.test(symbol));
  return first < 0 ? frames : frames.slice(first);
}

function matches(patterns: readonly RegExp[], symbol: string): boolean {
  return patterns.some((pattern) => pattern.test(symbol));
}

/** Removes suffixes of compiler clones, and the prefix of allocation profiling. */
function plain(symbol: string): string {
  return symbol
    .replace(/(\.(isra|constprop|part|cold|llvm)(\.\d+)?)+$/, '')
    .replace(/_noprof$/, '');
}

/**
 * Names stacks of addresses. Stacks that differ only beyond the interrupted function are one site, so that
 * they are estimated together.
 */
export class StackSites {
  readonly sites = new Map<string, Site>();
  readonly #byStack = new Map<number, string>();
  readonly #byKey = new Map<string, string>();
  readonly #frames = new Map<bigint, SiteFrame>();
  readonly #stacks: StackTable;
  readonly #symbols: KernelSymbols | null;

  /** @param symbols null: addresses remain without names */
  constructor(stacks: StackTable, symbols: KernelSymbols | null) {
    this.#stacks = stacks;
    this.#symbols = symbols;
  }

  /** The site of a stack, by its number. */
  readonly of = (stack: number): string => {
    const known = this.#byStack.get(stack);
    if (known !== undefined) return known;
    const all = this.#stacks.addresses(stack).map((address) => this.#frame(address));
    const frames = ownFrames(all);
    // Functions without a name may be the same or not.
    const isNamed = frames.length > 0 && frames.every(({ symbol }) => symbol !== null);
    const key = isNamed ? frames.map(keyOf).join(';') : '';
    const id = this.#byKey.get(key) ?? idOf(stack);
    if (isNamed) this.#byKey.set(key, id);
    this.#byStack.set(stack, id);
    if (!this.sites.has(id)) this.sites.set(id, { id, kind: 'stack', frames });
    return id;
  };

  /** A return address is behind the call. */
  #frame(address: bigint): SiteFrame {
    const known = this.#frames.get(address);
    if (known) return known;
    const found = this.#symbols?.at(address - 1n) ?? null;
    const frame = found
      ? { symbol: found.name, offset: found.offset + 1, module: found.module, line: null }
      : { symbol: null, offset: null, module: null, line: null };
    this.#frames.set(address, frame);
    return frame;
  }
}

function keyOf({ symbol, offset, module }: SiteFrame): string {
  return `${module ?? ''}!${symbol}+${offset}`;
}

function idOf(stack: number): string {
  if (stack === NO_STACK) return 'no-stack';
  return stack === OTHER_STACK ? 'other-stacks' : `stack-${stack}`;
}

/**
 * Receives allocations and frees in the order in which they happened, over all CPUs. Implementations must not
 * allocate per event: there may be 100,000 per second.
 */
export interface AllocationSink {
  /**
   * @param place number of the first frame, or the lower 52 bits of an object's address
   * @param length frames, or bytes
   * @param time nanoseconds on the trace's clock
   * @param stack number in `StackTable`; -1: none
   */
  allocated(place: number, length: number, time: number, tid: number, stack: number): void;
  /**
   * A page pool took a page. If its allocation was reported before, that one counts; for bulk allocations
   * some kernels report only this. Pages only.
   */
  pooled?(frame: number, time: number, tid: number, stack: number): void;
  /**
   * @param length frames, or bytes; 0: not reported (an object is freed completely)
   * @param tid thread that freed it; 0 or absent: an interrupt, or not reported
   */
  freed(place: number, length: number, time: number, tid?: number): void;
  /**
   * Allocated by a thread that is not followed: the place was free before, and its free will match no
   * allocation.
   */
  skipped?(place: number, length: number, time: number): void;
  /** Number of events lost on a CPU before this moment; null: unknown. */
  lost(count: number | null, time: number): void;
}
