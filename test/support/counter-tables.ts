import { expect } from 'vitest';
import type { Category } from '../../src/account/memory/tree.js';

/**
 * Lines of /proc/meminfo, from meminfo_proc_show (fs/proc/meminfo.c) and hugetlb_report_meminfo (mm/hugetlb.c), and of
 * /proc/vmstat up to its events, from vmstat_text (mm/vmstat.c). x86-64, with CONFIG_NUMA, CONFIG_HUGETLB_PAGE,
 * CONFIG_MEMORY_FAILURE, CONFIG_ZSMALLOC, CONFIG_ZSWAP, CONFIG_SWAP, CONFIG_TRANSPARENT_HUGEPAGE (2.6.38) and CONFIG_CMA
 * except where a line below says otherwise.
 *
 * Read from the sources of 2.6.32.9, 3.10.0-1160.el7, 4.4.60, 4.12.4, 4.14.5, 4.15.1, 4.18.0-240.el8, 5.4.59, 5.10.89,
 * 6.1.192, 6.12.117, 7.1.3. Not from a source: 4.18.0-80.el8, which is from a public sosreport of that kernel; what SUSE
 * adds to 4.12, so that its list is the mainline one without CONFIG_CMA; 7.2, of which only the texts of Debian's
 * vmlinux and include/linux/mmzone.h were compared with 7.1.3.
 */
const HEAD = 'MemTotal MemFree MemAvailable Buffers Cached SwapCached Active Inactive Active(anon) Inactive(anon)';
const LISTS = 'Active(file) Inactive(file) Unevictable Mlocked SwapTotal SwapFree';
const MIDDLE = 'Dirty Writeback AnonPages Mapped Shmem';
const SLAB = 'Slab SReclaimable SUnreclaim KernelStack PageTables';
const END = 'NFS_Unstable Bounce WritebackTmp CommitLimit Committed_AS VmallocTotal VmallocUsed VmallocChunk';
const HUGE = 'HugePages_Total HugePages_Free HugePages_Rsvd HugePages_Surp Hugepagesize';
/** arch_report_meminfo (arch/x86/mm/pageattr.c, later arch/x86/mm/pat/set_memory.c); DirectMap1G if the CPU has it. */
const X86 = 'DirectMap4k DirectMap2M DirectMap1G';
const THP = 'HardwareCorrupted AnonHugePages';
const SHMEM_THP = `${THP} ShmemHugePages ShmemPmdMapped`;
const FILE_THP = `${SHMEM_THP} FileHugePages FilePmdMapped`;
const CMA = 'CmaTotal CmaFree';
const ZSWAP = 'Zswap Zswapped';

const LRU = 'nr_inactive_anon nr_active_anon nr_inactive_file nr_active_file nr_unevictable';
const ZONE_LRU = `${LRU.replaceAll('nr_', 'nr_zone_')} nr_zone_write_pending nr_mlock`;
const ISOLATED = 'nr_isolated_anon nr_isolated_file';
const SLABS = 'nr_slab_reclaimable nr_slab_unreclaimable';
const NUMA = 'numa_hit numa_miss numa_foreign numa_interleave numa_local numa_other';
const TABLES = 'nr_page_table_pages nr_kernel_stack';
const FILES = 'nr_anon_pages nr_mapped nr_file_pages nr_dirty nr_writeback';
const OLD_ITEMS = `nr_free_pages nr_alloc_batch ${LRU} nr_mlock ${FILES} ${SLABS} ${TABLES} nr_unstable nr_bounce nr_vmscan_write nr_vmscan_immediate_reclaim nr_writeback_temp ${ISOLATED} nr_shmem nr_dirtied nr_written`;
const OLD_END = `${NUMA} workingset_refault workingset_activate workingset_nodereclaim nr_anon_transparent_hugepages nr_free_cma`;
const THPS = 'nr_shmem nr_shmem_hugepages nr_shmem_pmdmapped';
const FILE_THPS = `${THPS} nr_file_hugepages nr_file_pmdmapped nr_anon_transparent_hugepages`;
const VMSCAN = 'nr_vmscan_write nr_vmscan_immediate_reclaim nr_dirtied nr_written';
const WORKINGSET =
  'workingset_nodes workingset_refault_anon workingset_refault_file workingset_activate_anon workingset_activate_file workingset_restore_anon workingset_restore_file workingset_nodereclaim';
