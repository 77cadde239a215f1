import { damaged, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { needSymbol } from '../cpus.js';
import { Cursor } from '../cursor.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { memberOf, struct } from '../pages/struct-page.js';
import { StructReader } from '../struct-reader.js';
import { type Belongings, type Openers, OpenFiles, sharedTables } from '../tasks/descriptors.js';
import { fileTest } from '../tasks/files.js';
import { Warnings } from '../warnings.js';
import type { FrameScan } from './frame-scan.js';
import type { FrameMap } from './page-array.js';
import { KIND } from './page-kinds.js';
import type { ListedBlock } from './zones.js';

/**
 * Iterates over the open files of all processes, each once, and yields the results of `read` for each. On a
 * live kernel it may read a file again. Files that are only mapped, or queued in a unix socket, are not
 * included.
 *
 * @throws after the last file: errors of `read`, or the reason why files may be missing
 */
export type EachFile = <Found>(read: (file: bigint, openers: Openers) => Iterable<Found>) => Generator<Found>;

/** Open files of all processes, read on first use. */
export class FilesOfProcesses {
  readonly #kernel: Kernel;
  #owned: Belongings | undefined;
  #files: OpenFiles | undefined;
  #lost: unknown;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  readonly each: EachFile = (read) => this.#each(read);

  /** Notes objects that a live kernel freed since they were found. */
  note(warnings: Warnings): void {
    this.#files?.note('pipes and rings', warnings);
  }

  *#each<Found>(read: (file: bigint, openers: Openers) => Iterable<Found>): Generator<Found> {
    // Problems with tasks are already reported as warnings of the answer.
    this.#owned ??= sharedTables(this.#kernel, new Warnings());
    this.#files ??= new OpenFiles(this.#kernel, this.#owned, (_, error) => {
      this.#lost ??= error;
    });
    let lost = this.#owned.lost ?? this.#lost;
    for (const [file, openers] of this.#files) {
      try {
        yield* this.#files.read(file, () => [...read(file, openers)]) ?? [];
      } catch (error) {
        lost ??= error;
      }
    }
    if (lost !== undefined) throw lost;
  }
}

/**
 * Frames of secret memory (memfd_secret, mm/secretmem.c): file pages of inodes with special operations. The
 * kernel counts its users. If there are none, as usual, nothing is read.
 */
export function* secretFrames(kernel: Kernel, frames: FrameMap, { files, kinds }: FrameScan): Generator<number> {
  const users = kernel.symbol('secretmem_users');
  // Kernels before 5.14 have no secret memory.
  if (users === undefined) return;
  if (readPartOf(kernel, 'secretmem_users', users, users, 4).getUint32(0, true) === 0) return;
  const operations = needSymbol(kernel, 'secretmem_aops');
  const space = new StructReader(kernel, 'address_space', ['a_ops']);
  const secret = new Set<bigint>();
  for (const { mapping } of files.largest('cache'))
    if (mapping !== 0n && space.read(mapping).pointer('a_ops') === operations) secret.add(mapping);
  if (secret.size === 0) return;
  const at = memberOf(struct(kernel, 'page'), 'mapping').offset;
  const cursor = new Cursor(kernel, 'struct page');
  for (let index = 0; index < kinds.length; index++) {
    if (kinds[index] !== KIND.file) continue;
    const frame = frames.frameAt(index);
    const { view, base } = cursor.to(kernel.pages.pageOfFrame(frame)).look(at, 8);
    if (secret.has(view.getBigUint64(base + at, true))) yield frame;
  }
}

/** Maximum number of pieces of one buffer; those of the system heap have 64 KiB or more if memory allows. */
const MAX_PIECES = 2 ** 22;

/**
 * Bits of `scatterlist.page_link` (include/linux/scatterlist.h): a link to another part of the list, and the
 * last entry.
 */
const SG_CHAIN = 1n;
const SG_END = 2n;

