import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Cursor } from '../cursor.js';
import { incompleteness } from '../incompleteness.js';
import { listNodes } from '../list.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import type { Warnings } from '../warnings.js';
import { IPPROTO_MPTCP } from './sock-words.js';

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const TCP_LISTEN = 10;

/** `somaxconn` may be raised to this (an int); a longer accept queue is damage. */
const MAX_ACCEPT_QUEUE = 2 ** 24;

/** Files in one message: SCM_MAX_FD (include/net/scm.h). */
const SCM_MAX_FD = 253;

/**
 * Follows what one socket keeps of others: connections not yet accepted, files in its messages, the
 * TCP connections that an MPTCP connection consists of.
 */
export class SocketLinks {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #sock;
  readonly #queue;
  readonly #skb;
  /** Offset of the control block in an skb. */
  readonly #control;
  /** Messages by their lists of files: each has one of its own. */
  readonly #lists = new Map<bigint, bigint>();
  #carried:
    | {
        readonly control: StructReader<'fp'>;
        readonly list: StructReader<'count'>;
        /** Bytes from a list to its first file. */
        readonly first: bigint;
      }
    | undefined;

  constructor(kernel: Kernel, warnings: Warnings) {
    this.#kernel = kernel;
    this.#warnings = warnings;
    this.#sock = new StructReader(kernel, 'sock', [
      '__sk_common.skc_family',
      '__sk_common.skc_state',
      'sk_type',
      'sk_protocol',
      'sk_receive_queue.next',
    ]);
    this.#queue = BigInt(kernel.struct('sock')?.member('sk_receive_queue')?.offset ?? 0);
    this.#skb = new StructReader(kernel, 'sk_buff', ['next', 'prev', 'sk']);
    this.#control = new StructReader(kernel, 'sk_buff', ['cb']).offset('cb');
  }

  /** Socks of connections that a listener has not accepted yet: they have no file and no inode. */
  accepting(sock: bigint): bigint[] {
    return this.#try(sock, 'its accept queue', () => {
      const view = this.#sock.read(sock);
      if (view.number('__sk_common.skc_state') !== TCP_LISTEN) return [];
      const family = view.number('__sk_common.skc_family');
      if (family === AF_UNIX) return this.#unixEmbryos(sock);
      const inet = family === AF_INET || family === AF_INET6;
      return inet && view.number('sk_type') === SOCK_STREAM ? this.#requests(sock) : [];
    });
  }

  /** Files that messages in a unix socket's queue carry. */
  carriedFiles(sock: bigint): bigint[] {
    return this.#try(sock, 'its messages', () => {
      const view = this.#sock.read(sock);
      if (view.number('__sk_common.skc_family') !== AF_UNIX) return [];
      if (view.number('__sk_common.skc_state') === TCP_LISTEN) return [];
      if (view.pointer('sk_receive_queue.next') === sock + this.#queue) return [];
      return this.#files(sock);
    });
  }

  /** Socks of an MPTCP connection's subflows (net/mptcp/protocol.h): they have no file. */
  subflows(sock: bigint): bigint[] {
    return this.#try(sock, 'its subflows', () => {
      const view = this.#sock.read(sock);
      if (view.number('sk_protocol') !== IPPROTO_MPTCP) return [];
      const family = view.number('__sk_common.skc_family');
      if (family !== AF_INET && family !== AF_INET6) return [];
      const connection = new StructReader(this.#kernel, 'mptcp_sock', ['conn_list']);
      const subflow = new StructReader(this.#kernel, 'mptcp_subflow_context', ['node', 'tcp_sock']);
      const toSubflow = BigInt(subflow.offset('node'));
      const list = sock + BigInt(connection.offset('conn_list'));
      return Array.from(listNodes(this.#kernel, list), (node) =>
        subflow.read(node - toSubflow).pointer('tcp_sock'),
      ).filter((found) => found !== 0n);
    });
  }

  /** A pending unix connection is an skb in the listener's queue; its `sk` is the new sock. */
  #unixEmbryos(sock: bigint): bigint[] {
    const socks = Array.from(this.#skbs(sock, this.#skb.offset('sk')), ({ held }) => held);
    return socks.filter((embryo) => embryo !== 0n);
  }

  /**
   * The chain of accepted requests (include/net/request_sock.h). `sk_ack_backlog` counts them, under the
   * same lock: inet_csk_reqsk_queue_add() and reqsk_queue_remove().
   */
  #requests(sock: bigint): bigint[] {
    const HEAD = 'icsk_accept_queue.rskq_accept_head';
    const listener = new StructReader(this.#kernel, 'inet_connection_sock', [HEAD]);
    const request = new StructReader(this.#kernel, 'request_sock', ['dl_next', 'sk']);
    const counter = new StructReader(this.#kernel, 'sock', ['sk_ack_backlog']);
    const socks: bigint[] = [];
    const counted = counter.read(sock).number('sk_ack_backlog');
    const met = new Set<bigint>();
    for (let next = listener.read(sock).pointer(HEAD); next !== 0n; ) {
      if (met.has(next) || socks.length >= MAX_ACCEPT_QUEUE) {
        this.#warnings.add('torn-list', `accept queue of ${hex(sock)} does not terminate (loop?)`);
        return socks;
      }
      met.add(next);
      const view = request.read(next);
      socks.push(view.pointer('sk'));
      next = view.pointer('dl_next');
    }
    if (socks.length !== counted) {
      const message = `accept queue of ${hex(sock)} contains ${socks.length} connections, but counts ${counted}`;
      this.#warnings.add('torn-list', message);
    }
    const children = new Set(socks);
    if (children.size < socks.length || children.has(0n)) {
      const message = `accept queue of ${hex(sock)} has a duplicate or null entry`;
      this.#warnings.add('corrupt', message);
    }
    return socks.filter((child) => child !== 0n);
  }

  /** `UNIXCB(skb).fp`, a list of files (include/net/af_unix.h, include/net/scm.h). */
  #files(sock: bigint): bigint[] {
    this.#carried ??= {
      control: new StructReader(this.#kernel, 'unix_skb_parms', ['fp']),
      // A list that waits has room for its files alone (scm_fp_dup): what follows is another's.
      list: new StructReader(this.#kernel, 'scm_fp_list', ['count']),
      first: BigInt(new StructReader(this.#kernel, 'scm_fp_list', ['fp']).offset('fp')),
    };
    const { control, list, first } = this.#carried;
    const files: bigint[] = [];
    const lists = this.#lists;
    for (const { skb, held: fp } of this.#skbs(sock, this.#control + control.offset('fp'))) {
      if (fp === 0n) continue;
      const other = lists.get(fp) ?? skb;
      lists.set(fp, other);
      if (other !== skb && !this.#kernel.facts.live) {
        const message = `messages ${hex(other)} and ${hex(skb)} share a list of files`;
        this.#warnings.add('corrupt', message);
      }
      const view = list.read(fp);
      const count = view.number('count');
      if (count > SCM_MAX_FD) {
        const message = `message ${hex(skb)} has an invalid number of files (${count})`;
        this.#warnings.add('corrupt', message);
        continue;
      }
      const slots = readPartOf(this.#kernel, 'struct scm_fp_list', fp, fp + first, count * 8);
      for (let index = 0; index < count; index++) files.push(slots.getBigUint64(index * 8, true));
    }
    return files;
  }

  /**
   * The skbs of a receive queue, each with the pointer at an offset in it, as far as their links agree;
   * accounting tells of the rest.
   */
  *#skbs(sock: bigint, offset: number): Generator<{ skb: bigint; held: bigint }> {
    const head = sock + this.#queue;
    const links = this.#skb.cursor();
    const cursor = new Cursor(this.#kernel, 'struct sk_buff');
    let previous = head;
    let skb = this.#sock.read(sock).pointer('sk_receive_queue.next');
    while (skb !== head) {
      const next = links.to(skb).pointer('next');
      if (links.pointer('prev') !== previous) return;
      // By itself: the control block holds what is nobody's business, and an extract keeps what is read.
      const { view, base } = cursor.to(skb).look(offset, 8);
      yield { skb, held: view.getBigUint64(base + offset, true) };
      previous = skb;
      skb = next;
    }
  }

  #try(sock: bigint, what: string, find: () => bigint[]): bigint[] {
    try {
      return find();
    } catch (error) {
      const message = `sock ${hex(sock)}: ${what}: ${(error as Error).message}`;
      this.#warnings.add(incompleteness(error), message);
      return [];
    }
  }
}
