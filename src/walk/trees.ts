import { damaged } from '../base/errors.js';
import { hex } from '../base/util.js';
import type { Kernel } from '../kernel/kernel.js';
import { TornList } from './list.js';
import { pointerPartOf } from './named-read.js';
import { StructReader } from './struct-reader.js';

/** Visited nodes are remembered, and a JavaScript set holds at most 2^24. */
const MAX_REMEMBERED = 16_000_000;

/** Maximum height of a red-black tree, twice log2 of its nodes, for 2^64 nodes. */
const MAX_TREE_HEIGHT = 128;

/**
 * Yields the addresses of the nodes of a red-black tree, in order. Each node must point to its parent, and every
 * path must have the same number of black nodes (lib/rbtree.c), which detects most missing branches.
 *
 * @param root `rb_root.rb_node`
 */
export function* treeNodes(kernel: Kernel, root: bigint): Generator<bigint> {
  if (root === 0n) return;
  const tree = new StructReader(kernel, 'rb_node', ['__rb_parent_color', 'rb_left', 'rb_right']);
  const seen = new Set<bigint>();
  const path: { node: bigint; right: bigint; blacks: number }[] = [];
  let blackHeight: number | undefined;
  let uneven: bigint | undefined;
  let node = root;
  let parent = 0n;
  let blacks = 0;
  while (true) {
    while (node !== 0n) {
      if (seen.has(node) || path.length >= MAX_TREE_HEIGHT) {
        throw new TornList(`the tree does not terminate (loop?) at ${hex(node)}`);
      }
      if (seen.size >= MAX_REMEMBERED) throw new TornList(`the tree exceeds ${seen.size} nodes`);
      seen.add(node);
      const links = tree.read(node);
      const up = links.pointer('__rb_parent_color');
      if ((up & ~3n) !== parent) {
        throw new TornList(`the tree's node ${hex(node)} hangs from ${hex(parent)} and names ${hex(up & ~3n)}`);
      }
      blacks += Number(up & 1n);
      path.push({ node, right: links.pointer('rb_right'), blacks });
      parent = node;
      node = links.pointer('rb_left');
    }
    blackHeight ??= blacks;
    if (blacks !== blackHeight) uneven ??= parent;
    const top = path.pop();
    if (!top) break;
    yield top.node;
    node = top.right;
    parent = top.node;
    blacks = top.blacks;
  }
  if (uneven === undefined) return;
  throw new TornList(`the tree is unbalanced at ${hex(uneven)}`);
}

/** Bits 1 and 0 of an entry: 2 marks a node, or a sibling of the slot with the entry itself (linux/xarray.h). */
const [INTERNAL, TAGS] = [2n, 3n];

/** Internal entries up to this value are not node addresses. */
const LARGEST_SIBLING = 4096n;

/** Looks up xarray entries by index. */
export class XarrayReader {
  readonly #kernel: Kernel;
  readonly #node;

  /** @throws {KernelError} `unsupported-layout` if the kernel has no xarrays (before 4.20) */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#node = new StructReader(kernel, 'xa_node', ['shift', 'slots']);
  }

  /**
   * @param head `xa_head`
   * @returns 0n: none
   * @throws {ReadError}; {@link KernelError} `damaged` if nodes are nested too deeply
   */
  load(head: bigint, index: bigint): bigint {
    const slots = BigInt(this.#node.members.slots.count ?? 0);
    let entry = head;
    let last: number | undefined;
    while (isNode(entry)) {
      const node = entry - INTERNAL;
      const view = this.#node.read(node);
      const shift = view.number('shift');
      if (shift >= (last ?? 64)) throw damaged('xarray does not terminate (loop?)');
      const slot = index >> BigInt(shift);
      if (last === undefined && slot >= slots) return 0n;
      const at = view.addressOf('slots');
      const load = (place: bigint) => pointerPartOf(this.#kernel, 'struct xa_node', node, at + 8n * place);
      entry = load(slot % slots);
      // The entry of several slots is in the first of them.
      if ((entry & TAGS) === INTERNAL && entry < LARGEST_SIBLING) entry = load(entry >> 2n);
      last = shift;
    }
    return last === undefined && index > 0n ? 0n : entry;
  }

  /**
   * Yields the entries with their indexes, in order.
   *
   * @param head `xa_head`
   * @throws as load
   */
  *entries(head: bigint, first = 0, last = 64): Generator<readonly [index: number, entry: bigint]> {
    if (head === 0n) return;
    if (!isNode(head)) {
      if ((head & TAGS) !== INTERNAL) yield [first, head];
      return;
    }
    const view = this.#node.read(head - INTERNAL);
    const shift = view.number('shift');
    if (shift >= last) throw damaged('xarray does not terminate (loop?)');
    for (const [slot, entry] of view.pointers('slots').entries())
      yield* this.entries(entry, first + slot * 2 ** shift, shift);
  }
}

function isNode(entry: bigint): boolean {
  return (entry & TAGS) === INTERNAL && entry > LARGEST_SIBLING;
}
