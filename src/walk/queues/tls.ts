import { unsupportedLayout } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { QueueName } from '../../records/queues.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { SkMsgReader } from './psock.js';
import type { Entry, Queue, QueueFinder } from './queue.js';
import type { SkbLists } from './skb-lists.js';

/** Values of `tls_context.{rx,tx}_conf` (include/net/tls.h): without kTLS, and kTLS in software. */
const TLS_BASE = 0;
const TLS_SW = 1;

/** Upper-layer protocols without data in `icsk_ulp_data`: subflows of MPTCP, and SMC. */
const WITHOUT_QUEUES: readonly string[] = ['mptcp', 'smc'];

/**
 * Memory of kTLS for a TCP socket (net/tls/tls_sw.c): decrypted unread records, and unsent records. Encrypted
 * records stay in TCP's own queues until they are complete.
 */
export class TlsQueues implements QueueFinder {
  readonly #kernel: Kernel;
  readonly #lists: SkbLists;
  readonly #sock;
  #ops: StructReader<'name'> | undefined;

  constructor(kernel: Kernel, lists: SkbLists) {
    this.#kernel = kernel;
    this.#lists = lists;
    this.#sock = new StructReader(kernel, 'inet_connection_sock', ['icsk_ulp_ops', 'icsk_ulp_data']);
  }

  queues(sock: bigint): Queue[] {
    const context = this.#context(sock);
    if (context === 0n) return [];
    const queue = (name: QueueName, entries: () => Iterable<Entry>): Queue => ({ name, expected: undefined, entries });
    return [
      queue('tlsReceive', () => this.#decrypted(context, 'rx_list')),
      queue('tlsHold', () => this.#decrypted(context, 'async_hold')),
      queue('tlsRecord', () => this.#record(context)),
      queue('tlsSend', () => this.#sending(context)),
    ];
  }

  /** 0n: this socket has no kTLS. @throws {KernelError} `unsupported-layout` for similar protocols */
  #context(sock: bigint): bigint {
    const view = this.#sock.read(sock);
    const [ops, data] = [view.pointer('icsk_ulp_ops'), view.pointer('icsk_ulp_data')];
    if (ops === 0n || data === 0n) return 0n;
    this.#ops ??= new StructReader(this.#kernel, 'tcp_ulp_ops', ['name']);
    const name = this.#ops.read(ops).text('name');
    if (name === 'tls') return data;
    if (WITHOUT_QUEUES.includes(name)) return 0n;
    throw unsupportedLayout(`unsupported ULP, whose memory is not counted: ${name}`);
  }

  /**
   * Returns the software context of a direction; 0n: not in use. The context of a decrypting device begins
   * with the software context. The context of an encrypting device is different and has its own records.
   */
  #direction(context: bigint, direction: 'rx' | 'tx'): bigint {
    const reader = new StructReader(this.#kernel, 'tls_context', ['rx_conf', 'tx_conf', 'priv_ctx_rx', 'priv_ctx_tx']);
    const view = reader.read(context);
    const conf = view.number(`${direction}_conf`);
    if (conf === TLS_BASE) return 0n;
    if (direction === 'tx' && conf !== TLS_SW) {
      throw unsupportedLayout('unsupported kTLS device offload: its records are not counted');
    }
    return view.pointer(`priv_ctx_${direction}`);
  }

  *#decrypted(context: bigint, list: 'rx_list' | 'async_hold'): Generator<bigint> {
    const receiving = this.#direction(context, 'rx');
    const member = this.#kernel.struct('tls_sw_context_rx')?.member(list);
    if (receiving === 0n) return;
    if (member) yield* this.#lists.ring(receiving + BigInt(member.offset));
    else if (list === 'rx_list') this.#unknown('tls_sw_context_rx');
  }

  /**
   * Yields the record being assembled. Up to 5.19 a `strparser` takes it from TCP: the incomplete record is
   * `strp.skb_head`, a complete one is `recv_pkt`. Since then the record stays in TCP's queue, to which
   * `strp.anchor` points with its frag_list, unless memory is low and the record is copied (`copy_mode`).
   */
  *#record(context: bigint): Generator<Entry> {
    const receiving = this.#direction(context, 'rx');
    if (receiving === 0n) return;
    const layout = this.#kernel.struct('tls_sw_context_rx');
    if (layout?.member('strp.anchor')) {
      const reader = new StructReader(this.#kernel, 'tls_sw_context_rx', ['strp.anchor', 'strp.copy_mode']);
      const view = reader.read(receiving);
      const anchor = view.pointer('strp.anchor');
      if (anchor === 0n) return;
      if (view.number('strp.copy_mode') === 1) {
        yield anchor;
        return;
      }
      // It owns the skb and an empty head.
      const head = new StructReader(this.#kernel, 'sk_buff', ['head']).read(anchor);
      yield { kind: 'object', address: anchor, payload: 0 };
      yield { kind: 'object', address: head.pointer('head'), payload: 0 };
    } else if (layout?.member('strp.skb_head') && layout.member('recv_pkt')) {
      const reader = new StructReader(this.#kernel, 'tls_sw_context_rx', ['strp.skb_head', 'recv_pkt']);
      const view = reader.read(receiving);
      const [partial, whole] = [view.pointer('strp.skb_head'), view.pointer('recv_pkt')];
      if (whole !== 0n) yield whole;
      if (partial !== 0n && partial !== whole) yield partial;
    } else {
      this.#unknown('tls_sw_context_rx');
    }
  }

  /**
   * Yields records not handed to TCP yet: each has a plaintext and an encrypted message. The plaintext may
   * use the pages of the encrypted message.
   */
  *#sending(context: bigint): Generator<Entry> {
    const sending = this.#direction(context, 'tx');
    if (sending === 0n) return;
    const reader = new StructReader(this.#kernel, 'tls_sw_context_tx', ['open_rec', 'tx_list']);
    const view = reader.read(sending);
    const list = view.addressOf('tx_list');
    const records = this.#kernel.struct('tls_rec');
    if (!records) {
      // This type belongs to the module, so its BTF is needed.
      const empty = pointerPartOf(this.#kernel, 'the list', list, list) === list;
      if (view.pointer('open_rec') !== 0n || !empty) this.#unknown('tls_rec');
      return;
    }
    const record = new StructReader(this.#kernel, 'tls_rec', ['list', 'msg_plaintext', 'msg_encrypted']);
    const messages = new SkMsgReader(this.#kernel);
    const open = view.pointer('open_rec');
    const listed = [...record.entryAddresses(list, 'list')];
    for (const address of open === 0n ? listed : [open, ...listed]) {
      yield* messages.entries(record.addressOf(address, 'msg_plaintext'));
      // Space for the encrypted copy is not payload: the plaintext was counted.
      for (const entry of messages.entries(record.addressOf(address, 'msg_encrypted'))) {
        yield typeof entry === 'bigint' ? entry : { ...entry, payload: 0 };
      }
    }
  }

  #unknown(type: string): never {
    throw unsupportedLayout(`kTLS is in use, but its ${type} is unsupported`);
  }
}