const PINS = 'nr_kernel_misc_reclaimable nr_foll_pin_acquired nr_foll_pin_released';
const PROMOTE = 'pgpromote_success pgpromote_candidate';
const DEMOTE = 'pgdemote_kswapd pgdemote_direct pgdemote_khugepaged';
/** Items of zones, then (since 4.8) those of nodes. */
const ZONE_4_14 = `nr_free_pages ${ZONE_LRU} ${TABLES} nr_bounce nr_zspages nr_free_cma ${NUMA}`;
const nodes4 = (refault: string, misc = '') =>
  `${LRU} ${SLABS} ${ISOLATED} ${refault} ${FILES} nr_writeback_temp ${THPS} nr_anon_transparent_hugepages nr_unstable ${VMSCAN}${misc}`;
const NODES_4_14 = nodes4('workingset_refault workingset_activate workingset_nodereclaim');
const NODES_5_10 = `${LRU} ${SLABS} ${ISOLATED} ${WORKINGSET} ${FILES} nr_writeback_temp ${FILE_THPS} ${VMSCAN}`;

export interface Kernel {
  readonly release: string;
  readonly lines: string;
  /** Items of zones in /proc/vmstat; before 4.8, of nodes too. */
  readonly zone: string;
  /** Items of nodes, which /proc/zoneinfo prints since 4.8. */
  readonly node?: string;
  /** Lines between nodes and events. */
  readonly more?: string;
  /** Whether /proc/vmstat has oom_kill: since 4.13. */
  readonly oomKill?: true;
  /** Watermarks of /proc/zoneinfo, and sizes after them (zoneinfo_show_print, mm/vmstat.c). */
  readonly marks: string;
  /** What VmallocUsed counts: address space (before 4.4), nothing (to 5.2), pages. */
  readonly vmalloc: 'space' | 'nothing' | 'pages';
}

