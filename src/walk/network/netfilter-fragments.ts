import { KernelError, ReadError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { decodeText, StructReader } from '../struct-reader.js';

/** What a kernel's parts keep for each namespace: far more than there are of them. */
const MOST_PARTS = 4096;

/** `nf_frags_cache_name` (net/ipv6/netfilter/nf_conntrack_reasm.c). */
const NAME = 'nf-frags';

/** `struct nft_ct_frag6_pernet`, which modules alone have types of: a table of sysctls, the fqdir. */
const FQDIR_AT = 8n;

/**
 * Finds the fragments of IPv6 that netfilter puts together before connections are tracked. Since 5.13
 * their `fqdir` is not in `struct net` but in `net_generic`, under a number that the module alone
 * knows: it is known by the name of its cache and by its namespace.
 */
export class NetfilterFragments {
  readonly #kernel: Kernel;
  readonly #net;
  readonly #generic;
  readonly #directory;
  readonly #kind;
  /** Number of the module's part: the same in every namespace. */
  #part: number | undefined;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#net = new StructReader(kernel, 'net', ['gen']);
    this.#generic = new StructReader(kernel, 'net_generic', ['s.len']);
    this.#directory = new StructReader(kernel, 'fqdir', ['f', 'net']);
    this.#kind = new StructReader(kernel, 'inet_frags', ['frags_cache_name']);
  }

  /**
   * Address of the `fqdir`; undefined where there is none.
   *
   * @throws {KernelError} `damaged`; {@link ReadError}
   */
  ofNamespace(net: bigint): bigint | undefined {
    const generic = this.#net.read(net).pointer('gen');
    const count = this.#generic.read(generic).number('s.len');
    if (count > MOST_PARTS) throw new KernelError('damaged', `net_generic has ${count} parts`);
    const known = this.#part;
    if (known !== undefined && known < count) return this.#candidate(net, generic, known);
    // What is before the parts takes the place of the first (MIN_PERNET_OPS_ID).
    for (let part = Math.ceil(this.#generic.size / 8); part < count; part++) {
      const found = this.#candidate(net, generic, part);
      if (found === undefined) continue;
      this.#part = part;
      return found;
    }
    return undefined;
  }

  #candidate(net: bigint, generic: bigint, part: number): bigint | undefined {
    const at = generic + BigInt(part * 8);
    const own = pointerPartOf(this.#kernel, 'struct net_generic', generic, at);
    if (own === 0n) return undefined;
    try {
      const address = this.#kernel.read(own + FQDIR_AT, 8).getBigUint64(0, true);
      const view = this.#directory.read(address);
      if (view.pointer('net') !== net) return undefined;
      const name = this.#kind.read(view.pointer('f')).pointer('frags_cache_name');
      const bytes = readPartOf(this.#kernel, 'the name', name, name, NAME.length + 1);
      return decodeText(bytes, 0, NAME.length + 1) === NAME ? address : undefined;
    } catch (error) {
      // Parts of others hold anything there, and some are shorter.
      if (error instanceof ReadError) return undefined;
      throw error;
    }
  }
}
