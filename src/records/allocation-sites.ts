/** A code location of an allocation site. */
export interface SiteFrame {
  /** Name in kallsyms; null if the address has no symbol. */
  readonly symbol: string | null;
  /** Bytes from the start of the function. */
  readonly offset: number | null;
  readonly module: string | null;
  /** Source file and line, if the source reports them (allocation profiling). */
  readonly line: string | null;
  /** Always false: frames come from the kernel’s own unwinder. */
  readonly guess: boolean;
}

/** Allocation site: a stack, or the part of it that the source records. */
export interface Site {
  readonly id: string;
  /** `caller`: one function. `line`: one line of source. */
  readonly kind: 'stack' | 'caller' | 'line';
  /** Innermost first. May include functions of the allocator itself. */
  readonly frames: readonly SiteFrame[];
}

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
  return symbol.replace(/(\.(isra|constprop|part|cold|llvm)(\.\d+)?)+$/, '').replace(/_noprof$/, '');
}
