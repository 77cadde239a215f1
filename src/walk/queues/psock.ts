import { KernelError, ReadError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { listNodes } from '../list.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import type { Entry } from './entry.js';
import type { Queue, QueueFinder } from './queue.js';
import { SkMsgReader } from './sk-msg.js';
import type { SkbLists } from './skb-lists.js';

/** Flags in the low bits of `sk_user_data` (SK_USER_DATA_PTRMASK, include/net/sock.h). */
const USER_DATA_FLAGS = 7n;

/** SK_USER_DATA_PSOCK, since 6.0: what it points to is a psock. */
const USER_DATA_PSOCK = 4n;

const PSOCK_FIELDS = ['sk', 'sk_proto', 'cork', 'ingress_skb', 'ingress_msg'] as const;

/**
 * What of a psock holds an skb that is in no list: the message that its parser puts together, and up
 * to 6.1 the one that could be handed on in part only.
 */
const SINGLE_SKBS = ['strp.skb_head', 'parser.strp.skb_head', 'work_state.skb'] as const;

/** What sockmap holds of a socket: the queues of its `struct sk_psock` (include/linux/skmsg.h). */
export class PsockQueues implements QueueFinder {
  readonly #kernel: Kernel;
  readonly #lists: SkbLists;
  readonly #sock;
  #psock: StructReader<(typeof PSOCK_FIELDS)[number]> | undefined;

  constructor(kernel: Kernel, lists: SkbLists) {
    this.#kernel = kernel;
    this.#lists = lists;
    this.#sock = new StructReader(kernel, 'sock', ['sk_user_data', '__sk_common.skc_prot']);
  }

  queues(sock: bigint): Queue[] {
    const psock = this.#find(sock);
    const layout = this.#psock;
    if (psock === 0n || !layout) return [];
    const skbs = psock + BigInt(layout.offset('ingress_skb'));
    const messages = psock + BigInt(layout.offset('ingress_msg'));
    return [
      {
        name: 'ingressSkbs',
        expected: this.#lists.length(skbs),
        entries: () => this.#lists.ring(skbs),
      },
      ...this.#singles(psock),
      { name: 'ingressMessages', expected: undefined, entries: () => this.#messages(messages) },
      { name: 'cork', expected: undefined, entries: () => this.#cork(psock) },
    ];
  }

  /**
   * Others use `sk_user_data` too (tunnels, NFS): a psock points back at its sock. 0n: none. The type
   * is asked for where there is something to read by it: hardly any sock has user data.
   *
   * @throws {KernelError} `unsupported-layout` for what points back as well and is none
   */
  #find(sock: bigint): bigint {
    const view = this.#sock.read(sock);
    const [data, own] = [view.pointer('sk_user_data'), view.pointer('__sk_common.skc_prot')];
    const address = data & ~USER_DATA_FLAGS;
    if (address === 0n || !this.#kernel.struct('sk_psock')) return 0n;
    this.#psock ??= new StructReader(this.#kernel, 'sk_psock', PSOCK_FIELDS);
    const psock = this.#psock.read(address);
    if (psock.pointer('sk') !== sock) return 0n;
    const isOne = (data & USER_DATA_PSOCK) !== 0n || this.#hasName(psock.pointer('sk_proto'), own);
    if (isOne) return address;
    const message = 'what takes its data points back at it as KCM’s does, and is not read';
    throw new KernelError('unsupported-layout', message);
  }

  /** A psock remembers the protocol that it has replaced, which has the name of the one in place. */
  #hasName(replaced: bigint, own: bigint): boolean {
    if (replaced === own) return true;
    const protocol = new StructReader(this.#kernel, 'proto', ['name']);
    try {
      return protocol.read(replaced).text('name') === protocol.read(own).text('name');
    } catch (error) {
      // Something else lies where a psock has its protocol.
      if (error instanceof ReadError && error.code === 'unmapped') return false;
      throw error;
    }
  }

  /** A queue of the skbs that are in no list, if there are any. */
  #singles(psock: bigint): Queue[] {
    const skbs = SINGLE_SKBS.flatMap((path) => {
      const member = this.#kernel.struct('sk_psock')?.member(path);
      if (!member) return [];
      const at = psock + BigInt(member.offset);
      const skb = pointerPartOf(this.#kernel, 'struct sk_psock', psock, at);
      return skb === 0n ? [] : [skb];
    });
    if (skbs.length === 0) return [];
    return [{ name: 'ingressPart', expected: undefined, entries: () => skbs }];
  }

  *#messages(head: bigint): Generator<Entry> {
    const messages = new SkMsgReader(this.#kernel);
    const { list } = new StructReader(this.#kernel, 'sk_msg', ['list']).members;
    for (const node of listNodes(this.#kernel, head)) {
      yield* messages.entries(node - BigInt(list.offset));
    }
  }

  *#cork(psock: bigint): Generator<Entry> {
    const cork = this.#psock?.read(psock).pointer('cork') ?? 0n;
    if (cork !== 0n) yield* new SkMsgReader(this.#kernel).entries(cork);
  }
}
