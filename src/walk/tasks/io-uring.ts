import { KernelError, ReadError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { decodeText, StructReader } from '../struct-reader.js';

/** IORING_MAX_FIXED_FILES is 2^20 (io_uring/rsrc.c); a larger table is damage. */
const MAX_FILES = 2 ** 20;

/** The low bits of a registered file's address are flags (FFS_* in io_uring/filetable.h). */
const FLAGS = 7n;

/** The name of a ring's file, which lies in no file system that has paths. */
const NAME = '[io_uring]';

/** Tells rings of io_uring from other files, and which files are registered with one. */
export class RingReader {
  readonly #kernel: Kernel;
  readonly #isRing: (file: bigint) => boolean;
  readonly #file;
  #table: ((ring: bigint) => Generator<bigint>) | undefined;
  #own: ((ring: bigint) => bigint | undefined) | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#file = new StructReader(kernel, 'file', ['f_op', 'private_data']);
    const operations = kernel.symbol('io_uring_fops');
    this.#isRing =
      operations === undefined
        ? hasName(kernel, NAME)
        : (file) => this.#file.read(file).pointer('f_op') === operations;
  }

  /**
   * The files that are registered with a ring (IORING_REGISTER_FILES), once for each slot;
   * undefined: the file is something else.
   *
   * @throws {ReadError} if they cannot be read; {@link KernelError} `damaged` if they are none, or
   *   `unsupported-layout`
   */
  registered(file: bigint): bigint[] | undefined {
    if (!this.#isRing(file)) return undefined;
    this.#table ??= tableReader(this.#kernel);
    return [...this.#table(this.#file.read(file).pointer('private_data'))];
  }

  /** The unix sock in whose queue a ring keeps files that are registered with it (up to 6.6). */
  ownSock(file: bigint): bigint | undefined {
    this.#own ??= ownSockReader(this.#kernel);
    return this.#own(this.#file.read(file).pointer('private_data'));
  }
}

/**
 * Since 6.13 `io_ring_ctx.file_table.data` counts and leads to nodes, one for each file; before that
 * `file_table.files` is an array of files (5.13, and 5.10 as its stable series has it), and the
 * ring counts them (include/linux/io_uring_types.h).
 */
function tableReader(kernel: Kernel): (ring: bigint) => Generator<bigint> {
  const pointers = function* (at: bigint, count: number): Generator<bigint> {
    if (count > MAX_FILES) throw new KernelError('damaged', `a ring claims ${count} files`);
    if (count === 0 || at === 0n) return;
    const view = readPartOf(kernel, 'the table of files', at, at, count * 8);
    for (let index = 0; index < count; index++) {
      const pointer = view.getBigUint64(index * 8, true);
      if (pointer !== 0n) yield pointer;
    }
  };
  if (kernel.struct('io_ring_ctx')?.member('file_table.data.nodes')) {
    const ring = new StructReader(kernel, 'io_ring_ctx', [
      'file_table.data.nr',
      'file_table.data.nodes',
    ]);
    const node = new StructReader(kernel, 'io_rsrc_node', ['file_ptr']);
    return function* (address) {
      const view = ring.read(address);
      const nodes = view.pointer('file_table.data.nodes');
      for (const one of pointers(nodes, view.number('file_table.data.nr'))) {
        const file = node.read(one).pointer('file_ptr') & ~FLAGS;
        if (file !== 0n) yield file;
      }
    };
  }
  const ring = new StructReader(kernel, 'io_ring_ctx', ['file_table.files', 'nr_user_files']);
  new StructReader(kernel, 'io_fixed_file', ['file_ptr']);
  return function* (address) {
    const view = ring.read(address);
    const files = view.pointer('file_table.files');
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

/**
 * For kernels that name no data: by the name that its dentry has (fs/anon_inodes.c). A name that
 * cannot be read is another's: what a ring holds is found by the slabs all the same.
 */
function hasName(kernel: Kernel, name: string): (file: bigint) => boolean {
  const file = new StructReader(kernel, 'file', ['f_path.dentry']);
  const dentry = new StructReader(kernel, 'dentry', ['d_name.name', 'd_name.len']);
  return (address) => {
    try {
      const view = dentry.read(file.read(address).pointer('f_path.dentry'));
      if (view.number('d_name.len') !== name.length) return false;
      const text = kernel.read(view.pointer('d_name.name'), name.length);
      return decodeText(text, 0, name.length) === name;
    } catch (error) {
      if (error instanceof ReadError) return false;
      throw error;
    }
  };
}
