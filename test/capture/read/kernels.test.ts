import { describe, expect, test } from 'vitest';
import { type Category, leaves } from '../../../src/account/memory/tree.js';
import { memoryOfCapture } from '../../../src/app/memory/captured.js';
import { CapturedFiles } from '../../../src/capture/read/files.js';
import { memoryFindings } from '../../../src/triage/findings.js';

/**
 * Lines of /proc/meminfo, from meminfo_proc_show (fs/proc/meminfo.c), hugetlb_report_meminfo (mm/hugetlb.c) and
 * arch_report_meminfo (arch/x86/mm/pat/set_memory.c) of each kernel, with CONFIG_HUGETLB_PAGE,
 * CONFIG_TRANSPARENT_HUGEPAGE, CONFIG_CMA where Debian and the vendors enable them.
 */
const HEAD = 'MemTotal MemFree MemAvailable Buffers Cached SwapCached Active Inactive Active(anon) Inactive(anon)';
const LISTS = 'Active(file) Inactive(file) Unevictable Mlocked SwapTotal SwapFree';
const MIDDLE = 'Dirty Writeback AnonPages Mapped Shmem';
const SLAB = 'Slab SReclaimable SUnreclaim KernelStack PageTables';
const END = 'NFS_Unstable Bounce WritebackTmp CommitLimit Committed_AS VmallocTotal VmallocUsed VmallocChunk';
const HUGE = 'HugePages_Total HugePages_Free HugePages_Rsvd HugePages_Surp Hugepagesize';
const X86 = 'DirectMap4k DirectMap2M DirectMap1G';
const THP = 'HardwareCorrupted AnonHugePages';
const SHMEM_THP = `${THP} ShmemHugePages ShmemPmdMapped`;
const FILE_THP = `${SHMEM_THP} FileHugePages FilePmdMapped`;
const CMA = 'CmaTotal CmaFree';
const ZSWAP = 'Zswap Zswapped';

interface Kernel {
  readonly release: string;
  readonly lines: string;
  /** What VmallocUsed counts: address space (before 4.4), nothing (to 5.2), pages. */
  readonly vmalloc: 'space' | 'nothing' | 'pages';
  /** Whether /proc/zoneinfo has managed pages (since 3.8). */
  readonly managed?: false;
}

const OLD_HEAD = HEAD.replace(' MemAvailable', '');
const KERNELS: readonly Kernel[] = [
  {
    release: '2.6.32',
    lines: `${OLD_HEAD} ${LISTS} ${MIDDLE} ${SLAB} ${END} HardwareCorrupted ${HUGE} DirectMap4k DirectMap2M`,
    vmalloc: 'space',
    managed: false,
  },
  {
    release: '3.10.0-1160.el7',
    lines: `${HEAD} ${LISTS} ${MIDDLE} ${SLAB} ${END} Percpu ${THP} ${CMA} ${HUGE} ${X86}`,
    vmalloc: 'space',
  },
  {
    release: '4.4.0',
    lines: `${HEAD} ${LISTS} ${MIDDLE} ${SLAB} ${END} ${THP} ${CMA} ${HUGE} ${X86}`,
    vmalloc: 'nothing',
  },
  {
    release: '4.12.14-suse',
    lines: `${HEAD} ${LISTS} ${MIDDLE} ${SLAB} ${END} ${SHMEM_THP} ${HUGE} ${X86}`,
    vmalloc: 'nothing',
  },
  {
    release: '4.14.0',
    lines: `${HEAD} ${LISTS} ${MIDDLE} ${SLAB} ${END} ${SHMEM_THP} ${CMA} ${HUGE} ${X86}`,
    vmalloc: 'nothing',
  },
  {
    release: '4.15.0',
    lines: `${HEAD} ${LISTS} ${MIDDLE} ${SLAB} ${END} ${SHMEM_THP} ${CMA} ${HUGE} ${X86}`,
    vmalloc: 'nothing',
  },
  {
    release: '4.18.0-80.el8',
    lines: `${HEAD} ${LISTS} ${MIDDLE} ${SLAB} ${END} ${SHMEM_THP} ${HUGE} Hugetlb ${X86}`,
    vmalloc: 'nothing',
  },
  {
    release: '5.4.0',
    lines: `${HEAD} ${LISTS} ${MIDDLE} KReclaimable ${SLAB} ${END} Percpu ${FILE_THP} ${CMA} ${HUGE} Hugetlb ${X86}`,
    vmalloc: 'pages',
  },
  {
    release: '5.10.0',
    lines: `${HEAD} ${LISTS} ${MIDDLE} KReclaimable ${SLAB} ${END} Percpu ${FILE_THP} ${CMA} ${HUGE} Hugetlb ${X86}`,
    vmalloc: 'pages',
  },
  {
    release: '6.1.0',
    lines: `${HEAD} ${LISTS} ${ZSWAP} ${MIDDLE} KReclaimable ${SLAB} SecPageTables ${END} Percpu ${FILE_THP} ${CMA} ${HUGE} Hugetlb ${X86}`,
    vmalloc: 'pages',
  },
  {
    release: '6.12.0',
    lines: `${HEAD} ${LISTS} ${ZSWAP} ${MIDDLE} KReclaimable ${SLAB} SecPageTables ${END} Percpu ${FILE_THP} ${CMA} Unaccepted ${HUGE} Hugetlb ${X86}`,
    vmalloc: 'pages',
  },
  {
    release: '6.19.0',
    lines: `${HEAD} ${LISTS} ${ZSWAP} ${MIDDLE} KReclaimable ${SLAB} SecPageTables ${END} Percpu ${FILE_THP} ${CMA} Unaccepted Balloon GPUActive GPUReclaim ${HUGE} Hugetlb ${X86}`,
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

/** Zones and /proc/vmstat (vmstat_text of mm/vmstat.c), read when `moved` KiB more were free, and in use before. */
function pagesOf({ managed, lines }: Kernel, moved: number): { zoneinfo: string; vmstat: string } {
  const pages = (kib: number) => Math.round(kib / 4);
  const [free, total] = [freeOf(lines) + moved, totalOf(lines)];
  return {
    zoneinfo:
      `Node 0, zone   Normal\n  pages free     ${pages(free)}\n        min      11000\n        low      14000\n` +
      `        high     17000\n        spanned  ${pages(total + RESERVED)}\n        present  ${pages(total + RESERVED)}\n` +
      `${managed === false ? '' : `        managed  ${pages(total)}\n`}    nr_free_pages ${pages(free)}\n  pagesets\n` +
      `    cpu: 0\n              count: ${pages(TRUTH['free-cpu-lists'] - Math.min(TRUTH['free-cpu-lists'], moved / 8))}\n` +
      '              high:  186\n  start_pfn:         1048576\n',
    vmstat:
      `nr_free_pages ${pages(free)}\nnr_mapped ${pages(900 * MIB)}\nnr_shmem ${pages(TRUTH.shared)}\n` +
      `nr_slab_reclaimable ${pages(TRUTH['slab-reclaimable'])}\nnr_slab_unreclaimable ${pages(TRUTH['slab-unreclaimable'])}\n` +
      `nr_zspages ${pages(TRUTH.compressed)}\npgfault 1\noom_kill 0\n`,
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
    for (const row of [
      'page-cache',
      'shared',
      'hugetlb',
      'slab-reclaimable',
      'slab-unreclaimable',
      'compressed',
    ] as const)
      expect(bytesOf(rows, row)?.bytes).toBe(TRUTH[row] * 1024);
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
