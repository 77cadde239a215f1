import { afterAll, describe, expect, test } from 'vitest';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { kernelProcesses } from '../../../src/account/processes/kernel.js';
import { accountAll } from '../../../src/account/sockets.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { needSymbol, perCpuAddress } from '../../../src/walk/cpus.js';
import { scanFrames } from '../../../src/walk/memory/frame-scan.js';
import { FilesOfProcesses } from '../../../src/walk/memory/open-files.js';
import { FrameMap } from '../../../src/walk/memory/page-array.js';
import { KIND, type PageKind } from '../../../src/walk/memory/page-kinds.js';
import { ramRanges } from '../../../src/walk/memory/ram.js';
import { kernelStacks } from '../../../src/walk/memory/stacks.js';
import { vmAreas } from '../../../src/walk/memory/vm-areas.js';
import { cpuLists, zones } from '../../../src/walk/memory/zones.js';
import { addressSpaces } from '../../../src/walk/processes/address-spaces.js';
import { TaskReader } from '../../../src/walk/tasks/tasks.js';
import { type Damage, damagedKernel } from '../../support/damaged-kernel.js';
import { labDump } from '../../support/lab.js';
import { littleEndian } from '../../support/little-endian.js';

// One wrong byte in a dump must not give a wrong breakdown that is complete.
const kernel = openNative({ files: [labDump('6.1').elf] });
afterAll(() => kernel.close());
const frames = new FrameMap(ramRanges(kernel));
const { kinds } = scanFrames(kernel, frames);

const pageOf = (frame: number) => kernel.pages.pageOfFrame(frame);
const offset = (struct: string, member: string) => {
  const found = kernel.struct(struct)?.member(member);
  if (!found) throw new Error(`struct ${struct} has no ${member}`);
  return BigInt(found.offset);
};
const word = (address: bigint, value: bigint, bytes = 8): Damage => ({
  patches: [{ address, bytes: littleEndian(BigInt.asUintN(8 * bytes, value), bytes) }],
  denials: [],
});
const wordAt = (address: bigint) => kernel.read(address, 8).getBigUint64(0, true);

/** The first frame of a kind, and of a compound page on request. */
function first(kind: PageKind, where: (page: bigint) => boolean = () => true): bigint {
  for (let index = 0; index < kinds.length; index++) {
    if (kinds[index] !== KIND[kind]) continue;
    const page = pageOf(frames.frameAt(index));
    if (where(page)) return page;
  }
  throw new Error(`no page is ${kind}`);
}

/** The same damage to every page of a kind. */
function all(kind: PageKind, damage: (page: bigint) => Damage): Damage {
  const pages = [...kinds.keys()].filter((index) => kinds[index] === KIND[kind]);
  return {
    patches: pages.flatMap((index) => damage(pageOf(frames.frameAt(index))).patches),
    denials: [],
  };
}

const flags = (page: bigint) => wordAt(page + offset('page', 'flags'));
const isHead = (page: bigint) => {
  const bit = kernel.enumerators('pageflags')?.get('PG_head') ?? 0n;
  return ((flags(page) >> bit) & 1n) === 1n;
};
const withoutFlag = (page: bigint, flag: string): Damage => {
  const bit = kernel.enumerators('pageflags')?.get(flag) ?? 0n;
  return word(page + offset('page', 'flags'), flags(page) & ~(1n << bit));
};
const withFlag = (page: bigint, flag: string): Damage => {
  const bit = kernel.enumerators('pageflags')?.get(flag) ?? 0n;
  return word(page + offset('page', 'flags'), flags(page) | (1n << bit));
};
const [zone] = zones(kernel).filter(({ name }) => name === 'DMA32');
const more = (address: bigint, by: bigint): Damage => word(address, wordAt(address) + by);
const pointed = (symbol: string) => wordAt(needSymbol(kernel, symbol));

