import { damaged, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { type FileTest, fileTest } from './files.js';

/** Maximum number of registered files: IORING_MAX_FIXED_FILES is 2^20 (io_uring/rsrc.c). */
const MAX_FILES = 2 ** 20;

/** Flags in the low bits of a registered file's address (FFS_* in io_uring/filetable.h). */
const FLAGS = 7n;

/** Distinguishes io_uring rings from other files. */
export function ringTest(kernel: Kernel): FileTest {
  return fileTest(kernel, 'io_uring_fops', '[io_uring]');
}

/** Distinguishes io_uring rings from other files, and finds their registered files. */
export class RingReader {
  readonly #kernel: Kernel;
  readonly #isRing: FileTest;
  readonly #file;
  #table: ((ring: bigint) => Generator<bigint>) | undefined;
  #own: ((ring: bigint) => bigint | undefined) | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#file = new StructReader(kernel, 'file', ['private_data']);
    this.#isRing = ringTest(kernel);
  }

  /**
   * Files registered with a ring (IORING_REGISTER_FILES), once for each slot; undefined: the file is
   * something else.
   *
   * @throws {ReadError} if they cannot be read; {@link KernelError} `damaged` if they are no files, or
   * `unsupported-layout`
   */
  registered(file: bigint): bigint[] | undefined {
    if (!this.#isRing(file)) return undefined;
    this.#table ??= tableReader(this.#kernel);
    return [...this.#table(this.#ring(file))];
  }

  /** Returns the unix sock in whose queue a ring keeps registered files (up to 6.6). */
  ownSock(file: bigint): bigint | undefined {
    this.#own ??= ownSockReader(this.#kernel);
    return this.#own(this.#ring(file));
  }

  /**
   * Returns the `io_ring_ctx` of a file, checked by its list of overflowed completions, which points back to
   * it.
   */
  #ring(file: bigint): bigint {
    const ring = this.#file.read(file).pointer('private_data');
    const { facts } = this.#kernel;
    const list = this.#kernel.struct('io_ring_ctx')?.member('cq_overflow_list');
    if (list?.size !== 16 || facts.live) return ring;
    const head = ring + BigInt(list.offset);
    const links = new StructReader(this.#kernel, 'list_head', ['next', 'prev']);
    const next = readOrNot(() => links.read(head).pointer('next'));
    // This read makes an extract keep the data.
    if (next === undefined) return ring;
    if (readOrNot(() => links.read(next).pointer('prev')) !== head)
      throw damaged(`file ${hex(file)} points to ${hex(ring)}, which is not an io_uring`);
    return ring;
  }
}

/**
 * Returns a reader of registered files. Since 6.13, `io_ring_ctx.file_table.data` has a count and pointers to
 * nodes, one per file. Before that, `file_table.files` is an array of files (5.13, and the 5.10 stable
 * series), and the ring has the count (include/linux/io_uring_types.h).
 */
function tableReader(kernel: Kernel): (ring: bigint) => Generator<bigint> {
  const pointers = function* (at: bigint, count: number): Generator<bigint> {
    if (count > MAX_FILES) throw damaged(`an io_uring has an invalid number of files (${count})`);
    if (count === 0 || at === 0n) return;
    const view = readPartOf(kernel, 'the io_uring file table', at, at, count * 8);
    for (let index = 0; index < count; index++) {
      const pointer = view.getBigUint64(index * 8, true);
      if (pointer !== 0n) yield pointer;
    }
  };
  if (kernel.struct('io_ring_ctx')?.member('file_table.data.nodes')) {
    const ring = new StructReader(kernel, 'io_ring_ctx', ['file_table.data.nr', 'file_table.data.nodes']);
    const node = new StructReader(kernel, 'io_rsrc_node', ['file_ptr']);
    return function* (address) {
      const view = ring.read(address);
      const nodes = view.pointer('file_table.data.nodes');
      for (const pointer of pointers(nodes, view.number('file_table.data.nr'))) {
        const file = node.read(pointer).pointer('file_ptr') & ~FLAGS;
        if (file !== 0n) yield file;
        // An empty slot has no node.
        else if (!kernel.facts.live) throw damaged(`the io_rsrc_node at ${hex(pointer)} has no file`);
      }
    };
  }
  // 5.1 to 5.4: plain pointers.
  const plain = kernel.struct('io_ring_ctx')?.member('user_files') !== undefined;
  const table = plain ? 'user_files' : 'file_table.files';
  const ring = new StructReader(kernel, 'io_ring_ctx', [table, 'nr_user_files']);
  if (!plain) new StructReader(kernel, 'io_fixed_file', ['file_ptr']);
  return function* (address) {
    const view = ring.read(address);
    const files = view.pointer(table);
    for (const file of pointers(files, view.number('nr_user_files'))) yield file & ~FLAGS;
  };
}

function ownSockReader(kernel: Kernel): (ring: bigint) => bigint | undefined {
  if (!kernel.struct('io_ring_ctx')?.member('ring_sock')) return () => undefined;
  const ring = new StructReader(kernel, 'io_ring_ctx', ['ring_sock']);
  const socket = new StructReader(kernel, 'socket', ['sk']);
  return (address) => {
    const own = ring.read(address).pointer('ring_sock');
    return own === 0n ? undefined : socket.read(own).pointer('sk');
  };
}