const OLD_HEAD = HEAD.replace(' MemAvailable', '');
const OLD_MARKS = 'min low high scanned spanned present';
const MARKS = 'min low high spanned present managed';
export const KERNELS: readonly Kernel[] = [
  {
    release: '2.6.32',
    lines: `${OLD_HEAD} ${LISTS} ${MIDDLE} ${SLAB} ${END} HardwareCorrupted ${HUGE} ${X86}`,
    zone: `nr_free_pages ${LRU} nr_mlock ${FILES} ${SLABS} ${TABLES} nr_unstable nr_bounce nr_vmscan_write nr_writeback_temp ${ISOLATED} nr_shmem ${NUMA}`,
    marks: OLD_MARKS,
    vmalloc: 'space',
  },
  {
    release: '3.10.0-1160.el7',
    lines: `${HEAD} ${LISTS} ${MIDDLE} ${SLAB} ${END} Percpu ${THP} ${CMA} ${HUGE} ${X86}`,
    zone: `${OLD_ITEMS} ${OLD_END}`,
    marks: `${OLD_MARKS} managed`,
    vmalloc: 'space',
  },
  {
    release: '4.4.0',
    lines: `${HEAD} ${LISTS} ${MIDDLE} ${SLAB} ${END} ${THP} ${CMA} ${HUGE} ${X86}`,
    zone: `${OLD_ITEMS} nr_pages_scanned ${OLD_END}`,
    marks: `${OLD_MARKS} managed`,
    vmalloc: 'nothing',
  },
  {
    release: '4.12.14-suse',
    lines: `${HEAD} ${LISTS} ${MIDDLE} ${SLAB} ${END} ${SHMEM_THP} ${HUGE} ${X86}`,
    zone: `nr_free_pages ${ZONE_LRU} ${SLABS} ${TABLES} nr_bounce nr_zspages ${NUMA} nr_free_cma`,
    node: NODES_4_14.replace(`${SLABS} `, ''),
    marks: MARKS,
    vmalloc: 'nothing',
  },
  {
    release: '4.14.0',
    lines: `${HEAD} ${LISTS} ${MIDDLE} ${SLAB} ${END} ${SHMEM_THP} ${CMA} ${HUGE} ${X86}`,
    zone: ZONE_4_14,
    node: NODES_4_14,
    oomKill: true,
    marks: MARKS,
    vmalloc: 'nothing',
  },
  {
    release: '4.15.0',
    lines: `${HEAD} ${LISTS} ${MIDDLE} ${SLAB} ${END} ${SHMEM_THP} ${CMA} ${HUGE} ${X86}`,
    zone: ZONE_4_14,
    node: NODES_4_14,
    oomKill: true,
    marks: MARKS,
    vmalloc: 'nothing',
  },
  {
    // Without CONFIG_CMA.
    release: '4.18.0-80.el8',
    lines: `${HEAD} ${LISTS} ${MIDDLE} ${SLAB} ${END} ${SHMEM_THP} ${HUGE} Hugetlb ${X86}`,
    zone: ZONE_4_14,
    node: NODES_4_14,
    oomKill: true,
    marks: MARKS,
    vmalloc: 'nothing',
  },
  {
    release: '4.18.0-240.el8',
    lines: `${HEAD} ${LISTS} ${MIDDLE} KReclaimable ${SLAB} ${END} Percpu ${SHMEM_THP} ${CMA} ${HUGE} Hugetlb ${X86}`,
    zone: ZONE_4_14,
    node: nodes4(
      'workingset_refault workingset_activate workingset_restore workingset_nodereclaim',
      ' nr_kernel_misc_reclaimable',
    ),
    oomKill: true,
    marks: MARKS,
    vmalloc: 'nothing',
  },
  {
    release: '5.4.0',
    lines: `${HEAD} ${LISTS} ${MIDDLE} KReclaimable ${SLAB} ${END} Percpu ${FILE_THP} ${CMA} ${HUGE} Hugetlb ${X86}`,
    zone: ZONE_4_14,
    node: nodes4(
      'workingset_nodes workingset_refault workingset_activate workingset_restore workingset_nodereclaim',
      ' nr_kernel_misc_reclaimable',
    ).replace(`${THPS} nr_anon_transparent_hugepages`, FILE_THPS),
    oomKill: true,
    marks: MARKS,
    vmalloc: 'pages',
  },
  {
    release: '5.10.0',
    lines: `${HEAD} ${LISTS} ${MIDDLE} KReclaimable ${SLAB} ${END} Percpu ${FILE_THP} ${CMA} ${HUGE} Hugetlb ${X86}`,
    zone: `nr_free_pages ${ZONE_LRU} nr_page_table_pages nr_bounce nr_zspages nr_free_cma ${NUMA}`,
    node: `${NODES_5_10} ${PINS} nr_kernel_stack`,
    oomKill: true,
    marks: MARKS,
    vmalloc: 'pages',
  },
  {
    release: '6.1.0',
    lines: `${HEAD} ${LISTS} ${ZSWAP} ${MIDDLE} KReclaimable ${SLAB} SecPageTables ${END} Percpu ${FILE_THP} ${CMA} ${HUGE} Hugetlb ${X86}`,
    zone: `nr_free_pages ${ZONE_LRU} nr_bounce nr_zspages nr_free_cma ${NUMA}`,
    node: `${NODES_5_10} nr_throttled_written ${PINS} nr_kernel_stack nr_page_table_pages nr_sec_page_table_pages nr_swapcached ${PROMOTE}`,
    oomKill: true,
    marks: `boost ${MARKS} cma`,
    vmalloc: 'pages',
  },
  {
    release: '6.12.0',
    lines: `${HEAD} ${LISTS} ${ZSWAP} ${MIDDLE} KReclaimable ${SLAB} SecPageTables ${END} Percpu ${FILE_THP} ${CMA} Unaccepted ${HUGE} Hugetlb ${X86}`,
    zone: `nr_free_pages ${ZONE_LRU} nr_bounce nr_zspages nr_free_cma nr_unaccepted ${NUMA}`,
    node: `${NODES_5_10} nr_throttled_written ${PINS} nr_kernel_stack nr_page_table_pages nr_sec_page_table_pages nr_iommu_pages nr_swapcached ${PROMOTE} ${DEMOTE}`,
    more: 'nr_memmap_pages nr_memmap_boot_pages',
    oomKill: true,
    marks: `boost ${MARKS.replace('high', 'high promo')} cma`,
    vmalloc: 'pages',
  },
  {
    release: '7.2.13',
    lines: `${HEAD} ${LISTS} ${ZSWAP} ${MIDDLE} KReclaimable ${SLAB} SecPageTables ${END} Percpu ${FILE_THP} ${CMA} Unaccepted Balloon GPUActive GPUReclaim ${HUGE} Hugetlb ${X86}`,
    zone: `nr_free_pages nr_free_pages_blocks ${ZONE_LRU} nr_zspages nr_free_cma nr_unaccepted ${NUMA}`,
    node: `${NODES_5_10.replace('nr_writeback_temp ', '')} nr_throttled_written ${PINS} nr_vmalloc nr_kernel_stack nr_page_table_pages nr_sec_page_table_pages nr_iommu_pages nr_swapcached ${PROMOTE} pgpromote_candidate_nrl ${DEMOTE} pgdemote_proactive nr_hugetlb nr_balloon_pages nr_kernel_file_pages nr_gpu_active nr_gpu_reclaim`,
    more: 'nr_memmap_pages nr_memmap_boot_pages',
    oomKill: true,
    marks: `boost ${MARKS.replace('high', 'high promo')} cma`,
    vmalloc: 'pages',
  },
];