/**
 * Pages that dma-buf heaps allocated for buffers shared by processes and devices
 * (drivers/dma-buf/heaps/system_heap.c). udmabuf buffers consist of pages of a memfd, which are shared
 * memory, and have no pages of their own.
 *
 * All buffers are found if the kernel has a global list of them (up to 6.9, and since 6.16). Otherwise only
 * buffers that a process has open are found.
 *
 * @param each iterates over files; files that are not dma-bufs are skipped
 * @throws {KernelError} `unsupported-layout` after the last buffer, if there are buffers of unknown
 * exporters; `damaged`; {@link ReadError}
 */
export function* dmaBuffers(kernel: Kernel, eachFile: EachFile): Generator<ListedBlock> {
  // This kernel has no dma-buf.
  if (!kernel.struct('dma_buf')) return;
  const reader = new StructReader(kernel, 'dma_buf', ['size', 'ops', 'priv']);
  const heap = kernel.symbol('system_heap_buf_ops');
  const others = { buffers: 0, bytes: 0 };
  for (const address of buffers(kernel, eachFile)) {
    const view = reader.read(address);
    const [bytes, operations] = [view.number('size'), view.pointer('ops')];
    if (heap !== undefined && operations === heap) {
      yield* pieces(kernel, view.pointer('priv'), bytes);
    } else if (operations !== kernel.symbol('udmabuf_ops')) {
      others.buffers++;
      others.bytes += bytes;
    }
  }
  if (others.buffers === 0) return;
  const message = `${others.buffers} dma-buf buffers of ${others.bytes} bytes are of drivers that are not known`;
  throw unsupportedLayout(message);
}

/** Addresses of `struct dma_buf`s, each once. */
function* buffers(kernel: Kernel, eachFile: EachFile): Generator<bigint> {
  const list = kernel.symbol('dmabuf_list') ?? kernel.symbol('db_list');
  if (list !== undefined) {
    const buffer = new StructReader(kernel, 'dma_buf', ['list_node']);
    // The head is the first member of struct dma_buf_list.
    yield* buffer.entryAddresses(list, 'list_node');
    return;
  }
  needSymbol(kernel, 'dma_buf_fops');
  const isBuffer = fileTest(kernel, 'dma_buf_fops', '');
  const file = new StructReader(kernel, 'file', ['private_data']);
  yield* eachFile(function* (address) {
    if (isBuffer(address)) yield file.read(address).pointer('private_data');
  });
}

/** Blocks of a system heap buffer. */
function* pieces(kernel: Kernel, at: bigint, bytes: number): Generator<ListedBlock> {
  const buffer = new StructReader(kernel, 'system_heap_buffer', [
    'len',
    'sg_table.sgl',
    'sg_table.orig_nents',
  ] as const).read(at);
  const what = `the dma-buf buffer at ${hex(at)}`;
  const [length, many] = [buffer.number('len'), buffer.number('sg_table.orig_nents')];
  if (length !== bytes) throw damaged(`${what} has ${length} bytes, and says ${bytes} elsewhere`);
  if (many === 0 || many > MAX_PIECES) throw damaged(`${what} claims ${many} pieces`);
  const piece = new StructReader(kernel, 'scatterlist', ['page_link', 'offset', 'length']);
  const { pageSize } = kernel.facts;
  const page = new Pointer();
  let entry = buffer.pointer('sg_table.sgl');
  let found = 0;
  for (let index = 0; index < many; index++) {
    let view = piece.read(entry);
    let link = view.pointer('page_link');
    if (link & SG_CHAIN) {
      entry = link & ~(SG_CHAIN | SG_END);
      view = piece.read(entry);
      link = view.pointer('page_link');
    }
    const isLast = (link & SG_END) !== 0n;
    const size = view.number('length');
    const order = Math.log2(size / pageSize);
    const frame = kernel.pages.frameOfPage(page.set(link & ~(SG_CHAIN | SG_END)));
    const sound = frame >= 0 && Number.isInteger(order) && order >= 0 && order <= 20;
    if (!sound || view.number('offset') !== 0 || isLast !== (index === many - 1))
      throw damaged(`${what} has a piece at ${hex(entry)} that is none`);
    found += size;
    yield { frame, order };
    entry += BigInt(piece.size);
  }
  if (found !== bytes) throw damaged(`${what} has pieces of ${found} bytes, and says ${bytes}`);
}

