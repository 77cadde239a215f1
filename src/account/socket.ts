import { hex } from '../base/util.js';
import type { Figures, Skb, SkbAnswer, SocketAccount } from '../contracts/sockets.js';
import type { Kernel } from '../kernel/kernel.js';
import { type QueueName, queueFacts, queuesThat } from '../records/queues.js';
import { socketEnds } from '../records/socket-ends.js';
import { PageReader } from '../walk/pages/pages.js';
import { HeldReader } from '../walk/queues/queue.js';
import { QueueReader, walkQueue } from '../walk/queues.js';
import { SkbReader } from '../walk/skbs/skb.js';
import { PartReader } from '../walk/sockets/read-part.js';
import { type SockIdentity, SockReader } from '../walk/sockets/sock.js';
import type { Socket } from '../walk/sockets/socket.js';
import { TcpCharges } from '../walk/sockets/tcp.js';
import { incompleteness, type WarningCode, Warnings } from '../walk/warnings.js';
import { type CountedQueue, type Holdings, holdingsOf } from './holdings.js';
import { Tally } from './tally.js';

export interface AccountOptions {
  /** Receives unreadable data. */
  readonly warnings: Warnings;
  /** Whether to keep every queue entry for a listing. */
  readonly keepSkbs?: boolean;
  /** Whether to keep the address of every slab slot. */
  readonly keepsSlots?: boolean | undefined;
  /** Sums over several sockets that this one is added to. */
  readonly sums?: readonly Tally[];
}

/** A socket, and its tallies, to be added to other sockets'. */
interface Accounted extends Pick<SkbAnswer, 'skbs'> {
  readonly account: SocketAccount;
  readonly held: Holdings;
}

/** Maximum number of walks of a live kernel's queue that changes during the walk. */
const LIVE_ATTEMPTS = 5;

/** Warnings that a change during the walk can cause. */
const RACES: readonly WarningCode[] = ['torn-list', 'unreadable', 'corrupt'];

/** Accounts for sockets of one kernel; page and layout data is reused for the next one. */
export class SocketAccountant {
  readonly #kernel: Kernel;
  readonly #socks: SockReader;
  readonly #queues: QueueReader;
  readonly #pages: PageReader;
  readonly #skbs: SkbReader;
  readonly #held: HeldReader;
  readonly #charges: TcpCharges;
  readonly #parts: PartReader;
  readonly #mptcpResets = () => this.#kernel.struct('mptcp_sock')?.member('fastclosing') !== undefined;

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
   * Queues of a live kernel change during the scan: a socket that was not read completely is read again a few
   * times, and only the last attempt's warnings count.
   *
   * @throws {ReadError} if the sock itself cannot be read.
   */
  account(socket: Socket, options: AccountOptions): Accounted {
    const { live, pageSize } = this.#kernel.facts;
    for (let attempt = 1; ; attempt++) {
      const forget = this.#kernel.noteReads();
      const warnings = new Warnings();
      const newTally = () => new Tally(pageSize, warnings, options.keepsSlots);
      const total = newTally();
      const keepSkbs = options.keepSkbs ?? false;
      const accounted = this.#attempt(socket, { keepSkbs, newTally }, total);
      const raced = live && warnings.list().some(({ code }) => RACES.includes(code));
      if (!raced || attempt === LIVE_ATTEMPTS) {
        options.warnings.merge(warnings);
        for (const sum of options.sums ?? []) sum.add(total);
        return accounted;
      }
      // Data read in this attempt, and assumptions about pages, may be stale.
      forget();
      this.#pages.forget();
    }
  }

  #attempt(
    socket: Socket,
    { keepSkbs, newTally }: { readonly keepSkbs: boolean; readonly newTally: () => Tally },
    total: Tally,
  ): Accounted {
    const identity = this.#socks.read(socket.sock, (code, message) => total.incomplete(code, message));
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
    const { file, sock, inode } = socket;
    const account = {
      socket: { file, sock, inode, ...identity, ...socketEnds(identity, identity.local, identity.peer) },
      queues,
      total: total.figures(),
      unreadBytes: read === undefined || !equalsUnread(queues) ? null : payloadOf(queues).received - read,
      ...total.ownership(),
    };
    const held = holdingsOf(identity, total, counted, newTally, this.#mptcpResets);
    return { account, held, ...(keepSkbs ? { skbs } : {}) };
  }

  /** Warns if completely read queues differ from the sock's charge. */
  #checkCharges(sock: bigint, { family, type, protocol }: SockIdentity, tallies: ReadonlyMap<QueueName, Tally>): void {
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
      // The answer is complete without it.
      incompleteness(error);
    }
  }

  /** Returns the bytes of a queue's first skb that have been read; undefined if unknown. */
  #readPart(sock: bigint, identity: SockIdentity, first: Skb, tally: Tally): number | undefined {
    const { complete, payloadBytes } = tally.figures();
    try {
      return this.#parts.read(identity, sock, { first, payloadBytes: complete ? payloadBytes : undefined });
    } catch (error) {
      const code = incompleteness(error);
      const { message } = error as Error;
      tally.incomplete(code, `sock ${hex(sock)}: the unread part is unknown: ${message}`);
      return undefined;
    }
  }
}

/** The own port and that of the peer; null: none, as for raw sockets and other families. */
export function portsOf({ family, type, localPort, peerPort }: SocketAccount['socket']): (number | null)[] {
  const isInternet = family === 'AF_INET' || family === 'AF_INET6';
  return isInternet && type !== 'SOCK_RAW' ? [localPort, peerPort] : [null, null];
}

const RECEIVED = queuesThat(({ payload }) => payload === 'received');
const SENT = queuesThat(({ payload }) => payload === 'sent');
const ERRORS = queuesThat(({ payload }) => payload === 'errors');
const UNSORTED = queuesThat(({ unsorted }) => unsorted === true);

/** Payload by its destination, in bytes. */
export interface Payload {
  /** In received skbs that are not fully read. */
  readonly received: number;
  /** Not yet sent or not yet acknowledged. */
  readonly unsent: number;
  /** In the error queue. */
  readonly errors: number;
}

export function payloadOf(queues: SocketAccount['queues']): Payload {
  const sumOf = (names: readonly QueueName[]) =>
    names.reduce((sum, name) => sum + (queues[name]?.payloadBytes ?? 0), 0);
  return { received: sumOf(RECEIVED), unsent: sumOf(SENT), errors: sumOf(ERRORS) };
}

/** Whether the payload of the queues equals the unread bytes. */
function equalsUnread(queues: SocketAccount['queues']): boolean {
  return UNSORTED.every((name) => (queues[name]?.payloadBytes ?? 0) === 0);
}
