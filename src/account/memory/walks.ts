import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../../walk/machine/cpus.js';
import { cpuLists, type ListedBlock } from '../../walk/memory/cpu-lists.js';
import { dmaBuffers } from '../../walk/memory/dma-buffers.js';
import { crashKernelFrames, imageFrames, memmapFrames } from '../../walk/memory/image.js';
import { kernelTables } from '../../walk/memory/kernel-tables.js';
import { framesBehind } from '../../walk/memory/mapped.js';
import type { EachFile, FilesOfProcesses } from '../../walk/memory/open-files.js';
import { pageDirectories } from '../../walk/memory/page-directories.js';
import type { PageKind } from '../../walk/memory/page-kinds.js';
import { type AddressRange, firstPerCpuChunk } from '../../walk/memory/percpu.js';
import { perfRingFrames } from '../../walk/memory/perf-rings.js';
import { PipeReader } from '../../walk/memory/pipes.js';
import type { FrameRange } from '../../walk/memory/ram.js';
import { traceRingFrames } from '../../walk/memory/trace-rings.js';
import { uringBlocks } from '../../walk/memory/uring-rings.js';
import { virtioRings } from '../../walk/memory/virtio-rings.js';
import type { VmArea } from '../../walk/memory/vm-areas.js';
import { StructReader } from '../../walk/struct-reader.js';
import type { Areas } from './areas.js';
import type { CategoryName } from './categories.js';
import type { FrameLedger } from './frame-ledger.js';
import { categoryOfCaller } from './vmalloc-callers.js';

/** A walk that fills a category, as far as it comes. */
export interface Walk {
  readonly category: CategoryName;
  /** @throws as the walkers: the category is then not known whole */
  run(): void;
}

const BPF_RING = /^(ringbuf_map_alloc|bpf_ringbuf_)/;
const PER_CPU = 'pcpu_get_vm_areas';

/** Kinds of pages that tables may lie in and that have categories of their own. */
const TABLE_KINDS: readonly PageKind[] = ['large-kmalloc', 'reserved'];

/**
 * The walks of all categories but the network's, in the order of precedence (categories.ts).
 *
 * @param ram all of it, also what is offline: its struct pages take memory
 */
export function walksBefore(
  kernel: Kernel,
  ram: readonly FrameRange[],
  ledger: FrameLedger,
  areas: Areas,
): Walk[] {
  const each = (category: CategoryName, found: () => Iterable<number>): Walk => ({
    category,
    run: () => {
      for (const frame of found()) ledger.claim(category, frame);
    },
  });
  const mapped = (category: CategoryName, isOf: (caller: string | undefined) => boolean): Walk => ({
    category,
    run: () => {
      const isWanted = (area: VmArea) =>
        area.owns && !areas.isStack(area) && isOf(areas.caller(area));
      for (const { area, frame } of areas.frames('a vmap area', isWanted))
        ledger.claim(category, frame, areas.caller(area) ?? '');
    },
  });
  return [
    {
      category: 'free-cpu-lists',
      run: () => {
        for (const { frame, order } of cpuLists(kernel))
          ledger.claimBlock('free-cpu-lists', frame, order);
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
    each('image', () => imageFrames(kernel)),
    each('memmap', () => memmapFrames(kernel, ram)),
    each('kernel-stacks', function* () {
      for (const { frame } of areas.frames('a stack', (area) => areas.isStack(area))) yield frame;
      const bytes = kernel.struct('thread_union')?.size;
      for (const stack of areas.directStacks())
        if (bytes !== undefined) yield* framesBehind(kernel, { address: stack, bytes });
      areas.checkStacks();
    }),
    mapped('modules', (caller) => categoryOfCaller(caller) === 'modules'),
    mapped('bpf', (caller) => categoryOfCaller(caller) === 'bpf'),
    mapped('vmalloc', () => true),
    {
      category: 'page-tables',
      run: () => {
        const { pageSize } = kernel.facts;
        for (const table of kernel.pageTables?.() ?? [])
          ledger.claim('page-tables', Math.floor(table / pageSize));
        for (const frame of pageDirectories(kernel)) {
          ledger.claim('page-tables', frame);
          // The user's half of KPTI: behind the other, in one block of two. Without KPTI there may be a
          // page that a CPU lists as free.
          const other = frame + 1;
          const nobodys = ledger.kindOf(other) === 'unreferenced' && !ledger.categoryOf(other);
          if (frame % 2 === 0 && nobodys) ledger.claim('page-tables', other);
        }
      },
    },
  ];
}

/** Those that come after the network's. */
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
        for (const frame of pipeFrames(kernel, files.each)) ledger.claim('pipes', frame);
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
        for (const frame of perfRingFrames(kernel, files.each))
          ledger.claim('rings', frame, 'perf');
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
        // It maps pages that it took one by one, which count with no area.
        for (const area of areas.all())
          if (!area.owns && BPF_RING.test(areas.caller(area) ?? ''))
            for (const frame of framesBehind(kernel, area)) ledger.claim('rings', frame, 'bpf');
      },
    },
    {
      category: 'rings',
      run: () => {
        for (const ring of virtioRings(kernel))
          for (const frame of framesBehind(kernel, ring)) ledger.claim('rings', frame, 'virtio');
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
        const tables = { category: 'tables', besides: TABLE_KINDS } as const;
        for (const { name, frames } of kernelTables(kernel)) {
          // Both tables of UDP are one block.
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
  for (const range of ranges) yield* framesBehind(kernel, range);
}

/** Frames of the pipes among files, each pipe once: FIFOs among them. @throws {KernelError} `no-symbols` */
function* pipeFrames(kernel: Kernel, each: EachFile): Generator<number> {
  const anonymous = kernel.symbol('pipeanon_fops');
  const operations = [needSymbol(kernel, 'pipefifo_fops'), anonymous];
  const file = new StructReader(kernel, 'file', ['f_op', 'private_data']);
  const pipes = new PipeReader(kernel);
  const seen = new Set<bigint>([0n]);
  yield* each(function* (one) {
    const view = file.read(one);
    if (!operations.includes(view.pointer('f_op'))) return;
    const pipe = view.pointer('private_data');
    if (!seen.has(pipe)) yield* pipes.frames(pipe);
    seen.add(pipe);
  });
}

interface Claim {
  readonly category: CategoryName;
  readonly frames: Iterable<number>;
  readonly owner?: string;
  /** Kinds of pages that they may be of all the same, and stay where they are. */
  readonly besides?: readonly PageKind[];
  /** Two of the category may share a page, as the two halves of one table do. */
  readonly mayShare?: boolean;
}

/**
 * Claims frames that nobody else can have, each once unless told.
 *
 * @throws {KernelError} `damaged` after the last, if others have some; on a live kernel they may by now
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
  const message = `${others} pages of ${owner ?? category} are of something else as well`;
  throw new KernelError('damaged', message);
}