/** Maximum number of slots: fs.pipe-max-size is limited to 2 GiB of pages (round_pipe_size). */
const MAX_SLOTS = 2 ** 19;

/** Reads the pages in pipes (include/linux/pipe_fs_i.h). */
export class PipeReader {
  readonly #kernel: Kernel;
  readonly #pipe;
  readonly #ring: (pipe: bigint) => Filled;
  readonly #buffer;
  readonly #spare: { readonly offset: number; readonly count: number } | undefined;
  readonly #at = new Pointer();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#pipe = new StructReader(kernel, 'pipe_inode_info', ['bufs']);
    this.#ring = ringReader(kernel);
    this.#buffer = new StructReader(kernel, 'pipe_buffer', ['page']);
    const spare = kernel.struct('pipe_inode_info')?.member('tmp_page');
    // An array of two since 6.14.
    if (spare) this.#spare = { offset: spare.offset, count: spare.count ?? 1 };
  }

  /**
   * Frames with data of a pipe, and those that it keeps for the next write. Pages from splice may belong to a
   * file.
   *
   * @param pipe address of a `struct pipe_inode_info`
   */
  *frames(pipe: bigint): Generator<number> {
    const { first, filled, size } = this.#ring(pipe);
    const sound = size > 0 && size <= MAX_SLOTS && Number.isInteger(Math.log2(size));
    if (!sound || filled > size) {
      throw damaged(`the pipe at ${hex(pipe)} has ${filled} pages in ${size} slots`);
    }
    const slots = this.#pipe.read(pipe).pointer('bufs');
    for (let index = 0; index < filled; index++) {
      const slot = (first + index) & (size - 1);
      const page = this.#buffer.read(this.#buffer.element(slots, slot)).pointer('page');
      if (page !== 0n) yield this.#frame(pipe, page);
    }
    for (let index = 0; index < (this.#spare?.count ?? 0); index++) {
      const at = pipe + BigInt(this.#spare!.offset + 8 * index);
      const page = pointerPartOf(this.#kernel, 'struct pipe_inode_info', pipe, at);
      if (page !== 0n) yield this.#frame(pipe, page);
    }
  }

  #frame(pipe: bigint, page: bigint): number {
    const frame = this.#kernel.pages.frameOfPage(this.#at.set(page));
    if (frame >= 0) return frame;
    throw damaged(`the pipe at ${hex(pipe)} names ${hex(page)}, which is no page`);
  }
}

/** The filled slots of a pipe. */
interface Filled {
  readonly first: number;
  readonly filled: number;
  readonly size: number;
}

/**
 * Returns a reader of `head` and `tail` (since 5.5), or of the first slot and the number of slots (`curbuf`,
 * `nrbufs`).
 */
function ringReader(kernel: Kernel): (pipe: bigint) => Filled {
  if (kernel.struct('pipe_inode_info')?.member('nrbufs')) {
    const pipe = new StructReader(kernel, 'pipe_inode_info', ['nrbufs', 'curbuf', 'buffers']);
    return (address) => {
      const view = pipe.read(address);
      const [first, size] = [view.number('curbuf'), view.number('buffers')];
      if (first >= size) throw damaged(`the pipe at ${hex(address)} begins behind its end`);
      return { first, filled: view.number('nrbufs'), size };
    };
  }
  const pipe = new StructReader(kernel, 'pipe_inode_info', ['head', 'tail', 'ring_size']);
  // Both wrap around at their width: 32 bits, and 16 on some machines since 6.14.
  const range = 2 ** (8 * pipe.members.head.size);
  return (address) => {
    const view = pipe.read(address);
    const first = view.number('tail');
    const filled = (view.number('head') - first + range) % range;
    return { first, filled, size: view.number('ring_size') };
  };
}