function systemRam(): bigint {
  const root = needSymbol(kernel, 'iomem_resource');
  for (let at = wordAt(root + offset('resource', 'child')); at !== 0n; ) {
    const end = wordAt(at + offset('resource', 'end'));
    if (end > 0x1000_0000n && end < 0x8000_0000n) return at + offset('resource', 'end');
    at = wordAt(at + offset('resource', 'sibling'));
  }
  throw new Error('no resource ends where the guest’s memory does');
}

const stacks = [...kernelStacks(kernel)].filter(({ vm }) => vm !== 0n);
const area = [...vmAreas(kernel)].find((one) => one.owns && one.count > 2 && stacks.every(({ vm }) => vm !== one.vm));
const [stack] = stacks;
const task = [...new TaskReader(kernel).processes()][1]?.address ?? 0n;
const stackArea = [...vmAreas(kernel)].find(({ vm }) => vm === stack?.vm);
const lists = perCpuAddress(kernel, wordAt((zone?.address ?? 0n) + offset('zone', 'per_cpu_pageset')), 0);

const anonymous = kernel.enumerators('node_stat_item')?.get('NR_ANON_MAPPED') ?? 0n;

/** The `struct page` of an anonymous page that a process maps which is running on no CPU. */
function sleepersPage(): bigint {
  for (const { pgd, running } of addressSpaces(kernel)) {
    let found = -1;
    kernel.userPages(pgd, {
      page: (_page, _pages, frame) => {
        if (kinds[frames.indexOf(frame)] === KIND.anonymous) found = frame;
      },
      table: () => {},
      absent: () => {},
      missing: () => {},
    });
    if (!running && found >= 0) return pageOf(found);
  }
  throw new Error('no process sleeps');
}

const mapped = (page: bigint, mapping: bigint) => word(page + offset('page', 'mapping'), mapping);
const anonVma = () => wordAt(sleepersPage() + offset('page', 'mapping'));
const fileOf = (kind: PageKind) => wordAt(first(kind) + offset('page', 'mapping'));

/** A page on a per-CPU free list. */
function listedFree(least = 0): bigint {
  for (const { frame, order } of cpuLists(kernel)) if (order >= least) return pageOf(frame);
  throw new Error('no CPU keeps a page');
}

/** The second page of a free block. */
function behindFree(): bigint {
  const order = (page: bigint) => wordAt(page + offset('page', 'private'));
  return first('free', (page) => isBuddy(page) && order(page) > 0n) + 64n;
}

/**
 * Whether the page type marks the first page of a free block (PG_buddy,
 * include/linux/page-flags.h).
 */
function isBuddy(page: bigint): boolean {
  return kernel.read(page + offset('page', 'page_type'), 4).getUint32(0, true) === 0xffff_ff7f;
}

/** A pipe that a process has open. */
function pipe(): bigint {
  const operations = needSymbol(kernel, 'pipefifo_fops');
  const files = new FilesOfProcesses(kernel).each((file) => [file]);
  for (const file of files)
    if (wordAt(file + offset('file', 'f_op')) === operations) return wordAt(file + offset('file', 'private_data'));
  throw new Error('no process has a pipe');
}

/** Address of a task's pointer to its page for fragments. */
function fragPage(): bigint {
  for (const { address } of new TaskReader(kernel).processes())
    if (wordAt(address + offset('task_struct', 'task_frag.page')) !== 0n)
      return address + offset('task_struct', 'task_frag.page');
  throw new Error('no task has a page of fragments');
}

/** A file of io_uring. */
function ringFile(): bigint {
  const operations = needSymbol(kernel, 'io_uring_fops');
  for (const file of new FilesOfProcesses(kernel).each((file) => [file]))
    if (wordAt(file + offset('file', 'f_op')) === operations) return file;
  throw new Error('no process has a ring');
}

