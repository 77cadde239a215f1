import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { listNodes } from '../list.js';
import { needSymbol } from '../machine/cpus.js';
import { StructReader } from '../struct-reader.js';
import { fileTest } from '../tasks/file-kind.js';
import type { ListedBlock } from './cpu-lists.js';
import type { EachFile } from './open-files.js';

/** Pieces of one buffer; those of the system heap are of 64 KiB or more while there is memory. */
const MOST_PIECES = 2 ** 22;

/** Bits of `scatterlist.page_link` (include/linux/scatterlist.h): it leads to more of the list, it is the last. */
const SG_CHAIN = 1n;
const SG_END = 2n;

/**
 * Pages that dma-buf heaps allocated for buffers that processes and devices share
 * (drivers/dma-buf/heaps/system_heap.c). Buffers over the pages of a memfd (udmabuf) are shared memory, and
 * have none of their own.
 *
 * All buffers are found where the kernel lists them for all (up to 6.9, and since 6.16), else those that
 * processes have open.
 *
 * @param each goes through files; those that are no buffers are passed over
 * @throws {KernelError} `unsupported-layout` after the last, for buffers of exporters that are not known;
 *   `damaged`; {@link ReadError}
 */
export function* dmaBuffers(kernel: Kernel, each: EachFile): Generator<ListedBlock> {
  // A kernel without dma-buf.
  if (!kernel.struct('dma_buf')) return;
  const reader = new StructReader(kernel, 'dma_buf', ['size', 'ops', 'priv']);
  const heap = kernel.symbol('system_heap_buf_ops');
  const others = { buffers: 0, bytes: 0 };
  for (const address of buffers(kernel, each)) {
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
  throw new KernelError('unsupported-layout', message);
}

/** Addresses of `struct dma_buf`s, each once. */
function* buffers(kernel: Kernel, each: EachFile): Generator<bigint> {
  const list = kernel.symbol('dmabuf_list') ?? kernel.symbol('db_list');
  if (list !== undefined) {
    const buffer = new StructReader(kernel, 'dma_buf', ['list_node']);
    const offset = BigInt(buffer.offset('list_node'));
    // The head is the first member of struct dma_buf_list.
    for (const node of listNodes(kernel, list)) yield node - offset;
    return;
  }
  needSymbol(kernel, 'dma_buf_fops');
  const isBuffer = fileTest(kernel, 'dma_buf_fops', '');
  const file = new StructReader(kernel, 'file', ['private_data']);
  yield* each(function* (address) {
    if (isBuffer(address)) yield file.read(address).pointer('private_data');
  });
}

/** The blocks of a buffer of the system heap. */
function* pieces(kernel: Kernel, at: bigint, bytes: number): Generator<ListedBlock> {
  const buffer = new StructReader(kernel, 'system_heap_buffer', [
    ...['len', 'sg_table.sgl', 'sg_table.orig_nents'],
  ] as const).read(at);
  const what = `the dma-buf buffer at ${hex(at)}`;
  const [length, many] = [buffer.number('len'), buffer.number('sg_table.orig_nents')];
  if (length !== bytes)
    throw new KernelError('damaged', `${what} has ${length} bytes, and says ${bytes} elsewhere`);
  if (many === 0 || many > MOST_PIECES)
    throw new KernelError('damaged', `${what} claims ${many} pieces`);
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
      throw new KernelError('damaged', `${what} has a piece at ${hex(entry)} that is none`);
    found += size;
    yield { frame, order };
    entry += BigInt(piece.size);
  }
  if (found !== bytes)
    throw new KernelError('damaged', `${what} has pieces of ${found} bytes, and says ${bytes}`);
}
