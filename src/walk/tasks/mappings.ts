import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** A process may have 65,530 mappings (vm.max_map_count), and be told to have more; this is damage. */
const MOST = 2 ** 20;

/**
 * Finds who maps a file: each mapping holds a reference to it, as AF_PACKET's and AF_XDP's rings do
 * (`vm_area_struct.vm_file`). The mappings of an inode hang in a tree (mm/interval_tree.c).
 */
export class MappingReader {
  readonly #kernel: Kernel;
  readonly #file;
  readonly #area;
  readonly #node;
  readonly #root: number;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#file = new StructReader(kernel, 'file', ['f_mapping']);
    this.#area = new StructReader(kernel, 'vm_area_struct', ['vm_mm', 'vm_file', 'shared.rb']);
    this.#node = new StructReader(kernel, 'rb_node', ['rb_left', 'rb_right']);
    this.#root = new StructReader(kernel, 'address_space', ['i_mmap']).offset('i_mmap');
  }

  /**
   * The `struct mm_struct`s that map a file, once for each mapping.
   *
   * @throws {ReadError} if a mapping cannot be read; {@link KernelError} `damaged` if they never end
   */
  memories(file: bigint): bigint[] {
    const toArea = BigInt(this.#area.offset('shared.rb'));
    const mapping = this.#file.read(file).pointer('f_mapping');
    const root = mapping + BigInt(this.#root);
    // Both rb_root_cached and rb_root, which it was up to 4.13, begin with the first node.
    const next = [pointerPartOf(this.#kernel, 'struct address_space', mapping, root)];
    const memories: bigint[] = [];
    let met = 0;
    for (let node = next.pop(); node !== undefined; node = next.pop()) {
      if (node === 0n) continue;
      if (++met > MOST) {
        throw new KernelError(
          'damaged',
          `mapping list of file ${hex(file)} does not terminate (loop?)`,
        );
      }
      const area = this.#area.read(node - toArea);
      // The inode may be that of many files.
      if (area.pointer('vm_file') === file) memories.push(area.pointer('vm_mm'));
      const links = this.#node.read(node);
      next.push(links.pointer('rb_left'), links.pointer('rb_right'));
    }
    return memories;
  }
}
