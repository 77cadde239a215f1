import { describe, expect, test } from 'vitest';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { kernelProcesses } from '../../../src/account/processes/kernel.js';
import { accountAll } from '../../../src/account/sockets.js';
import type { PageKind } from '../../../src/records/page-kinds.js';
import { needSymbol, perCpuAddress } from '../../../src/walk/cpus.js';
import { scanFrames, withoutKernelPages } from '../../../src/walk/memory/frame-scan.js';
import { FilesOfProcesses } from '../../../src/walk/memory/open-files.js';
import { FrameMap } from '../../../src/walk/memory/page-array.js';
import { KIND } from '../../../src/walk/memory/page-kinds.js';
import { ramRanges } from '../../../src/walk/memory/ram.js';
import { kernelStacks } from '../../../src/walk/memory/stacks.js';
import { vmAreas } from '../../../src/walk/memory/vm-areas.js';
import { cpuLists, FreeLists, zones } from '../../../src/walk/memory/zones.js';
import { addressSpaces } from '../../../src/walk/processes/address-spaces.js';
import { TaskReader } from '../../../src/walk/tasks/tasks.js';
import { type Damage, together } from '../../support/damaged-kernel.js';
import { dumpKernel, pagesOnly } from '../../support/opened-kernel.js';

// One wrong byte in a dump must not give a wrong breakdown that is complete.
const { kernel, addressOf, offset, size, read, set, add, clear, lose, damagedBy } = dumpKernel('6.1');
const frames = new FrameMap(ramRanges(kernel));
const scan = scanFrames(kernel, frames);
const { kinds } = scan;

const pageOf = (frame: number) => kernel.pages.pageOfFrame(frame);

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
  return together(...pages.map((index) => damage(pageOf(frames.frameAt(index)))));
}

const flags = (page: bigint) => read(page, 'page.flags');
const isHead = (page: bigint) => {
  const bit = kernel.enumerators('pageflags')?.get('PG_head') ?? 0n;
  return ((flags(page) >> bit) & 1n) === 1n;
};
const withoutFlag = (page: bigint, flag: string): Damage => {
  const bit = kernel.enumerators('pageflags')?.get(flag) ?? 0n;
  return set(page, 'page.flags', flags(page) & ~(1n << bit));
};
const withFlag = (page: bigint, flag: string): Damage => {
  const bit = kernel.enumerators('pageflags')?.get(flag) ?? 0n;
  return set(page, 'page.flags', flags(page) | (1n << bit));
};
const [zone] = zones(kernel).filter(({ name }) => name === 'DMA32');

function systemRam(): bigint {
  for (let at = read('iomem_resource', 'resource.child'); at !== 0n; ) {
    const end = read(at, 'resource.end');
    if (end > 0x1000_0000n && end < 0x8000_0000n) return addressOf(at, 'resource.end');
    at = read(at, 'resource.sibling');
  }
  throw new Error('no resource ends where the guest’s memory does');
}

const stacks = [...kernelStacks(kernel)].filter(({ vm }) => vm !== 0n);
const area = [...vmAreas(kernel)].find((one) => one.owns && one.count > 2 && stacks.every(({ vm }) => vm !== one.vm));
const [stack] = stacks;
const task = [...new TaskReader(kernel).processes()][1]?.address ?? 0n;
const stackArea = [...vmAreas(kernel)].find(({ vm }) => vm === stack?.vm);
const lists = perCpuAddress(kernel, read(zone?.address ?? 0n, 'zone.per_cpu_pageset'), 0);

const anonymous = kernel.enumerators('node_stat_item')?.get('NR_ANON_MAPPED') ?? 0n;

/** The `struct page` of an anonymous page that a process maps which is running on no CPU. */
function sleepersPage(): bigint {
  for (const { pgd, running } of addressSpaces(kernel)) {
    let found = -1;
    kernel.userPages(
      pgd,
      pagesOnly((_page, _pages, frame) => {
        if (kinds[frames.indexOf(frame)] === KIND.anonymous) found = frame;
      }),
    );
    if (!running && found >= 0) return pageOf(found);
  }
  throw new Error('no process sleeps');
}

const mapped = (page: bigint, mapping: bigint) => set(page, 'page.mapping', mapping);
const anonVma = () => read(sleepersPage(), 'page.mapping');
const fileOf = (kind: PageKind) => read(first(kind), 'page.mapping');

/** A page on a per-CPU free list. */
function listedFree(least = 0): bigint {
  for (const { frame, order } of cpuLists(kernel)) if (order >= least) return pageOf(frame);
  throw new Error('no CPU keeps a page');
}

