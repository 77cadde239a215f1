import { damaged, readOrNot, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { MemberLayout } from '../../kernel/layout.js';
import { TornList } from '../list.js';
import { isLoaded } from '../machine-facts.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import type { SkbLists } from '../queues/skb-lists.js';
import { RhashtableReader } from '../rhashtable.js';
import { decodeText, StructReader } from '../struct-reader.js';
import { netNamespaces } from './net-devices.js';

/** Members of `struct net` with the fragments of each protocol; kernels lack some of them. */
const PLACES = ['ipv4', 'ipv6', 'nf_frag', 'ieee802154_lowpan'] as const;

/** Module with netfilter's IPv6 reassembly. The types of modules are not always available. */
const MODULE = 'nf_defrag_ipv6';

/** IP fragments queued for reassembly, in all namespaces (net/ipv4/inet_fragment.c). */
export function* fragmentSkbs(kernel: Kernel, lists: SkbLists): Generator<bigint> {
  const net = kernel.struct('net');
  // Since 5.3 each protocol has a separate struct; before, it was part of the namespace's struct
  // (netns_frags).
  const [directories, parts] = ['fqdir', 'frags'].map((name) =>
    PLACES.flatMap((path) => net?.member(`${path}.${name}`) ?? []),
  ) as [MemberLayout[], MemberLayout[]];
  if (directories.length === 0 && parts.length === 0) {
    throw unsupportedLayout('struct net of this kernel has neither fqdir nor frags');
  }
  const reader = new FragmentReader(kernel, lists);
  const netfilter = netfilterFragments(kernel);
  for (const namespace of netNamespaces(kernel)) {
    for (const { offset } of parts) yield* reader.ofPart(namespace + BigInt(offset));
    for (const { offset } of directories) {
      const at = namespace + BigInt(offset);
      const directory = pointerPartOf(kernel, 'struct net', namespace, at);
      // Without IPv6 there are none.
      if (directory !== 0n) yield* reader.ofDirectory(directory, namespace);
    }
    const directory = netfilter?.(namespace);
    if (directory !== undefined) yield* reader.ofDirectory(directory, namespace);
  }
}

/** Searches netfilter's queues only if its module is loaded. */
function netfilterFragments(kernel: Kernel): ((net: bigint) => bigint | undefined) | undefined {
  if (kernel.struct('net')?.member('nf_frag')) return undefined;
  const loaded = kernel.struct('nft_ct_frag6_pernet') !== undefined || isLoaded(kernel, MODULE);
  if (loaded === false) return undefined;
  const reader = new NetfilterFragments(kernel);
  return (net) => {
    const address = reader.ofNamespace(net);
    if (address !== undefined || !loaded) return address;
    throw damaged(`the fragments of ${MODULE} were not found`);
  };
}

/** Fragments of one protocol in one namespace: a table with one queue per packet. */
class FragmentReader {
  readonly #kernel: Kernel;
  readonly #lists: SkbLists;
  readonly #directory;
  readonly #owner: 'fqdir' | 'net';
  readonly #list: StructReader<'fragments'> | undefined;
  readonly #part;
  readonly #table;
  readonly #queue;

  constructor(kernel: Kernel, lists: SkbLists) {
    this.#kernel = kernel;
    this.#lists = lists;
    const own = kernel.struct('fqdir') !== undefined;
    this.#owner = own ? 'fqdir' : 'net';
    this.#directory = own ? new StructReader(kernel, 'fqdir', ['net', 'rhashtable']) : undefined;
    this.#part = own ? undefined : new StructReader(kernel, 'netns_frags', ['rhashtable']);
    // IPv6 before 5.1: skbs in a list, ordered by offset.
    this.#list = StructReader.ifPresent(kernel, 'inet_frag_queue', ['fragments']);
    this.#table = new RhashtableReader(kernel);
    this.#queue = new StructReader(kernel, 'inet_frag_queue', ['node', 'rb_fragments.rb_node', 'meat', this.#owner]);
  }

  *ofDirectory(address: bigint, net: bigint): Generator<bigint> {
    const view = this.#directory?.read(address);
    if (view?.pointer('net') !== net) {
      throw damaged(`the fqdir at ${hex(address)} belongs to another namespace`);
    }
    yield* this.#ofTable(view.addressOf('rhashtable'), address);
  }

  /** @param address of a `struct netns_frags` */
  *ofPart(address: bigint): Generator<bigint> {
    const part = this.#part;
    if (part) yield* this.#ofTable(part.addressOf(address, 'rhashtable'), address);
  }

  *#ofTable(table: bigint, owner: bigint): Generator<bigint> {
    for (const head of this.#table.nodes(table)) {
      const queue = this.#queue.readContainer(head, 'node');
      if (queue.pointer(this.#owner) !== owner) {
        throw damaged(`the queue at ${hex(queue.address)} is of another ${this.#owner}`);
      }
      const { address } = queue;
      const [root, bytes] = [queue.pointer('rb_fragments.rb_node'), queue.number('meat')];
      yield* this.#ofQueue(root, this.#list?.read(address).pointer('fragments') ?? 0n, bytes);
    }
  }

  /**
   * Skbs of a queue. The tree contains only the first of each run of consecutive fragments, which links to
   * the next (`struct ipfrag_skb_cb`).
   *
   * @param list the first fragment outside the tree
   * @param bytes total size of all fragments
   */
  *#ofQueue(root: bigint, list: bigint, bytes: number): Generator<bigint> {
    const skb = new StructReader(this.#kernel, 'sk_buff', ['len', 'cb', 'next']);
    const run = new StructReader(this.#kernel, 'ipfrag_skb_cb', ['next_frag']);
    const seen = new Set<bigint>();
    let found = 0;
    for (const first of this.#lists.tree(root)) {
      let next = first;
      while (next !== 0n) {
        if (seen.has(next)) throw new TornList(`the fragment list loops back to skb ${hex(next)}`);
        // Each has at least one byte of a packet of at most 64 KiB.
        if (found > bytes) break;
        seen.add(next);
        yield next;
        found += skb.read(next).number('len');
        next = run.read(skb.addressOf(next, 'cb')).pointer('next_frag');
      }
    }
    // The first two members of an skb are its tree links, or in a list the next one.
    for (let next = list; next !== 0n && found <= bytes; ) {
      if (seen.has(next)) throw new TornList(`the fragment list loops back to skb ${hex(next)}`);
      seen.add(next);
      yield next;
      const view = skb.read(next);
      found += view.number('len');
      next = view.pointer('next');
    }
    if (found === bytes) return;
    throw new TornList(`a queue of fragments counts ${bytes} bytes, but has ${found}`);
  }
}

/** Maximum number of entries of `net_generic`: far more than exist. */
const MAX_PARTS = 4096;

/** `nf_frags_cache_name` (net/ipv6/netfilter/nf_conntrack_reasm.c). */
const NAME = 'nf-frags';

/**
 * Offset of the fqdir in `struct nft_ct_frag6_pernet`, a type that only modules have: after a pointer to a
 * sysctl table.
 */
const FQDIR_AT = 8n;

/**
 * Finds the IPv6 fragments that netfilter reassembles before connection tracking. Since 5.13 their `fqdir` is
 * not in `struct net` but in `net_generic`, under an id that only the module knows: it is recognized by the
 * name of its cache and by its namespace.
 */
class NetfilterFragments {
  readonly #kernel: Kernel;
  readonly #net;
  readonly #generic;
  readonly #directory;
  readonly #kind;
  /** Index of the module's entry: the same in every namespace. */
  #part: number | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#net = new StructReader(kernel, 'net', ['gen']);
    this.#generic = new StructReader(kernel, 'net_generic', ['s.len']);
    this.#directory = new StructReader(kernel, 'fqdir', ['f', 'net']);
    this.#kind = new StructReader(kernel, 'inet_frags', ['frags_cache_name']);
  }

  /** Address of the `fqdir`; undefined if there is none. */
  ofNamespace(net: bigint): bigint | undefined {
    const generic = this.#net.read(net).pointer('gen');
    const count = this.#generic.read(generic).number('s.len');
    if (count > MAX_PARTS) throw damaged(`net_generic has ${count} parts`);
    const known = this.#part;
    if (known !== undefined && known < count) return this.#candidate(net, generic, known);
    // The header takes the place of the first entries (MIN_PERNET_OPS_ID).
    for (let part = Math.ceil(this.#generic.size / 8); part < count; part++) {
      const candidate = this.#candidate(net, generic, part);
      if (candidate === undefined) continue;
      this.#part = part;
      return candidate;
    }
    return undefined;
  }

  #candidate(net: bigint, generic: bigint, part: number): bigint | undefined {
    const at = generic + BigInt(part * 8);
    const own = pointerPartOf(this.#kernel, 'struct net_generic', generic, at);
    if (own === 0n) return undefined;
    // Entries of other parts contain arbitrary data, and some are shorter.
    return readOrNot(() => {
      const address = this.#kernel.read(own + FQDIR_AT, 8).getBigUint64(0, true);
      const view = this.#directory.read(address);
      if (view.pointer('net') !== net) return undefined;
      const name = this.#kind.read(view.pointer('f')).pointer('frags_cache_name');
      const bytes = readPartOf(this.#kernel, 'the name', name, name, NAME.length + 1);
      return decodeText(bytes, 0, NAME.length + 1) === NAME ? address : undefined;
    });
  }
}
