import type { Kernel } from '../../kernel/kernel.js';
import { listNodes } from '../list.js';
import { StructReader } from '../struct-reader.js';
import type { Entry } from './held.js';
import type { Queue, QueueFinder } from './queue.js';
import { SkMsgReader } from './sk-msg.js';
import type { SkbLists } from './skb-lists.js';

/** Flags in the low bits of `sk_user_data` (SK_USER_DATA_PTRMASK, include/net/sock.h). */
const USER_DATA_FLAGS = 7n;

const PSOCK_FIELDS = ['sk', 'sk_proto', 'cork', 'ingress_skb', 'ingress_msg'] as const;

/** What sockmap holds of a socket: the queues of its `struct sk_psock` (include/linux/skmsg.h). */
export class PsockQueues implements QueueFinder {
  readonly #kernel: Kernel;
  readonly #lists: SkbLists;
  readonly #sock;
  #psock: StructReader<(typeof PSOCK_FIELDS)[number]> | undefined;

  constructor(kernel: Kernel, lists: SkbLists) {
    this.#kernel = kernel;
    this.#lists = lists;
    this.#sock = new StructReader(kernel, 'sock', ['sk_user_data']);
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
      { name: 'ingressMessages', expected: undefined, entries: () => this.#messages(messages) },
      { name: 'cork', expected: undefined, entries: () => this.#cork(psock) },
    ];
  }

  /**
   * Others use `sk_user_data` too (tunnels, NFS): a psock points back at its sock. 0n: none. The type
   * is asked for where there is something to read by it: hardly any sock has user data.
   */
  #find(sock: bigint): bigint {
    const data = this.#sock.read(sock).pointer('sk_user_data') & ~USER_DATA_FLAGS;
    if (data === 0n || !this.#kernel.struct('sk_psock')) return 0n;
    this.#psock ??= new StructReader(this.#kernel, 'sk_psock', PSOCK_FIELDS);
    return this.#psock.read(data).pointer('sk') === sock ? data : 0n;
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