/** An skb in a socket’s queue. */
function queuedSkb(): bigint {
  for (const { queues, socket } of accountAll(kernel).sockets) {
    const head = socket.sock + offset('sock', 'sk_receive_queue');
    if ((queues.receive?.skbs ?? 0) > 0 && wordAt(head) !== head) return wordAt(head);
  }
  throw new Error('no queue has an skb');
}

/** A page of slabs, in the direct map. */
function inSlab(): bigint {
  const address = kernel.pages.addressOfPage(first('slab'));
  if (address === undefined) throw new Error('a slab has no address');
  return address;
}

/** The array of per-CPU trace buffers, of the first instance. */
function traceBuffers(): bigint {
  const instance = wordAt(needSymbol(kernel, 'ftrace_trace_arrays')) - offset('trace_array', 'list');
  const whole = wordAt(instance + offset('trace_array', 'array_buffer.buffer'));
  return wordAt(whole + offset('trace_buffer', 'buffers'));
}

/** Address of a CPU trace buffer's reader page. */
const readerPage = (cpu: number) =>
  wordAt(traceBuffers() + BigInt(8 * cpu)) + offset('ring_buffer_per_cpu', 'reader_page');

/** Address of the reader page's pointer to its data page. */
const tracePage = (cpu: number) => wordAt(readerPage(cpu)) + offset('buffer_page', 'page');

/** Address of the records pointer in the first pages of ftrace. */
function records(page: number): bigint {
  let at = pointed('ftrace_pages_start');
  for (let left = page; left > 0; left--) at = wordAt(at + offset('ftrace_page', 'next'));
  return at + offset('ftrace_page', 'records');
}

const idle = (cpu: number) => perCpuAddress(kernel, needSymbol(kernel, 'runqueues'), cpu) + offset('rq', 'idle');

/** The cache of dentries: not merged with others, and never without slabs. */
const cache = pointed('dentry_cache');
const slotSize = BigInt(kernel.read(cache + offset('kmem_cache', 'size'), 4).getUint32(0, true));
const slabCounters = offset('slab', 'counters');
const slabOfCache = () => {
  for (let index = 0; index < kinds.length; index++) {
    const page = pageOf(frames.frameAt(index));
    if (kinds[index] !== KIND['slab-reclaimable'] || wordAt(page + offset('slab', 'slab_cache')) !== cache) continue;
    return page;
  }
  throw new Error('no slab of dentries');
};

/** The stack area of a thread other than the first process. */
function otherStack(): bigint {
  const own = wordAt(task + offset('task_struct', 'stack_vm_area'));
  const other = stacks.find(({ vm }) => vm !== own);
  if (!other) throw new Error('there is one stack alone');
  return other.vm;
}

const pgd = (space: number) => (addressSpaces(kernel)[space]?.mm ?? 0n) + offset('mm_struct', 'pgd');