/** The second page of a free block. */
function behindFree(): bigint {
  const order = (page: bigint) => read(page, 'page.private');
  return first('free', (page) => isBuddy(page) && order(page) > 0n) + 64n;
}

/**
 * Whether the page type marks the first page of a free block (PG_buddy,
 * include/linux/page-flags.h).
 */
function isBuddy(page: bigint): boolean {
  return read(page, 'page.page_type') === 0xffff_ff7fn;
}

/** A pipe that a process has open. */
function pipe(): bigint {
  const operations = needSymbol(kernel, 'pipefifo_fops');
  const files = new FilesOfProcesses(kernel).each((file) => [file]);
  for (const file of files) if (read(file, 'file.f_op') === operations) return read(file, 'file.private_data');
  throw new Error('no process has a pipe');
}

/** Address of a task's pointer to its page for fragments. */
function fragPage(): bigint {
  for (const { address } of new TaskReader(kernel).processes())
    if (read(address, 'task_struct.task_frag.page') !== 0n) return addressOf(address, 'task_struct.task_frag.page');
  throw new Error('no task has a page of fragments');
}

/** A file of io_uring. */
function ringFile(): bigint {
  const operations = needSymbol(kernel, 'io_uring_fops');
  for (const file of new FilesOfProcesses(kernel).each((file) => [file]))
    if (read(file, 'file.f_op') === operations) return file;
  throw new Error('no process has a ring');
}

