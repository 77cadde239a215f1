import type { NativeKernel } from '../../kernel/native/parts.js';
import { readClock } from '../../walk/machine/clock.js';
import { Unknowns } from '../../walk/machine/unknowns.js';
import { attempt } from '../questions.js';

/** Variables of the image, and how many bytes of each are kept at most; `page` for a page of them. */
const VARIABLES: Readonly<Record<string, number | 'page'>> = {
  // crash: which kernel this is, and whether it fits the vmlinux.
  linux_banner: 512,
  // Both: CPUs, and where each has its own variables.
  __cpu_possible_mask: 1024,
  __cpu_present_mask: 1024,
  __cpu_online_mask: 1024,
  __cpu_active_mask: 1024,
  __per_cpu_offset: 65_536,
  nr_cpu_ids: 8,
  // crash: the time of the dump and since boot.
  shadow_timekeeper: 512,
  tk_core: 512,
  timekeeper: 512,
  jiffies_64: 8,
  // crash: memory's size and its nodes; drgn: the vmemmap.
  mem_section: 8,
  _totalram_pages: 8,
  totalram_pages: 8,
  high_memory: 8,
  max_pfn: 8,
  max_low_pfn: 8,
  node_states: 1024,
  node_data: 8192,
  contig_page_data: 8,
  page_offset_base: 8,
  vmalloc_base: 8,
  vmemmap_base: 8,
  zero_pfn: 8,
  huge_zero_pfn: 8,
  nr_swapfiles: 4,
  // crash: hypervisors and a capture kernel.
  xen_start_info: 8,
  pv_info: 64,
  kexec_crash_image: 8,
  crashing_cpu: 4,
  panic_cpu: 8,
  // crash: slab caches, which it lists when asked.
  slab_caches: 16,
  kmem_cache: 8,
  // crash: how tasks are laid out, and how many there are.
  arch_task_struct_size: 4,
  nr_threads: 4,
  modules: 16,
  // drgn: tasks and sockets by the kernel's own lists.
  net_namespace_list: 16,
  memory_block_size_probed: 8,
  // crash: load, clock rate and taints, which it greets with.
  avenrun: 24,
  cpu_khz: 4,
  tainted_mask: 8,
  taint_flags: 1024,
  // crash: interrupt vectors and the top of the page tables.
  idt_table: 'page',
  init_top_pgt: 'page',
  swapper_pg_dir: 'page',
  level3_kernel_pgt: 'page',
  level2_kernel_pgt: 'page',
  level2_fixmap_pgt: 'page',
  nr_irqs: 4,
  // crash: whether stacks can be unwound by the kernel's own tables.
  lookup_num_blocks: 4,
};

/** The variables that crash and drgn look at when they open a dump. */
export function readVariables(kernel: NativeKernel): void {
  // Kernels whose symbols are few need not tell of it.
  new Unknowns().try('the clock', () => readClock(kernel));
  for (const [name, most] of Object.entries(VARIABLES)) {
    attempt(() => readVariable(kernel, name, most === 'page' ? kernel.facts.pageSize : most));
  }
}

function readVariable(kernel: NativeKernel, name: string, most: number): void {
  const address = kernel.symbol(name);
  if (address === undefined) return;
  // As far as the next symbol: a variable's own size is told nowhere.
  const isBehind = (offset: number): boolean => {
    const symbol = kernel.symbolTable?.before(address + BigInt(offset));
    return symbol !== undefined && symbol.address > address;
  };
  let size = most;
  if (isBehind(most - 1)) {
    let low = 0;
    for (size = most - 1; size - low > 1; ) {
      const middle = (low + size) >>> 1;
      if (isBehind(middle)) size = middle;
      else low = middle;
    }
  }
  kernel.read(address, size);
}
