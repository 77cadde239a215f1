import { damaged, ReadError, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';
import type { Entry, Queue, QueueFinder } from './queue.js';
import type { SkbLists } from './skb-lists.js';

/** Flags in the low bits of `sk_user_data` (SK_USER_DATA_PTRMASK, include/net/sock.h). */
const USER_DATA_FLAGS = 7n;

/** SK_USER_DATA_PSOCK, since 6.0: the pointer refers to a psock. */
const USER_DATA_PSOCK = 4n;

const PSOCK_FIELDS = ['sk', 'sk_proto', 'cork', 'ingress_skb', 'ingress_msg'] as const;

/**
 * Members of a psock with an skb outside of lists: the message being parsed, and up to 6.1 a partly
 * redirected one.
 */
const SINGLE_SKBS = ['strp.skb_head', 'parser.strp.skb_head', 'work_state.skb'] as const;

/** Memory that sockmap holds for a socket: the queues of its `struct sk_psock` (include/linux/skmsg.h). */
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
    const skbs = layout.addressOf(psock, 'ingress_skb');
    const messages = layout.addressOf(psock, 'ingress_msg');
    return [
      { name: 'ingressSkbs', expected: this.#lists.length(skbs), entries: () => this.#lists.ring(skbs) },
      ...this.#singles(psock),
      { name: 'ingressMessages', expected: undefined, entries: () => this.#messages(messages) },
      { name: 'cork', expected: undefined, entries: () => this.#cork(psock) },
    ];
  }

  /**
   * Returns the psock of a sock; 0n: none. Other users of `sk_user_data` exist (tunnels, NFS), but a psock
   * points back to its sock. Its type is resolved only if a sock has user data, which is rare.
   *
   * @throws {KernelError} `unsupported-layout` for other objects that point back
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
    throw unsupportedLayout('its data is read by an unsupported kind of socket, similar to KCM');
  }

  /**
   * Whether both protocols have the same name: a psock stores the protocol that it replaced, whose copy in
   * the sock keeps the name.
   */
  #hasName(replaced: bigint, own: bigint): boolean {
    if (replaced === own) return true;
    const protocol = new StructReader(this.#kernel, 'proto', ['name']);
    try {
      return protocol.read(replaced).text('name') === protocol.read(own).text('name');
    } catch (error) {
      // The address where a psock has its protocol contains something else.
      if (error instanceof ReadError && error.code === 'unmapped') return false;
      throw error;
    }
  }

  /** A queue of the skbs outside of lists, if there are any. */
  #singles(psock: bigint): Queue[] {
    const skbs = SINGLE_SKBS.flatMap((path) => {
      const reader = StructReader.ifPresent(this.#kernel, 'sk_psock', [path]);
      const skb = reader?.read(psock).pointer(path) ?? 0n;
      return skb === 0n ? [] : [skb];
    });
    if (skbs.length === 0) return [];
    return [{ name: 'ingressPart', expected: undefined, entries: () => skbs }];
  }

  *#messages(head: bigint): Generator<Entry> {
    const messages = new SkMsgReader(this.#kernel);
    const reader = new StructReader(this.#kernel, 'sk_msg', ['list']);
    for (const message of reader.entryAddresses(head, 'list')) yield* messages.entries(message);
  }

  *#cork(psock: bigint): Generator<Entry> {
    const cork = this.#psock?.read(psock).pointer('cork') ?? 0n;
    if (cork !== 0n) yield* new SkMsgReader(this.#kernel).entries(cork);
  }
}

/** Flag bits of `scatterlist.page_link`: SG_CHAIN and SG_END (include/linux/scatterlist.h). */
const PAGE_LINK_FLAGS = 3n;
const SG_CHAIN = 1n;

/** Returns the page of a scatterlist entry; undefined: it has none, or points to the next list. */
export function scatterlistPage(link: bigint): bigint | undefined {
  const page = link & ~PAGE_LINK_FLAGS;
  return (link & SG_CHAIN) !== 0n || page === 0n ? undefined : page;
}

/**
 * Reads a `struct sk_msg`: a message of sockmap or kTLS, a ring of scatterlist entries each of which holds a
 * reference to its page, or to its skb if it arrived as one (include/linux/skmsg.h).
 */
export class SkMsgReader {
  readonly #msg;
  readonly #entry;

  constructor(kernel: Kernel) {
    this.#msg = new StructReader(kernel, 'sk_msg', ['sg.start', 'sg.end', 'sg.data', 'skb']);
    this.#entry = new StructReader(kernel, 'scatterlist', ['page_link', 'length']);
  }

  *entries(address: bigint): Generator<Entry> {
    const msg = this.#msg.read(address);
    const skb = msg.pointer('skb');
    if (skb !== 0n) {
      // Its pages belong to the skb.
      yield skb;
      return;
    }
    // Two more entries than an skb has frags; the last one is for chaining (NR_MSG_FRAG_IDS).
    const slots = (this.#msg.members['sg.data'].count ?? 1) - 1;
    const [start, end] = [msg.number('sg.start'), msg.number('sg.end')];
    if (start >= slots || end >= slots) {
      throw damaged(`the message at ${hex(address)} runs from ${start} to ${end} of ${slots}`);
    }
    const first = msg.addressOf('sg.data');
    for (let index = start; index !== end; index = (index + 1) % slots) {
      const view = this.#entry.read(this.#entry.element(first, index));
      const page = scatterlistPage(view.pointer('page_link'));
      if (page !== undefined) yield { kind: 'page', page, payload: view.number('length') };
    }
  }
}

/** Values of `af_alg_type.name` whose sockets keep sent data until the result is read. */
const CIPHERS = ['skcipher', 'aead'];

/**
 * Data that a process sent to an AF_ALG socket for encryption or decryption, until its result is read: lists
 * of pages in `af_alg_ctx.tsgl_list` (crypto/af_alg.c). Only accepted sockets hold such data; hashes and
 * random number generators keep none between calls.
 */
export class AlgQueues implements QueueFinder {
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  queues(sock: bigint): Queue[] {
    return [{ name: 'cipher', expected: undefined, entries: () => this.#given(sock) }];
  }

  *#given(sock: bigint): Generator<Entry> {
    const view = new StructReader(this.#kernel, 'alg_sock', ['parent', 'type', 'private']).read(sock);
    const [type, context] = [view.pointer('type'), view.pointer('private')];
    if (view.pointer('parent') === 0n || type === 0n || context === 0n) return;
    const name = new StructReader(this.#kernel, 'af_alg_type', ['name']).read(type).text('name');
    if (!CIPHERS.includes(name)) return;
    const lists = new StructReader(this.#kernel, 'af_alg_ctx', ['tsgl_list']);
    const list = new StructReader(this.#kernel, 'af_alg_tsgl', ['list', 'cur', 'sg']);
    const entry = new StructReader(this.#kernel, 'scatterlist', ['page_link', 'length']);
    const head = lists.read(context).addressOf('tsgl_list');
    for (const address of list.entryAddresses(head, 'list')) {
      yield { kind: 'object', address, payload: 0 };
      // The list fits in a page (MAX_SGL_ENTS); its last entry is for chaining.
      const most = Math.floor(this.#kernel.facts.pageSize / entry.size);
      const given = Math.min(list.read(address).number('cur'), most);
      for (let index = 0; index < given; index++) {
        const view = entry.read(entry.element(list.addressOf(address, 'sg'), index));
        const page = scatterlistPage(view.pointer('page_link'));
        // Processed pages are already released.
        if (page !== undefined) yield { kind: 'page', page, payload: view.number('length') };
      }
    }
  }
}
