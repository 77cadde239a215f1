import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { MemberLayout } from '../../kernel/layout.js';
import { listNodes, TornList } from '../list.js';
import type { SkbLists } from '../queues/skb-lists.js';
import { StructReader } from '../struct-reader.js';
import type { NetDevice } from './net-devices.js';

/**
 * Skbs that a device's NAPI instances hold (`napi_struct`, net/core/gro.c): those that may be merged
 * with what follows (GRO), those that are handed up together, the one that the driver fills; and what
 * a tunnel's have not taken up (net/core/gro_cells.c). An instance whose device is in no namespace,
 * as those of some Wi-Fi cards, is not found.
 */
export class NapiReader {
  readonly #kernel: Kernel;
  readonly #lists: SkbLists;
  /** Bytes from a device to the list of its instances. */
  readonly #instances: bigint;
  readonly #napi;
  readonly #gro: GroLayout;
  readonly #cell: { readonly poll: bigint; readonly toSkbs: bigint } | undefined;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel, lists: SkbLists) {
    this.#kernel = kernel;
    this.#lists = lists;
    const device = new StructReader(kernel, 'net_device', ['napi_list']);
    this.#instances = BigInt(device.offset('napi_list'));
    this.#napi = new StructReader(kernel, 'napi_struct', ['dev', 'dev_list', 'poll', 'skb']);
    this.#gro = groLayout(kernel);
    this.#cell = groCell(kernel);
  }

  /** @throws {ReadError}, {@link TornList}; {@link KernelError} `damaged` */
  *ofDevice(device: NetDevice): Generator<bigint> {
    const link = BigInt(this.#napi.offset('dev_list'));
    for (const node of listNodes(this.#kernel, device.address + this.#instances)) {
      const view = this.#napi.read(node - link);
      if (view.pointer('dev') !== device.address) {
        throw new KernelError('damaged', `the NAPI at ${hex(view.address)} is of another device`);
      }
      const filled = view.pointer('skb');
      if (filled !== 0n) yield filled;
      yield* this.#held(view.address);
      if (this.#cell && view.pointer('poll') === this.#cell.poll) {
        yield* this.#lists.ring(view.address + this.#cell.toSkbs);
      }
    }
  }

  *#held(napi: bigint): Generator<bigint> {
    if ('chain' in this.#gro) {
      const view = this.#gro.chain.read(napi);
      const counted = view.number('gro_count');
      let found = 0;
      for (const skb of this.#lists.chain(view.pointer('gro_list'))) {
        if (++found > counted) break;
        yield skb;
      }
      if (found === counted || this.#kernel.facts.live) return;
      throw new TornList(
        `the NAPI at ${hex(napi)} counts ${counted} skbs of GRO, and ${found > counted ? 'more' : found} are there`,
      );
    }
    const { hash, list, lists, listBytes, normal } = this.#gro;
    for (let index = 0; index < lists; index++) {
      yield* this.#lists.listed(napi + BigInt(hash + index * listBytes + list));
    }
    if (normal !== undefined) yield* this.#lists.listed(napi + BigInt(normal));
  }
}

/**
 * Whether a device has NAPI instances.
 *
 * @throws {KernelError} `unsupported-layout`; {@link TornList}; {@link ReadError}
 */
export function hasNapi(kernel: Kernel, device: NetDevice): boolean {
  const { napi_list } = new StructReader(kernel, 'net_device', ['napi_list']).members;
  const nodes = listNodes(kernel, device.address + BigInt(napi_list.offset));
  return nodes.next().done !== true;
}

/**
 * Where the lists are: bytes from the `napi_struct`, and from each `gro_list` to its head. Packets for the stack are
 * listed together (`normal`) since 5.4; before 4.19 there was one list, without a head.
 */
type GroLayout =
  | { readonly chain: StructReader<'gro_list' | 'gro_count'> }
  | {
      readonly hash: number;
      readonly lists: number;
      readonly listBytes: number;
      readonly list: number;
      readonly normal: number | undefined;
    };

function groLayout(kernel: Kernel): GroLayout {
  const napi = kernel.struct('napi_struct');
  if (napi?.member('gro_list'))
    return { chain: new StructReader(kernel, 'napi_struct', ['gro_list', 'gro_count']) };
  // Since 6.15 they are in a struct of their own, `gro_node`.
  const hash = napi?.member('gro.hash') ?? napi?.member('gro_hash');
  const normal = napi?.member('gro.rx_list') ?? napi?.member('rx_list');
  const list = kernel.struct('gro_list');
  const head: MemberLayout | undefined = list?.member('list');
  if (!hash?.count || !list || !head || list.size * hash.count !== hash.size) {
    throw new KernelError('unsupported-layout', 'napi_struct has no lists of GRO that are known');
  }
  return {
    hash: hash.offset,
    lists: hash.count,
    listBytes: list.size,
    list: head.offset,
    normal: normal?.offset,
  };
}

/** A tunnel's instances are known by their poll function, and have a queue beside them. */
function groCell(kernel: Kernel): { poll: bigint; toSkbs: bigint } | undefined {
  const cell = kernel.struct('gro_cell');
  const poll = kernel.symbol('gro_cell_poll');
  const skbs = cell?.member('napi_skbs');
  const napi = cell?.member('napi');
  if (poll === undefined || !skbs || !napi) return undefined;
  return { poll, toSkbs: BigInt(skbs.offset - napi.offset) };
}
