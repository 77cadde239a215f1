import { damaged } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { hlistNodes } from '../list.js';
import { StructReader } from '../struct-reader.js';

/** More mappings than one page has. */
const MOST_NODES = 2 ** 16;

/** Bits 1 and 0 of `page.mapping`: bit 0 is anonymous, both bits are KSM (linux/page-flags.h). */
const [ANONYMOUS, KSM] = [1n, 3n];

/**
 * Finds the address spaces that may map a page by the tree of its `page.mapping`: mappings of its file, or of
 * its anonymous memory (mm/rmap.c). A child is in its parent's tree, whether it maps the page or not.
 */
export class ReverseMapReader {
  readonly #area;
  readonly #chain;
  readonly #anonymous;
  readonly #file;
  readonly #node;
  readonly #kernel: Kernel;
  readonly #stable: StructReader<'hlist'> | undefined;
  readonly #merged: StructReader<'hlist' | 'anon_vma'> | undefined;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#area = new StructReader(kernel, 'vm_area_struct', ['vm_mm', 'shared.rb']);
    this.#chain = new StructReader(kernel, 'anon_vma_chain', ['vma', 'rb']);
    this.#anonymous = new StructReader(kernel, 'anon_vma', ['rb_root.rb_root.rb_node']);
    this.#file = new StructReader(kernel, 'address_space', ['i_mmap.rb_root.rb_node']);
    this.#node = new StructReader(kernel, 'rb_node', ['rb_left', 'rb_right']);
    this.#kernel = kernel;
    // Before 6.1 these types of KSM have no prefix.
    this.#stable =
      StructReader.ifPresent(kernel, 'ksm_stable_node', ['hlist']) ??
      StructReader.ifPresent(kernel, 'stable_node', ['hlist']);
    const members = ['hlist', 'anon_vma'] as const;
    this.#merged =
      StructReader.ifPresent(kernel, 'ksm_rmap_item', members) ??
      StructReader.ifPresent(kernel, 'rmap_item', members);
  }

  /**
   * Addresses of their `mm_struct`s, each once; undefined for KSM pages of kernels whose types lack those of KSM.
   *
   * @param mapping `page.mapping`
   * @throws {ReadError}; {@link KernelError} `damaged` if the tree never ends
   */
  spacesOf(mapping: bigint): ReadonlySet<bigint> | undefined {
    const spaces = new Set<bigint>();
    const kind = mapping & KSM;
    if (kind === KSM) {
      if (!this.#stable || !this.#merged) return undefined;
      // Each address that was merged names the anonymous memory that it is in (rmap_walk_ksm in mm/ksm.c).
      for (const node of hlistNodes(this.#kernel, this.#stable.addressOf(mapping - kind, 'hlist')))
        this.#addAnonymous(this.#merged.readContainer(node, 'hlist').pointer('anon_vma'), spaces);
    } else if (kind === ANONYMOUS) {
      this.#addAnonymous(mapping - kind, spaces);
    } else {
      const root = this.#file.read(mapping).pointer('i_mmap.rb_root.rb_node');
      for (const node of this.#nodes(root))
        spaces.add(this.#area.readContainer(node, 'shared.rb').pointer('vm_mm'));
    }
    return spaces;
  }

  #addAnonymous(memory: bigint, spaces: Set<bigint>): void {
    const root = this.#anonymous.read(memory).pointer('rb_root.rb_root.rb_node');
    for (const node of this.#nodes(root)) {
      const chain = this.#chain.readContainer(node, 'rb');
      spaces.add(this.#area.read(chain.pointer('vma')).pointer('vm_mm'));
    }
  }

  *#nodes(root: bigint): Generator<bigint> {
    const next = [root];
    for (let met = 0; next.length > 0; ) {
      const node = next.pop();
      if (!node) continue;
      if (met++ > MOST_NODES) throw damaged('mapping tree (i_mmap) does not terminate (loop?)');
      yield node;
      const links = this.#node.read(node);
      next.push(links.pointer('rb_left'), links.pointer('rb_right'));
    }
  }
}
