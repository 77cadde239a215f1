import type { SiteFrame } from './recording.js';

/**
 * Where what a CPU did was interrupted: what stands beyond has nothing to do with the allocation. Softirqs run
 * upon whatever was interrupted, or in ksoftirqd (kernel/softirq.c); faults upon whatever touched memory.
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

/** What runs since it is traced. */
const TRACER = /^(__traceiter_|trace_event_raw_event_|perf_trace_|__bpf_trace_|bpf_trace_run)/;

/** Those of the tracer, and of the allocators themselves: who called them is who allocates. */
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
 * The frames that tell who allocates: up to where the CPU was interrupted. Stacks that differ beyond it alone
 * are one site.
 *
 * @param frames innermost first
 */
export function ownFrames(frames: readonly SiteFrame[]): readonly SiteFrame[] {
  const entry = frames.findIndex(isEntry);
  return entry < 0 ? frames : frames.slice(0, entry + 1);
}

/** Whether a CPU was interrupted there. */
export function isEntry({ symbol }: SiteFrame): boolean {
  return symbol !== null && matches(ENTRIES, symbol);
}

/** The same without functions of the allocator and of the tracer; all of them where nothing else is there. */
export function callers(frames: readonly SiteFrame[]): readonly SiteFrame[] {
  const first = frames.findIndex(
    ({ symbol, line }) => line !== null || symbol === null || !matches(ALLOCATORS, plain(symbol)),
  );
  return first < 0 ? frames : frames.slice(first);
}

/** What the kernel did for the allocation, without what it did to trace that. */
export function untraced(frames: readonly SiteFrame[]): readonly SiteFrame[] {
  const first = frames.findIndex(({ symbol }) => symbol === null || !TRACER.test(symbol));
  return first < 0 ? frames : frames.slice(first);
}

function matches(patterns: readonly RegExp[], symbol: string): boolean {
  return patterns.some((pattern) => pattern.test(symbol));
}

/** Without what the compiler adds to clones of functions, and allocation profiling to names. */
function plain(symbol: string): string {
  return symbol
    .replace(/(\.(isra|constprop|part|cold|llvm)(\.\d+)?)+$/, '')
    .replace(/_noprof$/, '');
}