/** An skb in a socket’s queue. */
function queuedSkb(): bigint {
  for (const { queues, socket } of accountAll(kernel).sockets) {
    const head = addressOf(socket.sock, 'sock.sk_receive_queue');
    if ((queues.receive?.skbs ?? 0) > 0 && read(head) !== head) return read(head);
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
  const instance = read('ftrace_trace_arrays') - offset('trace_array.list');
  const whole = read(instance, 'trace_array.array_buffer.buffer');
  return read(whole, 'trace_buffer.buffers');
}

/** Address of a CPU trace buffer's reader page. */
const readerPage = (cpu: number) =>
  addressOf(read(traceBuffers() + BigInt(8 * cpu)), 'ring_buffer_per_cpu.reader_page');

/** Address of the reader page's pointer to its data page. */
const tracePage = (cpu: number) => addressOf(read(readerPage(cpu)), 'buffer_page.page');

/** Address of the records pointer in the first pages of ftrace. */
function records(page: number): bigint {
  let at = read('ftrace_pages_start');
  for (let left = page; left > 0; left--) at = read(at, 'ftrace_page.next');
  return addressOf(at, 'ftrace_page.records');
}

const idle = (cpu: number) => addressOf(perCpuAddress(kernel, needSymbol(kernel, 'runqueues'), cpu), 'rq.idle');

/** The cache of dentries: not merged with others, and never without slabs. */
const cache = read('dentry_cache');
const slotSize = read(cache, 'kmem_cache.size');
const slabCounters = offset('slab.counters');
const slabOfCache = () => {
  for (let index = 0; index < kinds.length; index++) {
    const page = pageOf(frames.frameAt(index));
    if (kinds[index] !== KIND['slab-reclaimable'] || read(page, 'slab.slab_cache') !== cache) continue;
    return page;
  }
  throw new Error('no slab of dentries');
};

/** The stack area of a thread other than the first process. */
function otherStack(): bigint {
  const own = read(task, 'task_struct.stack_vm_area');
  const other = stacks.find(({ vm }) => vm !== own);
  if (!other) throw new Error('there is one stack alone');
  return other.vm;
}

const pgd = (space: number) => addressOf(addressSpaces(kernel)[space]?.mm ?? 0n, 'mm_struct.pgd');

/** A page that claims to be a free block of one page. */
const asFree = (page: bigint) =>
  together(set(page, 'page.page_type', 0xffff_ff7fn), set(page, 'page.private', 0n), withoutFlag(page, 'PG_head'));

test('a scan for sockets that leaves out known frames finds the same', () => {
  const isKnown = withoutKernelPages(kernel, frames, scan)!;
  let left = 0;
  const known = accountAll(kernel, {
    isKnown: (frame, count) => {
      const answer = isKnown(frame, count);
      if (answer) left += count;
      return answer;
    },
  });
  expect(known).toEqual(accountAll(kernel));
  expect(left).toBeGreaterThan(frames.size / 2);
  // Beyond RAM nothing is known.
  expect(isKnown(frames.frameAt(frames.size - 1), 2)).toBe(false);
});

describe('free lists', () => {
  const ORDER = 8;
  const lists = new FreeLists(kernel, ORDER);
  const { blocks } = lists;
  const [block = { frame: 0, order: 0 }] = blocks;
  const head = pageOf(block.frame);
  const zoneOf = zones(kernel).find(({ start, spanned }) => block.frame >= start && block.frame < start + spanned);
  const area = addressOf(zoneOf?.address ?? 0n, 'zone.free_area') + BigInt(block.order * size('free_area'));

  test('have the blocks that a scan of all struct pages finds, and no frame of another kind', () => {
    const free = new Set(
      blocks.flatMap(({ frame, order }) => Array.from({ length: 2 ** order }, (_, at) => frame + at)),
    );
    expect(blocks.length).toBe(scan.freeBlocks.slice(ORDER).reduce((sum, count) => sum + count, 0));
    for (const frame of free) expect(kinds[frames.indexOf(frame)]).toBe(KIND.free);
  });

  test('a scan that leaves their blocks out finds the same', () => {
    // Of no value to compare: a reader of files, and a function.
    const found = ({ files: _files, isOtherNow: _isOtherNow, ...values }: typeof scan) => values;
    expect(found(scanFrames(kernel, frames, undefined, lists))).toEqual(found(scan));
  });

  /** The first list of the block's order with an entry. */
  const list = () => {
    const at = addressOf(area, 'free_area.free_list');
    const heads = Array.from({ length: size('free_area.free_list') / 16 }, (_, type) => at + BigInt(16 * type));
    return heads.find((head) => read(head) !== head) ?? 0n;
  };
  const damages: [string, () => Damage][] = [
    ['the order of a block', () => add(head, 'page.private', 1n)],
    ['the type of a block', () => set(head, 'page.page_type', -1n)],
    ['the count of a list', () => add(area, 'free_area.nr_free', 1n)],
    ['a list that goes on in the page before', () => add(head, 'page.lru.next', -64n)],
    ['a list that is empty', () => set(list(), 8, list())],
  ];
  test.each(damages)('%s: nothing is left out', (_, damage) => {
    const damaged = damagedBy(damage());
    expect(() => new FreeLists(damaged, ORDER)).toThrow();
    expect(FreeLists.of(damaged)).toBeUndefined();
  });

  test('blocks that are read in part leave nothing out', () => {
    const { frame, order } = block;
    expect(lists.around(frame, 2 ** order)).toEqual([block]);
    expect(lists.around(frame - 1, 2)).toEqual([]);
  });
});

describe('one damaged word makes the answer incomplete', () => {
  const cases: [string, () => Damage][] = [
    ['the order of a free block', () => add(first('free'), 'page.private', 1n)],
    ['a free block that is none', () => set(first('free'), 'page.page_type', -1n)],
    [
      // A single page could be one that a CPU has yet to add to a list.
      'anonymous pages without mapping',
      () => all('anonymous', (page) => set(page, 'page.mapping', 0n)),
    ],
    ['a page of shared memory without mapping', () => set(first('shmem'), 'page.mapping', 0n)],
    ['a page of shared memory like a file’s', () => withoutFlag(first('shmem'), 'PG_swapbacked')],
    [
      'a slab that is none',
      () =>
        withoutFlag(
          first('slab', (page) => !isHead(page)),
          'PG_slab',
        ),
    ],
    ['a slab of dentries that is a free block', () => asFree(slabOfCache())],
    ['a head of a slab that is none', () => withoutFlag(first('slab', isHead), 'PG_slab')],
    ['a head that is none', () => withoutFlag(first('slab', isHead), 'PG_head')],
    ['a page that nobody reserved', () => withoutFlag(first('reserved'), 'PG_reserved')],
    ['a page that is reserved', () => withFlag(first('held'), 'PG_reserved')],
    ['a page table that is none', () => set(first('page-table'), 'page.page_type', -1n)],
    ['a page that is a table', () => set(first('held'), 'page.page_type', 0xffff_fdffn)],
    ['a tail that names no head', () => set(first('slab', isHead) + 64n, 'page.compound_head', 0n)],
    ['a page that is a tail', () => set(first('held'), 'page.compound_head', 1n)],
    ['what a zone has', () => add(zone?.address ?? 0n, 'zone.present_pages', 1n)],
    ['how many free blocks there are', () => add(zone?.address ?? 0n, 'zone.free_area', 0n)],
    ['where RAM ends', () => add(systemRam(), 8, -0x1000n)],
    ['how many pages an area has', () => add(area?.vm ?? 0n, 'vm_struct.nr_pages', -1n)],
    ['the pages of an area', () => set(area?.vm ?? 0n, 'vm_struct.pages', 0n)],
    ['what an area is', () => set(area?.vm ?? 0n, 'vm_struct.flags', 0n)],
    ['the pages of a stack', () => add(stackArea?.vm ?? 0n, 'vm_struct.nr_pages', -1n)],
    ['that a thread’s stack is an area', () => set(task, 'task_struct.stack_vm_area', 0n)],
    ['an anonymous page of a process that sleeps without mapping', () => set(sleepersPage(), 'page.mapping', 0n)],
    ['a whole struct page of a process that sleeps', () => clear(sleepersPage(), 64)],
    ['an anonymous page of a driver', () => add(sleepersPage(), 'page.mapping', 1n)],
    ['whose stack an area is', () => set(task, 'task_struct.stack_vm_area', area?.vm ?? 0n)],
    ['an area of a stack that is none', () => set(task, 'task_struct.stack_vm_area', task)],
    ['where the page tables for patching code are', () => add('poking_mm', 8, 1n)],
    ['where the first task’s stack lies', () => add('init_task', 'task_struct.stack', -0x4000n)],
    ['where a stack lies', () => add(task, 'task_struct.stack', 0x4000n)],
    ['how full a pipe is', () => set(pipe(), 'pipe_inode_info.head', 0x1_0001n)],
    ['a page of a free block that is a tail', () => set(behindFree(), 'page.compound_head', 1n)],
    ['how many pages a CPU lists', () => add(lists, 'per_cpu_pages.count', -1n)],
    ['a unit of per-CPU memory', () => add(read('pcpu_first_chunk'), 'pcpu_chunk.nr_pages', -1n)],
    ['how many per-CPU pages there are', () => add('pcpu_nr_populated', 8, 1n)],
    ['pages of ftrace', () => set(read('ftrace_pages_start'), 8, 0n)],
    ['a table that is nowhere', () => set('mountpoint_hashtable', 8, 0n)],
    ['a table that is no memory', () => set('ip_idents', 8, 1n << 40n)],
    ['a table off its line', () => add('ip_tstamps', 8, 8n)],
    ['records of ftrace that two pages have', () => set(records(0), 8, read(records(1)))],
    ['how many buckets a table has', () => add('m_hash_mask', 8, 1n)],
    ['a table that lies where slabs do', () => set('mount_hashtable', 8, inSlab())],
    ['a trace buffer without a reader’s page', () => set(readerPage(0), 8, 0n)],
    ['a trace buffer that a CPU lacks', () => set(traceBuffers(), 8, 0n)],
    [
      'a trace buffer that a CPU lacks which the panic stopped',
      () => together(set(traceBuffers() + 8n, 8, 0n), set('__cpu_online_mask', 8, 1n)),
    ],
    ['a page of fragments of another size', () => set(fragPage(), 8, sleepersPage())],
    ['a trace buffer that two CPUs have', () => set(traceBuffers() + 8n, 8, read(traceBuffers()))],
    ['a page that two trace buffers have', () => set(tracePage(0), 8, read(tracePage(1)))],
    ['the number of a NUMA node', () => set(zone?.node ?? 0n, 'pglist_data.node_id', 7n)],
    ['a watermark', () => add(zone?.address ?? 0n, 'zone._watermark', 1n << 40n)],
    ['the size of slots', () => set(cache, 'kmem_cache.size', slotSize + 8n)],
    ['the size of slots by which is divided', () => add(cache, 'kmem_cache.reciprocal_size', 1n)],
    ['the size of objects', () => set(cache, 'kmem_cache.object_size', slotSize + 1n)],
    ['how many objects a slab has', () => add(cache, 'kmem_cache.oo', 1n)],
    ['how many slots a slab counts', () => add(slabOfCache() + slabCounters, 8, 1n << 16n)],
    ['how many of its slots are in use', () => add(slabOfCache() + slabCounters, 8, 0x7000n)],
    ['the idle task of a CPU', () => set(idle(0), 8, 0n)],
    ['an idle task that two CPUs have', () => set(idle(1), 8, read(idle(0)))],
    ['a stack that two threads have', () => set(task, 'task_struct.stack_vm_area', otherStack())],
    ['page tables that two processes have', () => set(pgd(0), 8, read(pgd(1)))],
    [
      'a unit of per-CPU memory that another CPU has',
      () => set(read('pcpu_unit_offsets') + 8n, 8, read(read('pcpu_unit_offsets'))),
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
    const damaged = damagedBy(damage());
    expect(kernelProcesses(damaged).complete).toBe(false);
    expect(accountMemory(damaged).complete).toBe(false);
  });

  test.each(cases)('%s', (what, damage) => {
    const changed = damage();
    // This row changes nothing: it shows that the changes cause the other warnings.
    if (what === 'how many free blocks there are') {
      const free = addressOf(offset('zone.free_area'), 'free_area.nr_free');
      const damaged = accountMemory(damagedBy(add((zone?.address ?? 0n) + free, 8, 1n)));
      expect(damaged.complete).toBe(false);
      expect(accountMemory(damagedBy(changed)).complete).toBe(true);
      return;
    }
    const answer = accountMemory(damagedBy(changed));
    expect(answer.warnings).not.toEqual([]);
    expect(answer.complete).toBe(false);
  });

  test('a file of io_uring with other file operations, which would hide its registered sockets', () => {
    const damaged = damagedBy(set(ringFile(), 'file.f_op', needSymbol(kernel, 'perf_fops')));
    expect(accountAll(damaged).warnings).toEqual([
      { code: 'corrupt', message: expect.stringMatching(/is \[io_uring\] by name, not by its f_op$/) },
    ]);
  });

  test('a file of io_uring that does not point to its ring, which would hide its registered sockets', () => {
    const file = ringFile();
    const damaged = damagedBy(set(file, 'file.private_data', read(file, 'file.private_data') ^ 32n));
    expect(accountAll(damaged).warnings).toEqual([
      { code: 'corrupt', message: expect.stringMatching(/which is not an io_uring$/) },
    ]);
  });

  test('counts a missing struct page as unknown', () => {
    const answer = accountMemory(damagedBy(lose(first('held'), 64)));
    const unknown = answer.memory.children.find(({ category }) => category === 'unknown');
    expect(unknown?.frames).toBeGreaterThan(0);
    expect(answer.complete).toBe(false);
    expect(answer.memory.frames).toBe(frames.size);
  });

  test.each<[string, () => bigint, string]>([
    [
      'a counter of the node',
      () => addressOf(zone?.node ?? 0n, 'pglist_data.vm_stat') + 8n * anonymous,
      'the kernel’s counters: ',
    ],
    ['the list of slab caches', () => needSymbol(kernel, 'slab_caches'), 'slab counts of caches'],
    [
      'what a slab cache is',
      () => addressOf(read('skbuff_head_cache'), 'kmem_cache.flags'),
      'whether a slab cache is reclaimable',
    ],
    ['a zone’s marks', () => addressOf(zone?.address ?? 0n, 'zone._watermark'), 'zones: '],
  ])('reports missing data: %s', (_, address, said) => {
    const answer = accountMemory(damagedBy(lose(address(), 8)));
    expect(answer.warnings.map(({ message }) => message)).toEqual(
      expect.arrayContaining([expect.stringContaining(said)]),
    );
    expect(answer.complete).toBe(false);
    expect(answer.memory.frames).toBe(frames.size);
  });

  test('reports a process whose count exceeds the anonymous pages in its page tables', () => {
    const [space] = addressSpaces(kernel);
    const counter = addressOf(space?.mm ?? 0n, 'mm_struct.rss_stat') + 8n;
    const warningsFor = (by: bigint) =>
      accountMemory(damagedBy(add(counter, 8, by)))
        .warnings.map(({ message }) => message)
        .filter((message) => message.includes(`pid ${space?.processes[0]?.pid} counts`));
    expect(warningsFor(0n)).toEqual([]);
    expect(warningsFor(2n)).toHaveLength(1);
    expect(warningsFor(-2n)).toHaveLength(1);
  });

  test('if a queue is incomplete, so are its category and unattributed memory', () => {
    const { memory } = accountMemory(damagedBy(lose(queuedSkb(), 8)));
    const inKernel = memory.children.find(({ category }) => category === 'kernel')?.children ?? [];
    const whole = new Map(inKernel.map(({ category, complete }) => [category, complete]));
    expect(whole.get('network-sockets')).toBe(false);
    expect(whole.get('unattributed')).toBe(false);
    expect(whole.get('vmalloc')).toBe(true);
  });

  test('without the resource tree, memblock defines RAM, and that is reported', () => {
    const address = read('iomem_resource', 'resource.child');
    const answer = accountMemory(damagedBy(lose(address, 64)));
    expect(answer.memory.frames).toBe(frames.size);
    expect(answer.warnings[0]?.message).toMatch(/^RAM ranges come from memblock/);
    expect(answer.complete).toBe(false);
  });
});
