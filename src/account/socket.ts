import { hex } from '../base/hex.js';
import type { Kernel } from '../kernel/kernel.js';
import { incompleteness } from '../walk/incompleteness.js';
import { PageReader } from '../walk/pages/pages.js';
import { HeldReader } from '../walk/queues/held-reader.js';
import { type QueueName, queueFacts } from '../walk/queues/queue.js';
import { QueueReader, walkQueue } from '../walk/queues.js';
import { type Skb, SkbReader } from '../walk/skbs/skb.js';
import { TcpCharges } from '../walk/sockets/charges.js';
import { PartReader } from '../walk/sockets/read-part.js';
import { type SockIdentity, SockReader } from '../walk/sockets/sock.js';
import type { Socket } from '../walk/sockets/socket.js';
import { type WarningCode, Warnings } from '../walk/warnings.js';
import type { Figures } from './figures.js';
import { type CountedQueue, type Holdings, holdingsOf } from './holdings.js';
import { type Ownership, Tally } from './tally.js';
import { payloadOf, tellsUnread } from './unread.js';

/** A socket, what waits in each of its queues, and what all of them pin together. */
export interface SocketAccount {
  readonly socket: Socket & SockIdentity;
  readonly queues: Readonly<Partial<Record<QueueName, Figures>>>;
  /** Over all queues; what two of them share is counted once. */
  readonly total: Figures;
  /** Of `total.pinnedBytes`, what goes back if this socket alone drops its queues, and the rest. */
  readonly ownership: Ownership;
  /**
   * Payload that has come and that the process has not read, without what it has read of the first
   * skb; null: that could not be told.
   */
  readonly unreadBytes: number | null;
  /** Each queue's entries, if they were asked for. */
  readonly skbs?: Readonly<Partial<Record<QueueName, readonly Skb[]>>>;
}

export interface AccountOptions {
  /** Takes what could not be read. */
  readonly warnings: Warnings;
  /** Keep every queue entry for a listing. */
  readonly keepSkbs?: boolean;
  /** Keep the address of every slot of a slab. */
  readonly keepsSlots?: boolean | undefined;
  /** Sums over several sockets, to which this one is added. */
  readonly sums?: readonly Tally[];
}

/** How often a queue of a live kernel is walked anew when it changed under the reader. */
const LIVE_ATTEMPTS = 5;

/** What a change under the reader looks like. */
const RACES: readonly WarningCode[] = ['torn-list', 'unreadable', 'corrupt'];

