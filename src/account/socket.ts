import type { Kernel } from '../kernel/kernel.js';
import { PageReader } from '../walk/pages.js';
import { type Queue, type QueueName, QueueReader, walkQueue } from '../walk/queues.js';
import { type Skb, SkbReader } from '../walk/skb.js';
import { type SockIdentity, SockReader } from '../walk/sock.js';
import type { Socket } from '../walk/socket.js';
import type { Warnings } from '../walk/warnings.js';
import type { Figures } from './figures.js';
import { Tally } from './tally.js';

/** A socket, what waits in each of its queues, and what all of them pin together. */
export interface SocketAccount {
  readonly socket: Socket & SockIdentity;
  readonly queues: Readonly<Partial<Record<QueueName, Figures>>>;
  /** Over all queues; what two of them share is counted once. */
  readonly total: Figures;
  /** Each queue's entries, if they were asked for. */
  readonly skbs?: Readonly<Partial<Record<QueueName, readonly Skb[]>>>;
}

/** How often a queue of a live kernel is walked anew when it changed under the reader. */
const LIVE_ATTEMPTS = 5;

/** Accounts for sockets of one kernel; what it learns of pages and layouts serves the next one. */
export class SocketAccountant {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #socks: SockReader;
  readonly #queues: QueueReader;
  readonly #skbs: SkbReader;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel, warnings: Warnings) {
    this.#kernel = kernel;
    this.#warnings = warnings;
    this.#socks = new SockReader(kernel);
    this.#queues = new QueueReader(kernel);
    this.#skbs = new SkbReader(kernel, new PageReader(kernel), warnings);
  }

  /**
   * @param keepSkbs keep every queue entry for a listing
   * @throws {ReadError} if the sock itself cannot be read.
   */
  account(socket: Socket, keepSkbs = false): SocketAccount {
    const identity = this.#socks.read(socket.sock);
    const queues: Partial<Record<QueueName, Figures>> = {};
    const skbs: Partial<Record<QueueName, Skb[]>> = {};
    const total = new Tally(this.#kernel.facts.pageSize);
    for (const queue of this.#queues.queues({ ...identity, sock: socket.sock })) {
      const kept: Skb[] | undefined = keepSkbs ? [] : undefined;
      const tally = this.#tally(queue, kept);
      queues[queue.name] = tally.figures();
      if (kept) skbs[queue.name] = kept;
      total.add(tally);
    }
    return {
      socket: { ...socket, ...identity },
      queues,
      total: total.figures(),
      ...(keepSkbs ? { skbs } : {}),
    };
  }

  #tally(queue: Queue, kept: Skb[] | undefined): Tally {
    const tally = new Tally(this.#kernel.facts.pageSize);
    const whole = walkQueue(queue, this.#kernel.facts.live, this.#warnings, (address) => {
      const skb = this.#skbs.read(address, tally);
      tally.skb(skb);
      kept?.push(skb);
    });
    if (!whole) tally.incomplete();
    return tally;
  }
}
