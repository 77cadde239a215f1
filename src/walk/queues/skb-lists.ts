import { unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { numaNodes } from '../cpus.js';
import { Cursor } from '../cursor.js';
import { CycleTest, listNodes, TornList } from '../list.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { treeNodes } from '../trees.js';
import type { Queue, QueueFinder } from './queue.js';

/** Visited entries are remembered, and a JavaScript set holds at most 2^24. */
const MAX_REMEMBERED = 16_000_000;

/**
 * The ways in which the kernel links skbs. Each method yields the addresses of the skbs in order and
 * terminates even if the links are corrupt. It throws {@link TornList} for inconsistent links and {@link
 * ReadError} for unreadable ones; addresses yielded before remain valid.
 */
export class SkbLists {
  readonly #kernel: Kernel;
  readonly #head;
  readonly #skb;

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
        throw new TornList(`skb ${hex(skb)} follows ${hex(previous)} but points back to ${hex(back)}`);
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
      if (seen.size >= MAX_REMEMBERED) throw new TornList(`the chain exceeds ${seen.size} skbs`);
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

/**
 * `udp_sock.udp_prod_queue`, since 6.18: a lock-less list per NUMA node, to which CPUs add datagrams for the
 * CPU that queues them (net/ipv4/udp.c, __udp_enqueue_schedule_skb).
 */
export class UdpProducers implements QueueFinder {
  readonly #kernel: Kernel;
  readonly #lists: SkbLists;
  readonly #queues;
  readonly #stride: number;
  readonly #first: number;

  constructor(kernel: Kernel, lists: SkbLists) {
    this.#kernel = kernel;
    this.#lists = lists;
    this.#queues = kernel.struct('udp_sock')?.member('udp_prod_queue');
    const queue = kernel.struct('udp_prod_queue');
    this.#stride = queue?.size ?? 0;
    this.#first = queue?.member('ll_root.first')?.offset ?? 0;
  }

  queues(sock: bigint): Queue[] {
    const member = this.#queues;
    if (!member) return [];
    return [{ name: 'producing', expected: undefined, entries: () => this.#skbs(sock) }];
  }

  *#skbs(sock: bigint): Generator<bigint> {
    const member = this.#queues;
    if (this.#stride === 0 || !member?.pointer) {
      throw unsupportedLayout('unsupported layout of udp_prod_queue');
    }
    const at = sock + BigInt(member.offset);
    const queues = pointerPartOf(this.#kernel, 'struct udp_sock', sock, at);
    if (queues === 0n) return;
    const nodes = numaNodes(this.#kernel);
    for (let node = 0; node < nodes; node++) {
      const own = queues + BigInt(node * this.#stride);
      const root = own + BigInt(this.#first);
      yield* this.#lists.chain(pointerPartOf(this.#kernel, 'struct udp_prod_queue', own, root));
    }
  }
}

/**
 * Skbs that TCP keeps for a sock outside its queues, with all memory that they pin. For reuse: the last one
 * read and the last one acknowledged (sk_eat_skb, sk_wmem_free_skb in include/net/sock.h, 5.3 to 5.15, with
 * the sysctls tcp_rx_skb_cache and tcp_tx_skb_cache). For packet options: the last received one, if the
 * process requested any (tcp_v6_do_rcv in net/ipv6/tcp_ipv6.c).
 */
export class KeptSkbs implements QueueFinder {
  readonly #kernel: Kernel;
  /** Offsets of the skb pointers in a sock. */
  readonly #caches: readonly bigint[];
  /** Offset of the pointer to the IPv6 part in a sock, and of the skb pointer in that; undefined: no IPv6. */
  readonly #options: { readonly part: bigint; readonly skb: bigint } | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    const offsets = (type: string, ...names: string[]) =>
      names.flatMap((name) => {
        const member = kernel.struct(type)?.member(name);
        return member ? [BigInt(member.offset)] : [];
      });
    this.#caches = offsets('sock', 'sk_rx_skb_cache', 'sk_tx_skb_cache');
    const [part] = offsets('inet_sock', 'pinet6');
    const [skb] = offsets('ipv6_pinfo', 'pktoptions');
    this.#options = part === undefined || skb === undefined ? undefined : { part, skb };
  }

  queues(sock: bigint): Queue[] {
    const skbs = this.#caches.map((offset) => this.#pointer('struct sock', sock, offset));
    if (this.#options) {
      const part = this.#pointer('struct inet_sock', sock, this.#options.part);
      if (part !== 0n) skbs.push(this.#pointer('struct ipv6_pinfo', part, this.#options.skb));
    }
    const kept = skbs.filter((skb) => skb !== 0n);
    if (kept.length === 0) return [];
    return [{ name: 'kept', expected: undefined, entries: () => kept }];
  }

  #pointer(whole: string, at: bigint, offset: bigint): bigint {
    return pointerPartOf(this.#kernel, whole, at, at + offset);
  }
}
