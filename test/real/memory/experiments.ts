import type { LabKernel } from '../../support/lab.js';

/** Bytes that each program allocates, or slightly more. */
export const AMOUNT = 16 * 2 ** 20;

/** 1 %, the tolerance for every amount. */
export const PART = 0.01;

/** Bytes, the lowest and the highest. */
type Bounds = readonly [low: number, high: number];

/** A program that allocates a known amount of memory in one category. */
export interface Experiment {
  readonly name: string;
  /** Kinds of takeuser.c or takekernel.c; other commands print `ready` and the bytes too. */
  readonly command: string;
  /** The category that must change by the amount that the program reports. */
  readonly category: string | ((kernel: LabKernel) => string);
  /** Categories that change with it; all others stay constant. */
  readonly also?: Readonly<Record<string, Bounds>>;
  /** The slab categories change with it, as /proc/slabinfo reports. */
  readonly slabs?: true;
  /** The same for vmalloc and /proc/vmallocinfo. */
  readonly vmalloc?: true;
  /** Callers with such a name account for the amount, to the byte. */
  readonly caller?: RegExp;
  /** New unattributed blocks of each order. */
  readonly blocks?: Readonly<Record<number, number>>;
  /** Kernels without the feature. */
  readonly lacks?: readonly LabKernel[];
}

const user = (what: string, more = '') => `takeuser ${what} ${AMOUNT}${more}`;
const kernels = (what: string, more = '') => `takekernel ${what} ${AMOUNT}${more}`;

/** 16 KiB of stack each. */
const THREADS = AMOUNT / 2 ** 14;
/** A pipe of 256 KiB has 64 slots of 40 bytes in 4 KiB, an inode and two files. */
const PIPES = AMOUNT / 2 ** 18;

/** Blocks that the module allocates, by order: AMOUNT in total. */
const PLANTED = { 0: 1024, 3: 128, 5: 64 };

/** Changes in an experiment without allocations are subtracted from the others. */
export const NOTHING: Experiment = { name: 'nothing', command: 'takeuser nothing 0', category: 'anonymous' };

export const EXPERIMENTS: readonly Experiment[] = [
  { name: 'anonymous memory', command: user('anonymous'), category: 'anonymous' },
  { name: 'transparent huge pages', command: user('huge'), category: 'anonymous' },
  { name: 'locked memory', command: user('locked'), category: 'anonymous' },
  { name: 'a file of tmpfs', command: user('shared'), category: 'shared' },
  {
    name: 'huge pages of hugetlb',
    command: `sh -c 'echo ${AMOUNT / 2 ** 21} > /proc/sys/vm/nr_hugepages; echo ready $(($(cat /proc/sys/vm/nr_hugepages) * 2097152))'`,
    category: 'hugetlb',
  },
  { name: 'a file of ext4', command: user('file', ' /disk/file'), category: 'page-cache' },
  { name: 'secret memory', command: user('secret'), category: 'secret', lacks: ['5.10'] },
  { name: 'page tables', command: user('tables'), category: 'page-tables' },
  {
    name: 'stacks of threads',
    command: user('threads'),
    category: 'kernel-stacks',
    // A task_struct each, of 6 to 12 KiB with slab waste, and a struct pid.
    also: { 'slab-unreclaimable': [THREADS * 6144, THREADS * 14_336] },
    slabs: true,
  },
  {
    name: 'pipes',
    command: kernels('pipes'),
    category: 'pipes',
    also: { 'slab-unreclaimable': [PIPES * 3584, PIPES * 8192] },
    slabs: true,
  },
  { name: 'messages of System V', command: kernels('messages'), category: 'slab-unreclaimable', slabs: true },
  {
    name: 'names that are not there (dentries)',
    command: kernels('dentries', ' /disk'),
    category: 'slab-reclaimable',
    slabs: true,
  },
  {
    name: 'keys (kmallocs of 32 KiB)',
    command: kernels('keys'),
    // Before about 6.15 the pages do not record their type.
    category: (kernel) => (kernel === 'newest' ? 'large-kmalloc' : 'unattributed'),
    // A struct key each, and its name.
    also: { 'slab-unreclaimable': [(AMOUNT / 2 ** 15) * 256, (AMOUNT / 2 ** 15) * 768] },
    slabs: true,
  },
  {
    name: 'pages that a module took (alloc_pages)',
    command: `sh -c 'insmod /plant.ko orders=${Object.keys(PLANTED)} counts=${Object.values(PLANTED)} && echo ready ${AMOUNT}'`,
    category: 'unattributed',
    blocks: PLANTED,
  },
  { name: 'an array of BPF', command: kernels('map'), category: 'bpf' },
  { name: 'a ring buffer of BPF', command: kernels('ringmap'), category: 'rings' },
  {
    name: 'per-CPU memory',
    command: kernels('percpu'),
    category: 'percpu',
    // Its chunks have tables: the cgroup of each word (5.9), and the allocation tag (6.10).
    also: { vmalloc: [0, 1.1 * AMOUNT] },
    vmalloc: true,
  },
  { name: 'a ring of AF_PACKET', command: kernels('packet'), category: 'network-sockets' },
  {
    name: 'unread data of a unix socket',
    command: kernels('unix'),
    category: 'network-sockets',
    // An skb and a head for each 32 KiB.
    also: { 'slab-unreclaimable': [(AMOUNT / 2 ** 15) * 512, (AMOUNT / 2 ** 15) * 1536] },
    slabs: true,
  },
  {
    name: 'unread data of a TCP socket',
    command: kernels('tcp'),
    category: 'network-sockets',
    // An skb and a head for each 64 KiB.
    also: { 'slab-unreclaimable': [0, (AMOUNT / 2 ** 16) * 2048] },
    slabs: true,
  },
  { name: 'rings of perf', command: kernels('perf'), category: 'rings' },
  { name: 'rings of io_uring', command: kernels('uring'), category: 'rings' },
  { name: 'buffers of a dma-buf heap', command: kernels('dmabuf'), category: 'dma-buf', lacks: ['5.10', '6.1'] },
  {
    name: 'the table of a zram device',
    // /proc/vmallocinfo has the requested size.
    command: `sh -c 'echo 4G > /sys/block/zram0/disksize; echo ready $(awk "/zram/ { sub(/.*pages=/, \\"\\"); n += \\$1 } END { print n * 4096 }" /proc/vmallocinfo)'`,
    category: 'vmalloc',
    vmalloc: true,
    caller: /^\w+ \[zram\]$/,
  },
  {
    name: 'incompressible pages in zram (zsmalloc)',
    command: user('noise', ' /dev/zram0'),
    // They have a page type since 6.12.
    category: (kernel) => (kernel === '5.10' || kernel === '6.1' ? 'movable' : 'compressed'),
    // A zspage and a handle each.
    also: { 'slab-unreclaimable': [(AMOUNT / 4096) * 48, (AMOUNT / 4096) * 80] },
    slabs: true,
  },
];