export const MIB = 1024;
/** True use of the machine, in KiB; `lists` are per-CPU free lists, `hole` is in no counter of any kernel. */
export const TRUTH = {
  'free-buddy': 3000 * MIB,
  'free-unaccepted': 200 * MIB,
  'free-cpu-lists': 40 * MIB,
  anonymous: 4000 * MIB,
  'swap-cache': 60 * MIB,
  'page-cache': 3500 * MIB,
  shared: 700 * MIB,
  hugetlb: 1024 * MIB,
  'slab-reclaimable': 500 * MIB,
  'slab-unreclaimable': 800 * MIB,
  'kernel-stacks': 30 * MIB,
  'page-tables': 90 * MIB,
  vmalloc: 120 * MIB,
  percpu: 50 * MIB,
  balloon: 100 * MIB,
  gpu: 20 * MIB,
  compressed: 32 * MIB,
} as const;
/** Unaccepted memory exists where the kernel has the line. */
const truthOf = (row: string, lines: string): number | undefined =>
  row === 'free-unaccepted' && !lines.includes('Unaccepted') ? 0 : TRUTH[row as Row];
export const HOLE = 150 * MIB;
export const RESERVED = 300 * MIB;
export const totalOf = (lines: string): number =>
  Object.keys(TRUTH).reduce((sum, row) => sum + (truthOf(row, lines) ?? 0), HOLE);
const freeOf = (lines: string): number => TRUTH['free-buddy'] + (truthOf('free-unaccepted', lines) ?? 0);
/** Pages in the swap cache that are mapped, and therefore in AnonPages too. */
const MAPPED_IN_SWAP = 45 * MIB;
const SEC_TABLES = 12 * MIB;
export type Row = keyof typeof TRUTH;

export function meminfoOf({ lines, vmalloc }: Kernel): string[] {
  const has = (name: string) => lines.split(' ').includes(name);
  const used = TRUTH.vmalloc + TRUTH['kernel-stacks'];
  const values: Readonly<Record<string, number>> = {
    MemTotal: totalOf(lines),
    // Unaccepted memory is free memory.
    MemFree: freeOf(lines),
    MemAvailable: 7000 * MIB,
    Buffers: 300 * MIB,
    Cached: TRUTH['page-cache'] - 300 * MIB + TRUTH.shared,
    SwapCached: TRUTH['swap-cache'],
    AnonPages: TRUTH.anonymous + MAPPED_IN_SWAP,
    Mapped: 900 * MIB,
    Shmem: TRUTH.shared,
    KReclaimable: TRUTH['slab-reclaimable'],
    Slab: TRUTH['slab-reclaimable'] + TRUTH['slab-unreclaimable'],
    SReclaimable: TRUTH['slab-reclaimable'],
    SUnreclaim: TRUTH['slab-unreclaimable'],
    KernelStack: TRUTH['kernel-stacks'],
    PageTables: TRUTH['page-tables'] - (has('SecPageTables') ? SEC_TABLES : 0),
    SecPageTables: SEC_TABLES,
    VmallocTotal: 34_359_738_367,
    VmallocUsed: vmalloc === 'pages' ? used : vmalloc === 'space' ? 9_000_000 : 0,
    VmallocChunk: vmalloc === 'space' ? 34_350_000_000 : 0,
    Percpu: TRUTH.percpu,
    Unaccepted: TRUTH['free-unaccepted'],
    Balloon: TRUTH.balloon,
    GPUActive: TRUTH.gpu - 5 * MIB,
    GPUReclaim: 5 * MIB,
    Hugepagesize: 2048,
    Hugetlb: TRUTH.hugetlb,
  };
  return lines.split(' ').map((name) => {
    if (name.startsWith('HugePages_'))
      return `${name}:${String(name.endsWith('Total') ? TRUTH.hugetlb / 2048 : 0).padStart(8)}\n`;
    return `${`${name}:`.padEnd(16)}${String(values[name] ?? 0).padStart(8)} kB\n`;
  });
}

