import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Cursor } from '../cursor.js';
import { CycleTest, listNodes, TornList } from '../list.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

const NODE_FIELDS = ['__rb_parent_color', 'rb_left', 'rb_right'] as const;

/** What was met is remembered, and no JavaScript set holds more than 2^24. */
const MOST_REMEMBERED = 16_000_000;

/** A red-black tree's height is at most twice log2 of its nodes; 2^64 nodes would have this. */
const MAX_TREE_HEIGHT = 128;

/**
 * The ways in which the kernel strings skbs together. Each gives the addresses of the skbs in turn,
 * ends however damaged the links are, and throws {@link TornList} where they do not agree and
 * {@link ReadError} where they cannot be read; what was given before stands.
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

  /** How many skbs the `sk_buff_head` at this address counts. */
  length(head: bigint): number {
    return this.#head.read(head).number('qlen');
  }

  /** A ring whose sentinel is the `sk_buff_head` itself; what rules out cycles is as in {@link listNodes}. */
  *ring(head: bigint): Generator<bigint> {
    const first = this.#head.read(head);
    const cursor = new Cursor(this.#kernel, 'struct sk_buff');
    let previous = head;
    let skb = first.pointer('next');
    const cycle = new CycleTest(head);
    while (skb !== head) {
      cycle.pass(skb);
      // sk_buff and sk_buff_head both begin with next and prev, by design.
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
      throw new TornList(`the queue's head ${hex(head)} names another last skb`);
    }
  }

  /**
   * Skbs linked by `next` alone and ended by NULL. A lock-less list (`ll_node`) is one too: the link
   * is the first member either way.
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

  /** Skbs linked by `skb->list`, the first member as well, from a `struct list_head`. */
  listed(head: bigint): Generator<bigint> {
    return listNodes(this.#kernel, head);
  }

  /**
   * A red-black tree of skbs, in order. Each node must name its parent, and each way down pass as
   * many black nodes as every other (lib/rbtree.c), which tells of most branches that are lost.
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
    throw new TornList(`the tree is uneven at ${hex(uneven)}`);
  }
}
