import { describe, expect, test } from 'vitest';
import { type Category, leaves } from '../../../src/account/memory/tree.js';
import { memoryOfCapture } from '../../../src/app/memory/captured.js';
import { CapturedFiles } from '../../../src/capture/read/files.js';
import { memoryFindings } from '../../../src/triage/findings.js';

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

interface Kernel {
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
const KERNELS: readonly Kernel[] = [
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

const MIB = 1024;
/** True use of the machine, in KiB; `lists` are per-CPU free lists, `hole` is in no counter of any kernel. */
const TRUTH = {
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
const HOLE = 150 * MIB;
const RESERVED = 300 * MIB;
const totalOf = (lines: string): number =>
  Object.keys(TRUTH).reduce((sum, row) => sum + (truthOf(row, lines) ?? 0), HOLE);
const freeOf = (lines: string): number => TRUTH['free-buddy'] + (truthOf('free-unaccepted', lines) ?? 0);
/** Pages in the swap cache that are mapped, and therefore in AnonPages too. */
const MAPPED_IN_SWAP = 45 * MIB;
const SEC_TABLES = 12 * MIB;
type Row = keyof typeof TRUTH;

function meminfoOf({ lines, vmalloc }: Kernel): string[] {
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
function pagesOf(kernel: Kernel, moved: number): { zoneinfo: string; vmstat: string } {
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

type Files = Readonly<Record<string, string>>;
const uname = (release: string) => ({
  'sos_commands/kernel/uname_-a': `Linux host-1 ${release} #1 SMP x86_64 GNU/Linux\n`,
});
const answerOf = (files: Files) => memoryOfCapture('capture', new CapturedFiles(Object.entries(files)));

/** Rows whose pages are counted, by this answer. */
function check({ lines }: Kernel, files: Files): Category[] {
  const answer = answerOf(files);
  const rows = leaves(answer.memory);
  // Nothing in this machine is a problem: no finding, or one that states no lower bound.
  for (const { code, severity, figures } of memoryFindings(answer))
    if (code === 'unattributed-memory') expect([severity, figures.bytes]).toEqual(['note', 0]);
  let sum = 0;
  for (const { category, bytes, range } of rows) {
    sum += bytes;
    if (range === undefined) continue;
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
  expect(answer.memory.bytes).toBe(sum);
  // Unattributed memory: what no counter of this kernel contains.
  const uncounted = rows.filter(({ range, counterBytes }) => range === undefined || counterBytes === null);
  const rest = uncounted.reduce((all, { category }) => all + (truthOf(category, lines) ?? 0), HOLE) * 1024;
  const unattributed = rows.find(({ category }) => category === 'unattributed');
  expect(unattributed?.range?.mostBytes).toBeGreaterThanOrEqual(HOLE * 1024);
  expect(unattributed?.range?.leastBytes).toBeLessThanOrEqual(rest);
  return rows;
}

describe.each(KERNELS)('$release', (kernel) => {
  const lines = meminfoOf(kernel);
  const bytesOf = (rows: readonly Category[], name: string) => rows.find(({ category }) => category === name);

  test('whole: rows are exact, and what the kernel does not count is unattributed', () => {
    const { zoneinfo, vmstat } = pagesOf(kernel, 0);
    const rows = check(kernel, {
      ...uname(kernel.release),
      'proc/meminfo': lines.join(''),
      'proc/zoneinfo': zoneinfo,
      'proc/vmstat': vmstat,
    });
    for (const row of ['page-cache', 'shared', 'hugetlb', 'slab-reclaimable', 'slab-unreclaimable'] as const)
      expect(bytesOf(rows, row)?.bytes).toBe(TRUTH[row] * 1024);
    const compressed = kernel.zone.includes('nr_zspages') ? TRUTH.compressed * 1024 : null;
    expect(bytesOf(rows, 'compressed')).toMatchObject({ bytes: compressed ?? 0, counterBytes: compressed });
    expect(bytesOf(rows, 'missing-counters')?.bytes).toBe(0);
    const vmalloc = bytesOf(rows, 'vmalloc');
    if (kernel.vmalloc === 'pages') expect(vmalloc?.bytes).toBe(TRUTH.vmalloc * 1024);
    else expect(vmalloc).toMatchObject({ bytes: 0, why: expect.stringContaining('not counted by this kernel') });
    expect(bytesOf(rows, 'reserved-other')?.bytes).toBe(RESERVED * 1024);
  });

  test.each([-900, 0, 900])('cut after each line, with zones read at another time (%i MiB)', (moved) => {
    const { zoneinfo, vmstat } = pagesOf(kernel, moved * MIB);
    for (let count = 1; count <= lines.length; count++) {
      const meminfo = lines.slice(0, count).join('');
      check(kernel, {
        ...uname(kernel.release),
        'proc/meminfo': meminfo,
        'proc/zoneinfo': zoneinfo,
        'proc/vmstat': vmstat,
      });
      // In the middle of a line, and without any other file.
      if (moved === 0) check(kernel, { 'proc/meminfo': meminfo.slice(0, -4) + (count === 1 ? ' kB\n' : '') });
    }
  });

  test('has no page size alone, and needs none', () => {
    const answer = answerOf({ 'proc/meminfo': lines.join('') });
    expect(answer.host).toMatchObject({ hasPageSize: false });
    expect(answerOf({ 'proc/meminfo': lines.join(''), 'proc/vmstat': pagesOf(kernel, 300 * MIB).vmstat }).host).toEqual(
      { release: '', pageSize: 4096 },
    );
  });

  test('a hole of a third of memory is reported, also with zones of another time', () => {
    const total = totalOf(kernel.lines);
    const hole = Math.round(total / 8) * 4;
    const text = lines.join('').replace(/MemTotal: +\d+/, `MemTotal: ${total + hole}`);
    const pages = Math.round((total + hole) / 4);
    const { zoneinfo } = pagesOf(kernel, 900 * MIB);
    const grown = zoneinfo.replace(/(present|managed) +\d+/g, `$1 ${pages}`);
    const [finding] = memoryFindings(
      answerOf({ ...uname(kernel.release), 'proc/meminfo': text, 'proc/zoneinfo': grown }),
    );
    expect(finding).toMatchObject({ code: 'unattributed-memory', severity: 'critical' });
    expect(Number(finding?.figures.bytes)).toBeGreaterThan(((hole * 3) / 4) * 1024);
    expect(Number(finding?.figures.bytes)).toBeLessThan((hole + 700 * MIB) * 1024);
  });
});
