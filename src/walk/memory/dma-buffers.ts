import { damaged, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { needSymbol } from '../cpus.js';
import { StructReader } from '../struct-reader.js';
import { fileTest } from '../tasks/files.js';
import type { ListedBlock } from './cpu-lists.js';
import type { EachFile } from './open-files.js';

/** Maximum number of pieces of one buffer; those of the system heap have 64 KiB or more if memory allows. */
const MOST_PIECES = 2 ** 22;

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
export function* dmaBuffers(kernel: Kernel, each: EachFile): Generator<ListedBlock> {
  // This kernel has no dma-buf.
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
  throw unsupportedLayout(message);
}

/** Addresses of `struct dma_buf`s, each once. */
function* buffers(kernel: Kernel, each: EachFile): Generator<bigint> {
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
  yield* each(function* (address) {
    if (isBuffer(address)) yield file.read(address).pointer('private_data');
  });
}

/** Blocks of a system heap buffer. */
function* pieces(kernel: Kernel, at: bigint, bytes: number): Generator<ListedBlock> {
  const buffer = new StructReader(kernel, 'system_heap_buffer', [
    ...['len', 'sg_table.sgl', 'sg_table.orig_nents'],
  ] as const).read(at);
  const what = `the dma-buf buffer at ${hex(at)}`;
  const [length, many] = [buffer.number('len'), buffer.number('sg_table.orig_nents')];
  if (length !== bytes) throw damaged(`${what} has ${length} bytes, and says ${bytes} elsewhere`);
  if (many === 0 || many > MOST_PIECES) throw damaged(`${what} claims ${many} pieces`);
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