/** Accounts for sockets of one kernel; what it learns of pages and layouts serves the next one. */
export class SocketAccountant {
  readonly #kernel: Kernel;
  readonly #socks: SockReader;
  readonly #queues: QueueReader;
  readonly #pages: PageReader;
  readonly #skbs: SkbReader;
  readonly #held: HeldReader;
  readonly #charges: TcpCharges;
  readonly #parts: PartReader;
  readonly #mptcpResets = () =>
    this.#kernel.struct('mptcp_sock')?.member('fastclosing') !== undefined;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#socks = new SockReader(kernel);
    this.#queues = new QueueReader(kernel);
    this.#pages = new PageReader(kernel);
    this.#skbs = new SkbReader(kernel, this.#pages);
    this.#held = new HeldReader(kernel, this.#pages, this.#skbs);
    this.#charges = new TcpCharges(kernel);
    this.#parts = new PartReader(kernel);
  }

  /**
   * A live kernel's queues change under the reader: of a socket that did not read whole all that was
   * read is read anew, a few times, and only the last attempt's warnings stand.
   *
   * @throws {ReadError} if the sock itself cannot be read.
   */
  account(socket: Socket, options: AccountOptions): SocketAccount {
    return this.accountWithTallies(socket, options).account;
  }

  /** The same, and what was counted, to be added up with other sockets'. */
  accountWithTallies(
    socket: Socket,
    options: AccountOptions,
  ): { readonly account: SocketAccount; readonly held: Holdings } {
    const { live, pageSize } = this.#kernel.facts;
    for (let attempt = 1; ; attempt++) {
      const forget = this.#kernel.noteReads();
      const warnings = new Warnings();
      const newTally = () => new Tally(pageSize, warnings, options.keepsSlots);
      const total = newTally();
      const keepSkbs = options.keepSkbs ?? false;
      const { account, held } = this.#attempt(socket, { keepSkbs, newTally }, total);
      const raced = live && warnings.list().some(({ code }) => RACES.includes(code));
      if (!raced || attempt === LIVE_ATTEMPTS) {
        options.warnings.merge(warnings);
        for (const sum of options.sums ?? []) sum.add(total);
        return { account, held };
      }
      // What this attempt has read, and what it took for known of pages, may have changed.
      forget();
      this.#pages.forget();
    }
  }

  #attempt(
    socket: Socket,
    { keepSkbs, newTally }: { readonly keepSkbs: boolean; readonly newTally: () => Tally },
    total: Tally,
  ): { account: SocketAccount; held: Holdings } {
    const identity = this.#socks.read(socket.sock, (code, message) =>
      total.incomplete(code, message),
    );
    try {
      const odd = this.#socks.contradiction(socket.sock);
      if (odd !== undefined) total.incomplete('corrupt', `sock ${hex(socket.sock)}: ${odd}`);
    } catch (error) {
      const message = `sock ${hex(socket.sock)} cannot be checked: ${(error as Error).message}`;
      total.incomplete(incompleteness(error), message);
    }
    const queues: Partial<Record<QueueName, Figures>> = {};
    const skbs: Partial<Record<QueueName, Skb[]>> = {};
    const tallies = new Map<QueueName, Tally>();
    let read: number | undefined = 0;
    for (const queue of this.#queues.queues({ ...identity, sock: socket.sock })) {
      const tally = newTally();
      const entries: Skb[] = [];
      let first: Skb | undefined;
      walkQueue(
        queue,
        (entry) => {
          if (typeof entry !== 'bigint') {
            this.#held.read(entry, tally);
            tally.payload(entry.payload);
            return;
          }
          const skb = this.#skbs.read(entry, tally);
          tally.skb(skb);
          first ??= skb;
          if (keepSkbs) entries.push(skb);
        },
        (code, message) => tally.incomplete(code, message),
      );
      if (first && queueFacts(queue.name).partlyRead) {
        const part = this.#readPart(socket.sock, identity, first, tally);
        read = read === undefined || part === undefined ? undefined : read + part;
      }
      if (keepSkbs) skbs[queue.name] = entries;
      tallies.set(queue.name, tally);
    }
    this.#checkCharges(socket.sock, identity, tallies);
    const counted: CountedQueue[] = [];
    for (const [name, tally] of tallies) {
      const figures = tally.figures();
      queues[name] = figures;
      counted.push({ name, tally, figures });
      total.add(tally);
    }
    total.checkReferences();
    const account = {
      socket: { ...socket, ...identity },
      queues,
      total: total.figures(),
      ownership: total.ownership(),
      unreadBytes:
        read === undefined || !tellsUnread(queues) ? null : payloadOf(queues).received - read,
      ...(keepSkbs ? { skbs } : {}),
    };
    return { account, held: holdingsOf(identity, total, counted, newTally, this.#mptcpResets) };
  }

  /** Says of queues that were read whole if they are not what the sock is charged for. */
  #checkCharges(
    sock: bigint,
    { family, type, protocol }: SockIdentity,
    tallies: ReadonlyMap<QueueName, Tally>,
  ): void {
    if (type !== 'SOCK_STREAM' || protocol !== 'TCP') return;
    const figures = new Map([...tallies].map(([name, tally]) => [name, tally.figures()]));
    if ([...figures.values()].some(({ complete }) => !complete)) return;
    const truesize = (name: QueueName) => figures.get(name)?.truesizeBytes ?? 0;
    try {
      for (const fault of this.#charges.faults(sock, family === 'AF_INET6', truesize)) {
        const message = `sock ${hex(sock)}: ${fault.message}`;
        for (const name of fault.queues) tallies.get(name)?.incomplete('corrupt', message);
      }
    } catch (error) {
      // Nothing that the answer tells is missing.
      incompleteness(error);
    }
  }

  /** Bytes of a queue's first skb that have been read; undefined if that is not known. */
  #readPart(sock: bigint, identity: SockIdentity, first: Skb, tally: Tally): number | undefined {
    const { complete, payloadBytes } = tally.figures();
    try {
      return this.#parts.read(identity, sock, {
        first,
        payloadBytes: complete ? payloadBytes : undefined,
      });
    } catch (error) {
      const code = incompleteness(error);
      const { message } = error as Error;
      tally.incomplete(code, `sock ${hex(sock)}: the unread part is unknown: ${message}`);
      return undefined;
    }
  }
}
