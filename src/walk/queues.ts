import type { Kernel } from '../kernel/kernel.js';
import { incompleteness } from './incompleteness.js';
import { TornList } from './list.js';
import { StructReader } from './struct-reader.js';
import type { WarningCode } from './warnings.js';

/** The queues of a sock, by the names of the answer. */
export const QUEUE_NAMES = [
  'receive',
  'outOfOrder',
  'backlog',
  'error',
  'write',
  'retransmit',
  'reader',
] as const;

export type QueueName = (typeof QUEUE_NAMES)[number];

/** A queue found on a sock: walks its skbs' addresses; see {@link walkQueue}. */
export interface Queue {
  readonly name: QueueName;
  /** How many skbs the kernel says it holds, or undefined where it keeps no count. */
  readonly expected: number | undefined;
  readonly skbs: () => Generator<bigint>;
}

/** What is told of a sock to find its queues. */
interface SockKind {
  readonly sock: bigint;
  readonly family: string;
  readonly type: string;
  readonly protocol: string;
  readonly state: string;
}

/** A red-black tree's height is at most twice log2 of its nodes; 2^64 nodes would have this. */
const MAX_TREE_HEIGHT = 128;

/** Finds the queues of a sock. A queue that the family or the kernel doesn't have is absent. */
export class QueueReader {
  readonly #kernel: Kernel;
  readonly #sock;
  readonly #head;
  readonly #skb;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#sock = new StructReader(kernel, 'sock', [
      'sk_receive_queue',
      'sk_write_queue',
      'sk_error_queue',
      'sk_backlog.head',
      'sk_backlog.tail',
    ]);
    this.#head = new StructReader(kernel, 'sk_buff_head', ['next', 'prev', 'qlen']);
    this.#skb = new StructReader(kernel, 'sk_buff', ['next', 'rbnode']);
  }

  /** @throws {ReadError} if the sock cannot be read. */
  queues(kind: SockKind): Queue[] {
    const inet = kind.family === 'AF_INET' || kind.family === 'AF_INET6';
    const tcp = inet && kind.protocol === 'TCP' && kind.type === 'SOCK_STREAM';
    const udp = inet && kind.protocol === 'UDP' && kind.type === 'SOCK_DGRAM';
    const sock = this.#sock.read(kind.sock);
    const ring = (name: QueueName, head: bigint): Queue => ({
      name,
      expected: this.#head.read(head).number('qlen'),
      skbs: () => this.#ring(head),
    });
    const queues = [
      ring('receive', sock.addressOf('sk_receive_queue')),
      this.#backlog(sock.pointer('sk_backlog.head')),
      ring('error', sock.addressOf('sk_error_queue')),
      ring('write', sock.addressOf('sk_write_queue')),
    ];
    // A listener's tcp_sock has these too, but they are never used, nor set up on every kernel.
    if (tcp && kind.state !== 'LISTEN') {
      queues.push(
        ...this.#rbtree('outOfOrder', kind.sock, 'tcp_sock', 'out_of_order_queue'),
        ...this.#rbtree('retransmit', kind.sock, 'sock', 'tcp_rtx_queue'),
      );
    }
    const reader = udp ? this.#kernel.struct('udp_sock')?.member('reader_queue') : undefined;
    if (reader) queues.push(ring('reader', kind.sock + BigInt(reader.offset)));
    return queues.sort((a, b) => QUEUE_NAMES.indexOf(a.name) - QUEUE_NAMES.indexOf(b.name));
  }

  /**
   * A ring whose sentinel is the `sk_buff_head` itself. Each skb must point back to the one before,
   * which rules out every cycle that leaves the head out.
   */
  *#ring(head: bigint): Generator<bigint> {
    const first = this.#head.read(head);
    let previous = head;
    let skb = first.pointer('next');
    while (skb !== head) {
      // sk_buff and sk_buff_head both begin with next and prev, by design.
      const links = this.#kernel.read(skb, 16);
      const back = links.getBigUint64(8, true);
      if (back !== previous) {
        throw new TornList(
          `skb 0x${skb.toString(16)} follows 0x${previous.toString(16)} but points back to 0x${back.toString(16)}`,
        );
      }
      yield skb;
      previous = skb;
      skb = links.getBigUint64(0, true);
    }
    if (first.pointer('prev') !== previous) {
      throw new TornList(`the queue's head 0x${head.toString(16)} names another last skb`);
    }
  }

  /** Packets that arrived while the process held the socket, linked by `next` alone. */
  #backlog(first: bigint): Queue {
    const kernel = this.#kernel;
    const nextOffset = BigInt(this.#skb.offset('next'));
    return {
      name: 'backlog',
      expected: undefined,
      *skbs() {
        const seen = new Set<bigint>();
        for (let skb = first; skb !== 0n; ) {
          if (seen.has(skb)) {
            throw new TornList(`the backlog comes back to skb 0x${skb.toString(16)}`);
          }
          seen.add(skb);
          yield skb;
          skb = kernel.read(skb + nextOffset, 8).getBigUint64(0, true);
        }
      },
    };
  }

  /** A tree of skbs, or nothing where the kernel's type lacks it. */
  #rbtree(name: QueueName, sock: bigint, type: string, member: string): Queue[] {
    const layout = this.#kernel.struct(type)?.member(member);
    if (!layout) return [];
    const root = this.#kernel.read(sock + BigInt(layout.offset), 8).getBigUint64(0, true);
    return [{ name, expected: undefined, skbs: () => this.#inOrder(root) }];
  }

  *#inOrder(root: bigint): Generator<bigint> {
    if (root === 0n) return;
    const tree = new StructReader(this.#kernel, 'rb_node', ['rb_left', 'rb_right']);
    const toSkb = BigInt(this.#skb.offset('rbnode'));
    const seen = new Set<bigint>();
    const path: { node: bigint; right: bigint }[] = [];
    let node = root;
    while (node !== 0n || path.length > 0) {
      while (node !== 0n) {
        if (seen.has(node) || path.length >= MAX_TREE_HEIGHT) {
          throw new TornList(`the tree comes back to, or never ends at, 0x${node.toString(16)}`);
        }
        seen.add(node);
        const links = tree.read(node);
        path.push({ node, right: links.pointer('rb_right') });
        node = links.pointer('rb_left');
      }
      const top = path.pop();
      if (!top) return;
      yield top.node - toSkb;
      node = top.right;
    }
  }
}

/**
 * Visits each skb of a queue. A queue that cannot be followed to its end, or doesn't hold as many
 * skbs as the kernel counted, is told as incomplete.
 */
export function walkQueue(
  queue: Queue,
  visit: (skb: bigint) => void,
  incomplete: (code: WarningCode, message: string) => void,
): void {
  let count = 0;
  try {
    for (const skb of queue.skbs()) {
      visit(skb);
      count++;
    }
  } catch (error) {
    const code = incompleteness(error);
    const rest =
      queue.expected === undefined ? '' : ` of the ${queue.expected} that the kernel counts`;
    incomplete(
      code,
      `${queue.name} queue, after ${count} skbs${rest}: ${(error as Error).message}`,
    );
    return;
  }
  if (queue.expected !== undefined && queue.expected !== count) {
    incomplete(
      'torn-list',
      `${queue.name} queue: the kernel counts ${queue.expected} skbs, the list has ${count}`,
    );
  }
}