/** Zones and /proc/vmstat, read when `moved` KiB more were free, and in use before. */
export function pagesOf(kernel: Kernel, moved: number): { zoneinfo: string; vmstat: string } {
  const { zone, node = '', more = '', marks, lines } = kernel;
  const pages = (kib: number) => Math.round(kib / 4);
  const [free, total] = [freeOf(lines) + moved, totalOf(lines)];
  const onCpus = TRUTH['free-cpu-lists'] - Math.min(TRUTH['free-cpu-lists'], moved / 8);
  const values: Readonly<Record<string, number>> = {
    min: 11_000,
    low: 14_000,
    high: 17_000,
    spanned: pages(total + RESERVED),
    present: pages(total + RESERVED),
    managed: pages(total),
    nr_free_pages: pages(free),
    nr_mapped: pages(900 * MIB),
    nr_shmem: pages(TRUTH.shared),
    nr_slab_reclaimable: pages(TRUTH['slab-reclaimable']),
    nr_slab_unreclaimable: pages(TRUTH['slab-unreclaimable']),
    nr_page_table_pages: pages(TRUTH['page-tables'] - (lines.includes('SecPageTables') ? SEC_TABLES : 0)),
    nr_zspages: pages(TRUTH.compressed),
  };
  const text = (names: string, line: (name: string, value: number) => string) =>
    names.split(' ').flatMap((name) => (name === '' ? [] : [`${line(name, values[name] ?? 0)}\n`]));
  const inNode = text(node, (name, value) => `      ${name.padEnd(12)} ${value}`);
  const inZone = text(zone, (name, value) => `${node === '' ? '    ' : '      '}${name.padEnd(12)} ${value}`);
  const events = `pgfault pgmajfault${kernel.oomKill ? ' oom_kill' : ''}`;
  return {
    zoneinfo: [
      'Node 0, zone   Normal\n',
      ...(node === '' ? [] : ['  per-node stats\n', ...inNode]),
      `  pages free     ${pages(free)}\n`,
      ...text(marks, (name, value) => `        ${name.padEnd(8)} ${value}`),
      ...(node === '' ? inZone : []),
      '        protection: (0, 0, 0, 0)\n',
      ...(node === '' ? [] : inZone),
      '  pagesets\n',
      `    cpu: 0\n              count: ${pages(onCpus)}\n              high:  186\n              batch: 31\n`,
      '  vm stats threshold: 64\n  start_pfn:         1048576\n',
    ].join(''),
    vmstat: text(
      `${zone} ${node} nr_dirty_threshold nr_dirty_background_threshold ${more} ${events}`,
      (name, value) => `${name} ${value}`,
    ).join(''),
  };
}

/** A row of a breakdown: of an answer, or of its JSON. */
type CountedRow = Pick<Category, 'bytes' | 'counterBytes'> & {
  readonly category: string;
  readonly range?: Category['range'] | null | undefined;
};

/** Expects that the true use of the machine is within the bounds of each row. */
export function expectTruth({ lines }: Kernel, rows: readonly CountedRow[], bytes: number): void {
  let sum = 0;
  for (const { category, bytes, range } of rows) {
    sum += bytes;
    if (!range) continue;
    expect(range.leastBytes).toBeLessThanOrEqual(bytes);
    expect(range.mostBytes).toBeGreaterThanOrEqual(bytes);
    const truth = truthOf(category, lines);
    if (truth === undefined) continue;
    expect([category, range.leastBytes <= truth * 1024, range.mostBytes >= truth * 1024]).toEqual([
      category,
      true,
      true,
    ]);
  }
  expect(bytes).toBe(sum);
  // Unattributed memory: what no counter of this kernel contains.
  const uncounted = rows.filter(({ range, counterBytes }) => !range || counterBytes === null);
  const rest = uncounted.reduce((all, { category }) => all + (truthOf(category, lines) ?? 0), HOLE) * 1024;
  const unattributed = rows.find(({ category }) => category === 'unattributed');
  expect(unattributed?.range?.mostBytes).toBeGreaterThanOrEqual(HOLE * 1024);
  expect(unattributed?.range?.leastBytes).toBeLessThanOrEqual(rest);
}
