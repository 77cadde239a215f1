import { damaged } from '../../base/errors.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/**
 * Maximum number of mappings of a process: the default limit is 65,530 (vm.max_map_count); this many are
 * corrupt.
 */
const MOST = 2 ** 20;

/**
 * Finds the processes that map a file: each mapping holds a reference to it (`vm_area_struct.vm_file`), as
 * for AF_PACKET and AF_XDP rings. The mappings of an inode are in an interval tree (mm/interval_tree.c).
 */
export class MappingReader {
  readonly #kernel: Kernel;
  readonly #file;
  readonly #area;
  readonly #node;
  readonly #root;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#file = new StructReader(kernel, 'file', ['f_mapping']);
    this.#area = new StructReader(kernel, 'vm_area_struct', ['vm_mm', 'vm_file', 'shared.rb']);
    this.#node = new StructReader(kernel, 'rb_node', ['rb_left', 'rb_right']);
    this.#root = new StructReader(kernel, 'address_space', ['i_mmap']);
  }

  /**
   * Returns the `struct mm_struct`s that map a file, once per mapping.
   *
   * @throws {ReadError} if a mapping cannot be read; {@link KernelError} `damaged` if the tree does not
   * terminate
   */
  memories(file: bigint): bigint[] {
    const mapping = this.#file.read(file).pointer('f_mapping');
    // Both rb_root_cached and rb_root (up to 4.13) begin with the root node.
    const root = this.#root.addressOf(mapping, 'i_mmap');
    const next = [pointerPartOf(this.#kernel, 'struct address_space', mapping, root)];
    const memories: bigint[] = [];
    let met = 0;
    for (let node = next.pop(); node !== undefined; node = next.pop()) {
      if (node === 0n) continue;
      if (++met > MOST) {
        throw damaged(`mapping list of file ${hex(file)} does not terminate (loop?)`);
      }
      const area = this.#area.readContainer(node, 'shared.rb');
      // Several files may share the inode.
      if (area.pointer('vm_file') === file) memories.push(area.pointer('vm_mm'));
      const links = this.#node.read(node);
      next.push(links.pointer('rb_left'), links.pointer('rb_right'));
    }
    return memories;
  }
}
