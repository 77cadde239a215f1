import { damaged, readOrNot } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { CategoryName } from '../../records/categories.js';
import type { PageKind } from '../../records/page-kinds.js';
import { needSymbol } from '../../walk/cpus.js';
import { entryTables, kernelTables, pageDirectories, upperTables } from '../../walk/memory/kernel-tables.js';
import { dmaBuffers, type EachFile, type FilesOfProcesses, PipeReader } from '../../walk/memory/open-files.js';
import {
  type AddressRange,
  crashKernelFrames,
  type FrameRange,
  firstPerCpuChunk,
  imageFrames,
  mappedFrames,
  memmapFrames,
} from '../../walk/memory/ram.js';
import { perfRingFrames, traceRingFrames, virtioRings } from '../../walk/memory/rings.js';
import { uringBlocks } from '../../walk/memory/uring-rings.js';
import type { VmArea } from '../../walk/memory/vm-areas.js';
import { cpuLists, type ListedBlock } from '../../walk/memory/zones.js';
import { StructReader } from '../../walk/struct-reader.js';
import { stackSize } from '../../walk/tasks/stack-size.js';
import { type Areas, categoryOfCaller } from './areas.js';
import type { FrameLedger } from './frame-ledger.js';

/** A walk that fills a category as far as possible. */
export interface Walk {
  readonly category: CategoryName;
  /** @throws as the walkers: the category is then incomplete */
  run(): void;
}

const BPF_RING = /^(ringbuf_map_alloc|bpf_ringbuf_)/;
const PER_CPU = 'pcpu_get_vm_areas';

/** Page types that tables may be in and that have categories of their own. */
const TABLE_KINDS: readonly PageKind[] = ['large-kmalloc', 'reserved'];

/**
 * The walks of all categories before the network's, in order of precedence (categories.ts).
 *
 * @param ram all of it, including offline memory: its struct pages take memory
 */
export function walksBefore(kernel: Kernel, ram: readonly FrameRange[], ledger: FrameLedger, areas: Areas): Walk[] {
  const walk = (category: CategoryName, frames: () => Iterable<number>): Walk => ({
    category,
    run: () => {
      for (const frame of frames()) ledger.claim(category, frame);
    },
  });
  const mapped = (category: CategoryName, isOf: (caller: string | undefined) => boolean): Walk => ({
    category,
    run: () => {
      const isWanted = (area: VmArea) => area.owns && !areas.isStack(area) && isOf(areas.caller(area));
      for (const { area, frame } of areas.frames('a vmap area', isWanted))
        ledger.claim(category, frame, areas.caller(area) ?? '');
    },
  });
  return [
    {
      category: 'free-cpu-lists',
      run: () => {
        for (const { frame, order } of cpuLists(kernel)) ledger.claimBlock('free-cpu-lists', frame, order);
      },
    },
    {
      category: 'percpu',
      run: () => {
        const chunks = firstPerCpuChunk(kernel);
        for (const area of areas.all()) if (areas.caller(area) === PER_CPU) chunks.push(area);
        claimOwn(kernel, ledger, { category: 'percpu', frames: behindEach(kernel, chunks) });
      },
    },
    walk('image', () => imageFrames(kernel)),
    walk('memmap', () => memmapFrames(kernel, ram)),
    walk('kernel-stacks', function* () {
      for (const { frame } of areas.frames('a stack', (area) => areas.isStack(area))) yield frame;
      const bytes = Number(stackSize(kernel));
      // The stack of the first task is of the image, whose end some kernels have no symbol for: no counter has it.
      for (const stack of areas.directStacks())
        if (kernel.pages.pageOf(stack) !== undefined) yield* mappedFrames(kernel, { address: stack, bytes });
      areas.checkStacks();
    }),
    mapped('modules', (caller) => categoryOfCaller(caller) === 'modules'),
    mapped('bpf', (caller) => categoryOfCaller(caller) === 'bpf'),
    mapped('vmalloc', () => true),
    {
      category: 'page-tables',
      run: () => {
        const { pageSize } = kernel.facts;
        for (const table of kernel.pageTables?.() ?? []) ledger.claim('page-tables', Math.floor(table / pageSize));
        for (const { frame, address } of pageDirectories(kernel)) {
          ledger.claim('page-tables', frame);
          // The user half of KPTI is behind the other, in one block of two. Without KPTI a page there may be
          // on a free list.
          const other = frame + 1;
          const nobodys = ledger.kindOf(other) === 'unreferenced' && !ledger.categoryOf(other);
          if (frame % 2 === 0 && nobodys) ledger.claim('page-tables', other);
          for (const table of upperTables(kernel, address)) ledger.claim('page-tables', table);
        }
        for (const table of entryTables(kernel)) ledger.claim('page-tables', table);
      },
    },
  ];
}

