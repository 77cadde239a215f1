import { hex } from '../base/util.js';
import type { Kernel } from '../kernel/kernel.js';
import { TornList } from './list.js';
import { StructReader } from './struct-reader.js';

/** Visited nodes are remembered, and a JavaScript set holds at most 2^24. */
const MOST_REMEMBERED = 16_000_000;

/** Maximum height of a red-black tree, twice log2 of its nodes, for 2^64 nodes. */
const MAX_TREE_HEIGHT = 128;

/**
 * Yields the addresses of the nodes of a red-black tree, in order. Each node must point to its parent, and every
 * path must have the same number of black nodes (lib/rbtree.c), which detects most missing branches.
 *
 * @param root `rb_root.rb_node`
 * @throws {TornList}; {@link ReadError}
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
      if (seen.size >= MOST_REMEMBERED) throw new TornList(`the tree exceeds ${seen.size} nodes`);
      seen.add(node);
      const links = tree.read(node);
      const up = links.pointer('__rb_parent_color');
      if ((up & ~3n) !== parent) {
        throw new TornList(
          `the tree's node ${hex(node)} hangs from ${hex(parent)} and names ${hex(up & ~3n)}`,
        );
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
