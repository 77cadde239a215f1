import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Cursor } from '../cursor.js';
import { CycleTest, listNodes, TornList } from '../list.js';
import { pointerPartOf } from '../named-read.js';
import { treeNodes } from '../rb-tree.js';
import { StructReader } from '../struct-reader.js';

/** Visited entries are remembered, and a JavaScript set holds at most 2^24. */
const MOST_REMEMBERED = 16_000_000;

/**
 * The ways in which the kernel links skbs. Each method yields the addresses of the skbs in order and
 * terminates even if the links are corrupt. It throws {@link TornList} for inconsistent links and {@link
 * ReadError} for unreadable ones; addresses yielded before remain valid.
 */
export class SkbLists {
  readonly #kernel: Kernel;
  readonly #head;
  readonly #skb;

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

  /** Yields the skbs of a red-black tree, in order; see {@link treeNodes}. @param root `rb_root.rb_node` */
  *tree(root: bigint): Generator<bigint> {
    const toSkb = BigInt(this.#skb.offset('rbnode'));
    for (const node of treeNodes(this.#kernel, root)) yield node - toSkb;
  }
}
