import { ReadError, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Cursor } from '../cursor.js';
import { pointersPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { addError, type Warnings } from '../warnings.js';
import { IPPROTO_MPTCP } from './sock-words.js';

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const TCP_LISTEN = 10;

/** Maximum length of a valid accept queue: `somaxconn` (an int) may be raised to this. */
const MAX_ACCEPT_QUEUE = 2 ** 24;

/** Maximum number of files in one message: SCM_MAX_FD (include/net/scm.h). */
const SCM_MAX_FD = 253;

/**
 * Follows a socket's references to other sockets: connections not yet accepted, files in its messages, the
 * TCP subflows of an MPTCP connection.
 */
export class SocketLinks {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #sock;
  readonly #queue;
  readonly #skb;
  /** Offset of the control block in an skb. */
  readonly #control;
  /** Messages by the address of their file list: each message has its own. */
  readonly #lists = new Map<bigint, bigint>();
  #carried:
    | {
        readonly control: StructReader<'fp'>;
        readonly list: StructReader<'count'>;
        /** Offset of the first file in the list. */
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

  /** Returns the socks of connections that a listener has not accepted yet: they have no file and no inode. */
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

  /** Returns the files carried by messages in a unix socket's queue. */
  carriedFiles(sock: bigint): bigint[] {
    return this.#try(sock, 'its messages', () => {
      const view = this.#sock.read(sock);
      if (view.number('__sk_common.skc_family') !== AF_UNIX) return [];
      if (view.number('__sk_common.skc_state') === TCP_LISTEN) return [];
      if (view.pointer('sk_receive_queue.next') === sock + this.#queue) return [];
      return this.#files(sock);
    });
  }

  /** Returns the socks of an MPTCP connection's subflows (net/mptcp/protocol.h): they have no file. */
  subflows(sock: bigint): bigint[] {
    return this.#try(sock, 'its subflows', () => {
      const view = this.#sock.read(sock);
      if (view.number('sk_protocol') !== IPPROTO_MPTCP) return [];
      const family = view.number('__sk_common.skc_family');
      if (family !== AF_INET && family !== AF_INET6) return [];
      const connection = new StructReader(this.#kernel, 'mptcp_sock', ['conn_list']);
      const subflow = new StructReader(this.#kernel, 'mptcp_subflow_context', ['node', 'tcp_sock']);
      const list = connection.addressOf(sock, 'conn_list');
      const socks = Array.from(subflow.entries(list, 'node'), (view) => view.pointer('tcp_sock'));
      return socks.filter((subflow) => subflow !== 0n);
    });
  }

  /** Returns pending unix connections: each is an skb in the listener's queue, whose `sk` is the new sock. */
  #unixEmbryos(sock: bigint): bigint[] {
    const socks = Array.from(this.#skbs(sock, this.#skb.offset('sk')), ({ held }) => held);
    return socks.filter((embryo) => embryo !== 0n);
  }

  /**
   * Follows the chain of requests in the accept queue (include/net/request_sock.h). `sk_ack_backlog` counts
   * them under the same lock: inet_csk_reqsk_queue_add() and reqsk_queue_remove().
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

  /** Returns the files in `UNIXCB(skb).fp`, a list of files (include/net/af_unix.h, include/net/scm.h). */
  #files(sock: bigint): bigint[] {
    this.#carried ??= {
      control: new StructReader(this.#kernel, 'unix_skb_parms', ['fp']),
      // A queued list has room for its own files only (scm_fp_dup): other data follows.
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
      // A message without files has no list.
      if (count > SCM_MAX_FD || (count === 0 && !this.#kernel.facts.live)) {
        const message = `message ${hex(skb)} has an invalid number of files (${count})`;
        this.#warnings.add('corrupt', message);
        continue;
      }
      const own = pointersPartOf(this.#kernel, 'struct scm_fp_list', fp, fp + first, count);
      const { live, engine } = this.#kernel.facts;
      // crash looks types up one by one, and only verifies answers.
      const isCompared = !live && engine === 'native';
      const lost = isCompared ? readOrNot(() => this.#inFlight(fp).find((file) => !own.includes(file))) : undefined;
      if (lost !== undefined)
        this.#warnings.add('corrupt', `message ${hex(skb)} lacks the file ${hex(lost)}, which its edges have`);
      const odd = isCompared ? own.find((file) => file !== 0n && !this.#isFile(file)) : undefined;
      if (odd !== undefined) this.#warnings.add('corrupt', `message ${hex(skb)} has ${hex(odd)}, which is no file`);
      files.push(...own);
    }
    return files;
  }

  /** Whether the inode of a file is that of its dentry. Extracts of earlier versions lack them. */
  #isFile(address: bigint): boolean {
    const file = StructReader.ifPresent(this.#kernel, 'file', ['f_inode', 'f_path.dentry']);
    const dentry = StructReader.ifPresent(this.#kernel, 'dentry', ['d_inode']);
    if (!file || !dentry) return true;
    try {
      const view = file.read(address);
      return dentry.read(view.pointer('f_path.dentry')).pointer('d_inode') === view.pointer('f_inode');
    } catch (error) {
      if (error instanceof ReadError) return error.code === 'filtered';
      throw error;
    }
  }

  /** Files of the unix sockets in a list, by the edges of the garbage collector (since 6.10). */
  #inFlight(list: bigint): bigint[] {
    const view = StructReader.ifPresent(this.#kernel, 'scm_fp_list', ['edges', 'count_unix'])?.read(list);
    const edges = view?.pointer('edges') ?? 0n;
    if (!view || edges === 0n) return [];
    const edge = new StructReader(this.#kernel, 'unix_edge', ['predecessor']);
    const sock = new StructReader(this.#kernel, 'sock', ['sk_socket']);
    const socket = new StructReader(this.#kernel, 'socket', ['file']);
    const count = Math.min(view.number('count_unix'), SCM_MAX_FD);
    return Array.from({ length: count }, (_, index) => {
      const at = edge.read(edges + BigInt(index * (this.#kernel.struct('unix_edge')?.size ?? 0)));
      return socket.read(sock.read(at.pointer('predecessor')).pointer('sk_socket')).pointer('file');
    });
  }

  /**
   * Yields the skbs of a receive queue, each with the pointer at an offset in it, up to the first broken
   * link; accounting reports the others.
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
      // Read separately: the control block contains private data, and an extract keeps all memory that is
      // read.
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
      addError(this.#warnings, `sock ${hex(sock)}: ${what}`, error);
      return [];
    }
  }
}
