import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Cursor } from '../cursor.js';
import { CycleTest, listNodes, TornList } from '../list.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

const NODE_FIELDS = ['__rb_parent_color', 'rb_left', 'rb_right'] as const;

/** Visited entries are remembered, and a JavaScript set holds at most 2^24. */
const MOST_REMEMBERED = 16_000_000;

/** Maximum height of a red-black tree, twice log2 of its nodes, for 2^64 nodes. */
const MAX_TREE_HEIGHT = 128;

/**
 * The ways in which the kernel links skbs. Each method yields the addresses of the skbs in order and
 * terminates even if the links are corrupt. It throws {@link TornList} for inconsistent links and {@link
 * ReadError} for unreadable ones; addresses yielded before remain valid.
 */
export class SkbLists {
  readonly #kernel: Kernel;
  readonly #head;
  readonly #skb;
  #node: StructReader<(typeof NODE_FIELDS)[number]> | undefined;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#head = new StructReader(kernel, 'sk_buff_head', ['next', 'prev', 'qlen']);
    this.#skb = new StructReader(kernel, 'sk_buff', ['next', 'rbnode']);
  }

  /** Number of skbs according to the `sk_buff_head` at this address. */
  length(head: bigint): number {
    return this.#head.read(head).number('qlen');
  }

  /**
   * Yields a ring whose sentinel is the `sk_buff_head` itself; cycles are ruled out as in {@link listNodes}.
   */
  *ring(head: bigint): Generator<bigint> {
    const first = this.#head.read(head);
    const cursor = new Cursor(this.#kernel, 'struct sk_buff');
    let previous = head;
    let skb = first.pointer('next');
    const cycle = new CycleTest(head);
    while (skb !== head) {
      cycle.pass(skb);
      // By design, sk_buff and sk_buff_head both begin with next and prev.
      const { view, base } = cursor.to(skb).look(0, 16);
      const next = view.getBigUint64(base, true);
      const back = view.getBigUint64(base + 8, true);
      if (back !== previous) {
        throw new TornList(
          `skb ${hex(skb)} follows ${hex(previous)} but points back to ${hex(back)}`,
        );
      }
      yield skb;
      previous = skb;
      skb = next;
    }
    if (first.pointer('prev') !== previous) {
      throw new TornList(`the queue's head ${hex(head)} points to another last skb`);
    }
  }

  /**
   * Skbs linked by `next` and ended by NULL. A lock-less list (`ll_node`) has the same form: the link is the
   * first member.
   */
  *chain(first: bigint): Generator<bigint> {
    const offset = BigInt(this.#skb.offset('next'));
    const seen = new Set<bigint>();
    for (let skb = first; skb !== 0n; ) {
      if (seen.has(skb)) throw new TornList(`the chain loops back to skb ${hex(skb)}`);
      if (seen.size >= MOST_REMEMBERED) throw new TornList(`the chain exceeds ${seen.size} skbs`);
      seen.add(skb);
      yield skb;
      skb = pointerPartOf(this.#kernel, 'struct sk_buff', skb, skb + offset);
    }
  }

  /** Yields skbs linked into a `struct list_head` by `skb->list`, which is also the first member. */
  listed(head: bigint): Generator<bigint> {
    return listNodes(this.#kernel, head);
  }

  /**
   * Yields the skbs of a red-black tree, in order. Each node must point to its parent, and every path must
   * have the same number of black nodes (lib/rbtree.c), which detects most missing branches.
   *
   * @param root `rb_root.rb_node`
   */
  *tree(root: bigint): Generator<bigint> {
    if (root === 0n) return;
    this.#node ??= new StructReader(this.#kernel, 'rb_node', NODE_FIELDS);
    const tree = this.#node;
    const toSkb = BigInt(this.#skb.offset('rbnode'));
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
        if (seen.size >= MOST_REMEMBERED) throw new TornList(`the tree exceeds ${seen.size} skbs`);
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
      yield top.node - toSkb;
      node = top.right;
      parent = top.node;
      blacks = top.blacks;
    }
    if (uneven === undefined) return;
    throw new TornList(`the tree is unbalanced at ${hex(uneven)}`);
  }
}
