import { KernelError } from '../base/errors.js';
import type { Kernel } from '../kernel/kernel.js';
import { pointerPartOf, readOrNot } from './named-read.js';
import { FamilyQueues } from './queues/families.js';
import {
  type Entry,
  QUEUE_NAMES,
  type Queue,
  type QueueName,
  type SockKind,
  UDP,
} from './queues/queue.js';
import { SkbLists } from './queues/skb-lists.js';
import { StructReader } from './struct-reader.js';
import { incompleteness, type WarningCode } from './warnings.js';

/** Finds the queues of a sock. Queues that the family or the kernel does not have are absent. */
export class QueueReader {
  readonly #kernel: Kernel;
  readonly #sock;
  readonly #lists: SkbLists;
  readonly #families: FamilyQueues;

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
    this.#lists = new SkbLists(kernel);
    this.#families = new FamilyQueues(kernel, this.#lists);
  }

  /** @throws {ReadError} if the sock cannot be read. */
  queues(kind: SockKind): Queue[] {
    const inet = kind.family === 'AF_INET' || kind.family === 'AF_INET6';
    const tcp = inet && kind.protocol === 'TCP' && kind.type === 'SOCK_STREAM';
    const udp = inet && UDP.includes(kind.protocol) && kind.type === 'SOCK_DGRAM';
    const sock = this.#sock.read(kind.sock);
    const ring = (name: QueueName, head: bigint): Queue => ({
      name,
      expected: this.#lengthOrNot(head),
      entries: () => this.#lists.ring(head),
    });
    const backlog = sock.pointer('sk_backlog.head');
    const queues: Queue[] = [
      ring('receive', sock.addressOf('sk_receive_queue')),
      // Packets that arrived while the process held the socket.
      { name: 'backlog', expected: undefined, entries: () => this.#lists.chain(backlog) },
      ring('error', sock.addressOf('sk_error_queue')),
      ring('write', sock.addressOf('sk_write_queue')),
    ];
    // A listener's tcp_sock contains these too, but never uses them, and not every kernel initializes them.
    if (tcp && kind.state !== 'LISTEN') {
      queues.push(
        ...this.#rbtree('outOfOrder', kind.sock, 'tcp_sock', 'out_of_order_queue'),
        ...this.#rbtree('retransmit', kind.sock, 'sock', 'tcp_rtx_queue'),
      );
    }
    const reader = udp ? this.#kernel.struct('udp_sock')?.member('reader_queue') : undefined;
    if (reader) queues.push(ring('reader', kind.sock + BigInt(reader.offset)));
    queues.push(...this.#families.queues(kind));
    return queues.sort((a, b) => QUEUE_NAMES.indexOf(a.name) - QUEUE_NAMES.indexOf(b.name));
  }

  /** Returns a tree of skbs, or nothing if the kernel's type lacks it. */
  #rbtree(name: QueueName, sock: bigint, type: string, member: string): Queue[] {
    const layout = this.#kernel.struct(type)?.member(member);
    if (!layout) return [];
    // A sock may be in two pages of which the dump has one: then only that queue is missing.
    const root = () =>
      pointerPartOf(this.#kernel, `struct ${type}`, sock, sock + BigInt(layout.offset));
    return [{ name, expected: undefined, entries: () => this.#lists.tree(root()) }];
  }

  /** Undefined if the queue's head cannot be read: the walk reports that. */
  #lengthOrNot(head: bigint): number | undefined {
    return readOrNot(() => this.#lists.length(head));
  }
}

/**
 * Visits all entries of a queue. A queue that cannot be followed to its end, or whose number of skbs differs from
 * the kernel's count, is reported as incomplete.
 */
export function walkQueue(
  queue: Queue,
  visit: (entry: Entry) => void,
  incomplete: (code: WarningCode, message: string) => void,
): void {
  let count = 0;
  try {
    for (const entry of queue.entries()) {
      visit(entry);
      count++;
    }
  } catch (error) {
    const code = queueIncompleteness(error);
    const met =
      queue.expected === undefined
        ? `${count} entries`
        : `${count} skbs of the ${queue.expected} that the kernel counts`;
    incomplete(code, `${queue.name} queue, after ${met}: ${(error as Error).message}`);
    return;
  }
  if (queue.expected !== undefined && queue.expected !== count) {
    incomplete(
      'torn-list',
      `${queue.name} queue: the kernel counts ${queue.expected} skbs, the list has ${count}`,
    );
  }
}

/**
 * Returns the warning code for an error: a queue with an unsupported layout does not affect the socket's
 * other queues.
 */
function queueIncompleteness(error: unknown): WarningCode {
  const unknown = error instanceof KernelError && error.code === 'unsupported-layout';
  return unknown ? 'unsupported-layout' : incompleteness(error);
}