/** The walks after the network's. */
export function walksAfter(
  kernel: Kernel,
  ram: readonly FrameRange[],
  ledger: FrameLedger,
  areas: Areas,
  { secret, files }: { readonly secret: () => Iterable<number>; readonly files: FilesOfProcesses },
): Walk[] {
  return [
    {
      category: 'crash-kernel',
      run: () => {
        for (const frame of crashKernelFrames(kernel, ram)) ledger.claim('crash-kernel', frame);
      },
    },
    {
      category: 'secret',
      run: () => {
        for (const frame of secret()) ledger.claim('secret', frame);
      },
    },
    {
      category: 'pipes',
      run: () => {
        for (const { frame, owner } of pipeFrames(kernel, files.each)) ledger.claim('pipes', frame, owner);
      },
    },
    {
      category: 'rings',
      run: () => {
        const frames = traceRingFrames(kernel);
        claimOwn(kernel, ledger, { category: 'rings', owner: 'ftrace', frames });
      },
    },
    {
      category: 'rings',
      run: () => {
        for (const frame of perfRingFrames(kernel, files.each)) ledger.claim('rings', frame, 'perf');
      },
    },
    {
      category: 'rings',
      run: () => {
        for (const { frame, order } of uringBlocks(kernel, files.each))
          ledger.claimBlock('rings', frame, order, 'io_uring');
      },
    },
    {
      category: 'rings',
      run: () => {
        // A BPF ring buffer maps pages that it allocated one by one: its area does not own them.
        for (const area of areas.all())
          if (!area.owns && BPF_RING.test(areas.caller(area) ?? ''))
            for (const frame of mappedFrames(kernel, area)) ledger.claim('rings', frame, 'bpf');
      },
    },
    {
      category: 'rings',
      run: () => {
        for (const ring of virtioRings(kernel))
          for (const frame of mappedFrames(kernel, ring)) ledger.claim('rings', frame, 'virtio');
      },
    },
    {
      category: 'dma-buf',
      run: () => {
        const frames = framesOfBlocks(dmaBuffers(kernel, files.each));
        claimOwn(kernel, ledger, { category: 'dma-buf', frames });
      },
    },
    {
      category: 'tables',
      run: () => {
        const tables = { category: 'tables', besides: TABLE_KINDS } as const satisfies Partial<Claim>;
        for (const { name, frames } of kernelTables(kernel)) {
          // Both UDP tables are in one allocation.
          const mayShare = name.startsWith('udp');
          claimOwn(kernel, ledger, { ...tables, owner: name, frames, mayShare });
        }
      },
    },
  ];
}

function* framesOfBlocks(blocks: Iterable<ListedBlock>): Generator<number> {
  for (const { frame, order } of blocks) for (let at = 0; at < 2 ** order; at++) yield frame + at;
}

function* behindEach(kernel: Kernel, ranges: Iterable<AddressRange>): Generator<number> {
  for (const range of ranges) yield* mappedFrames(kernel, range);
}

/** FMODE_READ of include/linux/fs.h. */
const FOR_READING = 1;

/**
 * Yields the frames of open pipes and FIFOs, each pipe once, with a process that should read it, otherwise one
 * that has it open.
 */
function* pipeFrames(
  kernel: Kernel,
  eachFile: EachFile,
): Generator<{ readonly frame: number; readonly owner: string | undefined }> {
  const anonymous = kernel.symbol('pipeanon_fops');
  const operations = [needSymbol(kernel, 'pipefifo_fops'), anonymous];
  const file = new StructReader(kernel, 'file', ['f_op', 'private_data']);
  const mode = new StructReader(kernel, 'file', ['f_mode']);
  const pipes = new PipeReader(kernel);
  const byPipe = new Map<bigint, { readonly frames: readonly number[]; owner?: string }>();
  let lost: unknown;
  try {
    const opened = eachFile(function* (address, { holders: [holder] }) {
      const view = file.read(address);
      if (!operations.includes(view.pointer('f_op'))) return;
      const pipe = view.pointer('private_data');
      // Extracts of before do not have it.
      const bits = readOrNot(() => mode.read(address))?.number('f_mode') ?? 0;
      const frames = pipe === 0n || byPipe.has(pipe) ? [] : [...pipes.frames(pipe)];
      yield { pipe, frames, task: holder?.task, isReader: (bits & FOR_READING) !== 0 };
    });
    for (const { pipe, frames, task, isReader } of opened) {
      const known = byPipe.get(pipe) ?? { frames };
      byPipe.set(pipe, known);
      if (task && (isReader || known.owner === undefined)) known.owner = `${task.pid} ${task.comm}`;
    }
  } catch (error) {
    lost = error;
  }
  for (const { frames, owner } of byPipe.values()) for (const frame of frames) yield { frame, owner };
  if (lost !== undefined) throw lost;
}

interface Claim {
  readonly category: CategoryName;
  readonly frames: Iterable<number>;
  readonly owner?: string;
  /** Kinds of pages that are also permitted, and that keep their category. */
  readonly besides?: readonly PageKind[];
  /** Whether frames of this category may share a page, as the two halves of one table do. */
  readonly mayShare?: boolean;
}

/**
 * Claims frames that must have no other owner, each once unless stated otherwise.
 *
 * @throws {KernelError} `damaged` after the last one if some have another owner; not on a live kernel, where
 * the owner may have changed
 */
function claimOwn(
  kernel: Kernel,
  ledger: FrameLedger,
  { category, frames, owner, besides = [], mayShare = false }: Claim,
): void {
  let others = 0;
  for (const frame of frames) {
    if (ledger.claim(category, frame, owner)) continue;
    if (mayShare && ledger.categoryOf(frame) === category) continue;
    const kind = ledger.kindOf(frame);
    if (kind === undefined || !besides.includes(kind)) others++;
  }
  if (others === 0 || kernel.facts.live) return;
  throw damaged(`${others} pages of ${owner ?? category} also belong to something else`);
}
