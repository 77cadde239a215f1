import { damaged } from '../../base/errors.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** Maximum number of slots: fs.pipe-max-size is limited to 2 GiB of pages (round_pipe_size). */
const MOST_SLOTS = 2 ** 19;

/** Reads the pages in pipes (include/linux/pipe_fs_i.h). */
export class PipeReader {
  readonly #kernel: Kernel;
  readonly #pipe;
  readonly #ring: (pipe: bigint) => Filled;
  readonly #buffer;
  readonly #spare: { readonly offset: number; readonly count: number } | undefined;
  readonly #at = new Pointer();

  /** @throws {KernelError} `unsupported-layout` */
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
   * @throws {KernelError} `damaged`; {@link ReadError}
   */
  *frames(pipe: bigint): Generator<number> {
    const { first, filled, size } = this.#ring(pipe);
    const sound = size > 0 && size <= MOST_SLOTS && Number.isInteger(Math.log2(size));
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