describe('one damaged word makes the answer incomplete', () => {
  const cases: [string, () => Damage][] = [
    ['the order of a free block', () => more(first('free') + offset('page', 'private'), 1n)],
    ['a free block that is none', () => word(first('free') + offset('page', 'page_type'), -1n, 4)],
    [
      // A single page could be one that a CPU has yet to add to a list.
      'anonymous pages without mapping',
      () => all('anonymous', (page) => word(page + offset('page', 'mapping'), 0n)),
    ],
    ['a page of shared memory without mapping', () => word(first('shmem') + offset('page', 'mapping'), 0n)],
    ['a page of shared memory like a file’s', () => withoutFlag(first('shmem'), 'PG_swapbacked')],
    [
      'a slab that is none',
      () =>
        withoutFlag(
          first('slab', (page) => !isHead(page)),
          'PG_slab',
        ),
    ],
    ['a head of a slab that is none', () => withoutFlag(first('slab', isHead), 'PG_slab')],
    ['a head that is none', () => withoutFlag(first('slab', isHead), 'PG_head')],
    ['a page that nobody reserved', () => withoutFlag(first('reserved'), 'PG_reserved')],
    ['a page that is reserved', () => withFlag(first('held'), 'PG_reserved')],
    ['a page table that is none', () => word(first('page-table') + offset('page', 'page_type'), -1n, 4)],
    ['a page that is a table', () => word(first('held') + offset('page', 'page_type'), 0xffff_fdffn, 4)],
    ['a tail that names no head', () => word(first('slab', isHead) + 64n + offset('page', 'compound_head'), 0n)],
    ['a page that is a tail', () => word(first('held') + offset('page', 'compound_head'), 1n)],
    ['what a zone has', () => more((zone?.address ?? 0n) + offset('zone', 'present_pages'), 1n)],
    ['how many free blocks there are', () => more((zone?.address ?? 0n) + offset('zone', 'free_area'), 0n)],
    ['where RAM ends', () => more(systemRam(), -0x1000n)],
    ['how many pages an area has', () => more((area?.vm ?? 0n) + offset('vm_struct', 'nr_pages'), -1n)],
    ['the pages of an area', () => word((area?.vm ?? 0n) + offset('vm_struct', 'pages'), 0n)],
    ['what an area is', () => word((area?.vm ?? 0n) + offset('vm_struct', 'flags'), 0n)],
    ['the pages of a stack', () => more((stackArea?.vm ?? 0n) + offset('vm_struct', 'nr_pages'), -1n)],
    ['that a thread’s stack is an area', () => word(task + offset('task_struct', 'stack_vm_area'), 0n)],
    [
      'an anonymous page of a process that sleeps without mapping',
      () => word(sleepersPage() + offset('page', 'mapping'), 0n),
    ],
    [
      'a whole struct page of a process that sleeps',
      () => ({ patches: [{ address: sleepersPage(), bytes: new Uint8Array(64) }], denials: [] }),
    ],
    ['whose stack an area is', () => word(task + offset('task_struct', 'stack_vm_area'), area?.vm ?? 0n)],
    ['an area of a stack that is none', () => word(task + offset('task_struct', 'stack_vm_area'), task)],
    ['where a stack lies', () => more(task + offset('task_struct', 'stack'), 0x4000n)],
    ['how full a pipe is', () => word(pipe() + offset('pipe_inode_info', 'head'), 0x1_0001n, 4)],
    ['a page of a free block that is a tail', () => word(behindFree() + offset('page', 'compound_head'), 1n)],
    ['how many pages a CPU lists', () => more(lists + offset('per_cpu_pages', 'count'), -1n)],
    ['a unit of per-CPU memory', () => more(pointed('pcpu_first_chunk') + offset('pcpu_chunk', 'nr_pages'), -1n)],
    ['how many per-CPU pages there are', () => more(needSymbol(kernel, 'pcpu_nr_populated'), 1n)],
    ['pages of ftrace', () => word(pointed('ftrace_pages_start'), 0n)],
    ['a table that is nowhere', () => word(needSymbol(kernel, 'mountpoint_hashtable'), 0n)],
    ['a table that is no memory', () => word(needSymbol(kernel, 'ip_idents'), 1n << 40n)],
    ['a table off its line', () => more(needSymbol(kernel, 'ip_tstamps'), 8n)],
    ['records of ftrace that two pages have', () => word(records(0), wordAt(records(1)))],
    ['how many buckets a table has', () => more(needSymbol(kernel, 'm_hash_mask'), 1n)],
    ['a table that lies where slabs do', () => word(needSymbol(kernel, 'mount_hashtable'), inSlab())],
    ['a trace buffer without a reader’s page', () => word(readerPage(0), 0n)],
    ['a trace buffer that a CPU lacks', () => word(traceBuffers(), 0n)],
    [
      'a trace buffer that a CPU lacks which the panic stopped',
      () => ({
        patches: [
          ...word(traceBuffers() + 8n, 0n).patches,
          ...word(needSymbol(kernel, '__cpu_online_mask'), 1n).patches,
        ],
        denials: [],
      }),
    ],
    ['a page of fragments of another size', () => word(fragPage(), sleepersPage())],
    ['a trace buffer that two CPUs have', () => word(traceBuffers() + 8n, wordAt(traceBuffers()))],
    ['a page that two trace buffers have', () => word(tracePage(0), wordAt(tracePage(1)))],
    ['the number of a NUMA node', () => word((zone?.node ?? 0n) + offset('pglist_data', 'node_id'), 7n, 4)],
    ['a watermark', () => more((zone?.address ?? 0n) + offset('zone', '_watermark'), 1n << 40n)],
    ['the size of slots', () => word(cache + offset('kmem_cache', 'size'), slotSize + 8n, 4)],
    ['the size of slots by which is divided', () => more(cache + offset('kmem_cache', 'reciprocal_size'), 1n)],
    ['the size of objects', () => word(cache + offset('kmem_cache', 'object_size'), slotSize + 1n, 4)],
    ['how many objects a slab has', () => more(cache + offset('kmem_cache', 'oo'), 1n)],
    ['how many slots a slab counts', () => more(slabOfCache() + slabCounters, 1n << 16n)],
    ['how many of its slots are in use', () => more(slabOfCache() + slabCounters, 0x7000n)],
    ['the idle task of a CPU', () => word(idle(0), 0n)],
    ['an idle task that two CPUs have', () => word(idle(1), wordAt(idle(0)))],
    ['a stack that two threads have', () => word(task + offset('task_struct', 'stack_vm_area'), otherStack())],
    ['page tables that two processes have', () => word(pgd(0), wordAt(pgd(1)))],
    [
      'a unit of per-CPU memory that another CPU has',
      () => word(pointed('pcpu_unit_offsets') + 8n, wordAt(pointed('pcpu_unit_offsets'))),
    ],
  ];
  const moved: [string, () => Damage][] = [
    ['a held page says that it is anonymous', () => mapped(first('held'), anonVma())],
    ['a held page says that it is a file’s', () => mapped(first('held'), fileOf('shmem'))],
    ['a held page names no memory', () => mapped(first('held'), 1n << 29n)],
    ['a free page of a CPU’s list names a file', () => mapped(listedFree(), fileOf('shmem'))],
    ['a page within a free block of a CPU’s says that it is KSM’s', () => mapped(listedFree(1) + 64n, 3n)],
    ['a page of a file says that it is anonymous', () => mapped(first('shmem'), anonVma())],
    ['a page of a file has no mapping', () => mapped(first('shmem'), 0n)],
  ];
  test.each(moved)('procs and memory report it: %s', (_, damage) => {
    const damaged = damagedKernel(kernel, damage());
    expect(kernelProcesses(damaged).complete).toBe(false);
    expect(accountMemory(damaged).complete).toBe(false);
  });

  test.each(cases)('%s', (what, damage) => {
    const changed = damage();
    // This row changes nothing: it shows that the changes cause the other warnings.
    if (what === 'how many free blocks there are') {
      const free = offset('zone', 'free_area') + offset('free_area', 'nr_free');
      const damaged = accountMemory(damagedKernel(kernel, more((zone?.address ?? 0n) + free, 1n)));
      expect(damaged.complete).toBe(false);
      expect(accountMemory(damagedKernel(kernel, changed)).complete).toBe(true);
      return;
    }
    const answer = accountMemory(damagedKernel(kernel, changed));
    expect(answer.warnings).not.toEqual([]);
    expect(answer.complete).toBe(false);
  });

  test('a file of io_uring with other file operations, which would hide its registered sockets', () => {
    const damaged = damagedKernel(kernel, word(ringFile() + offset('file', 'f_op'), needSymbol(kernel, 'perf_fops')));
    expect(accountAll(damaged).warnings).toEqual([
      {
        code: 'corrupt',
        message: expect.stringMatching(/is \[io_uring\] by name, not by its f_op$/),
      },
    ]);
  });

  test('a file of io_uring that does not point to its ring, which would hide its registered sockets', () => {
    const ring = ringFile() + offset('file', 'private_data');
    const damaged = damagedKernel(kernel, word(ring, wordAt(ring) ^ 32n));
    expect(accountAll(damaged).warnings).toEqual([
      { code: 'corrupt', message: expect.stringMatching(/which is not an io_uring$/) },
    ]);
  });

  test('counts a missing struct page as unknown', () => {
    const page = first('held');
    const denials = [{ address: page, length: 64, code: 'filtered' as const }];
    const answer = accountMemory(damagedKernel(kernel, { patches: [], denials }));
    const unknown = answer.memory.children.find(({ category }) => category === 'unknown');
    expect(unknown?.frames).toBeGreaterThan(0);
    expect(answer.complete).toBe(false);
    expect(answer.memory.frames).toBe(frames.size);
  });

  test.each<[string, () => bigint, string]>([
    [
      'a counter of the node',
      () => (zone?.node ?? 0n) + offset('pglist_data', 'vm_stat') + 8n * anonymous,
      'the kernel’s counters: ',
    ],
    ['the list of slab caches', () => needSymbol(kernel, 'slab_caches'), 'slab counts of caches'],
    [
      'what a slab cache is',
      () => pointed('skbuff_head_cache') + offset('kmem_cache', 'flags'),
      'whether a slab cache is reclaimable',
    ],
    ['a zone’s marks', () => (zone?.address ?? 0n) + offset('zone', '_watermark'), 'zones: '],
  ])('reports missing data: %s', (_, address, said) => {
    const denials = [{ address: address(), length: 8, code: 'filtered' as const }];
    const answer = accountMemory(damagedKernel(kernel, { patches: [], denials }));
    expect(answer.warnings.map(({ message }) => message)).toEqual(
      expect.arrayContaining([expect.stringContaining(said)]),
    );
    expect(answer.complete).toBe(false);
    expect(answer.memory.frames).toBe(frames.size);
  });

  test('reports a process whose count exceeds the anonymous pages in its page tables', () => {
    const [space] = addressSpaces(kernel);
    const counter = (space?.mm ?? 0n) + offset('mm_struct', 'rss_stat') + 8n;
    const warningsFor = (by: bigint) =>
      accountMemory(damagedKernel(kernel, more(counter, by)))
        .warnings.map(({ message }) => message)
        .filter((message) => message.includes(`pid ${space?.processes[0]?.pid} counts`));
    expect(warningsFor(0n)).toEqual([]);
    expect(warningsFor(2n)).toHaveLength(1);
    expect(warningsFor(-2n)).toHaveLength(1);
  });

  test('if a queue is incomplete, so are its category and unattributed memory', () => {
    const denials = [{ address: queuedSkb(), length: 8, code: 'filtered' as const }];
    const { memory } = accountMemory(damagedKernel(kernel, { patches: [], denials }));
    const inKernel = memory.children.find(({ category }) => category === 'kernel')?.children ?? [];
    const whole = new Map(inKernel.map(({ category, complete }) => [category, complete]));
    expect(whole.get('network-sockets')).toBe(false);
    expect(whole.get('unattributed')).toBe(false);
    expect(whole.get('vmalloc')).toBe(true);
  });

  test('without the resource tree, memblock defines RAM, and that is reported', () => {
    const address = wordAt(needSymbol(kernel, 'iomem_resource') + offset('resource', 'child'));
    const denials = [{ address, length: 64, code: 'filtered' as const }];
    const answer = accountMemory(damagedKernel(kernel, { patches: [], denials }));
    expect(answer.memory.frames).toBe(frames.size);
    expect(answer.warnings[0]?.message).toMatch(/^RAM ranges come from memblock/);
    expect(answer.complete).toBe(false);
  });
});
