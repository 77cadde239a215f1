import { damaged, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { MemberLayout } from '../../kernel/layout.js';
import { cpuMask, needSymbol, numaNodes, perCpuAddress } from '../cpus.js';
import { listNodes, TornList } from '../list.js';
import { pointerPartOf } from '../named-read.js';
import type { SkbLists } from '../queues/skb-lists.js';
import { StructReader } from '../struct-reader.js';
import type { NetDevice } from './net-devices.js';

/**
 * Skbs in the per-CPU queues of `softnet_data` (net/core/dev.c): received but not passed up the stack, sent
 * but not freed, or freed on another CPU and being returned to their own CPU.
 */
export function* softnetSkbs(kernel: Kernel, lists: SkbLists): Generator<bigint> {
  const data = needSymbol(kernel, 'softnet_data');
  const layout = kernel.struct('softnet_data');
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    const own = perCpuAddress(kernel, data, cpu);
    const pointer = (offset: number) => pointerPartOf(kernel, 'struct softnet_data', own, own + BigInt(offset));
    for (const name of ['input_pkt_queue', 'process_queue', 'xfrm_backlog']) {
      const ring = layout?.member(name);
      if (!ring) continue;
      // The queues of a CPU that never came online are zero, not initialized.
      if (pointer(ring.offset) !== 0n) yield* lists.ring(own + BigInt(ring.offset));
    }
    for (const name of ['completion_queue', 'defer_list']) {
      const first = layout?.member(name);
      if (first) yield* lists.chain(pointer(first.offset));
    }
    yield* deferred(kernel, lists, cpu);
  }
}

/** Since 6.18 deferred skbs are in a list for each CPU and node: `net_hotdata.skb_defer_nodes`. */
function* deferred(kernel: Kernel, lists: SkbLists, cpu: number): Generator<bigint> {
  const member = kernel.struct('net_hotdata')?.member('skb_defer_nodes');
  const node = StructReader.ifPresent(kernel, 'skb_defer_node', ['defer_list.first']);
  const hot = kernel.symbol('net_hotdata');
  if (!member || !node || hot === undefined) return;
  const perCpu = pointerPartOf(kernel, 'net_hotdata', hot, hot + BigInt(member.offset));
  if (perCpu === 0n) return;
  const nodes = numaNodes(kernel);
  const own = perCpuAddress(kernel, perCpu, cpu);
  for (let index = 0; index < nodes; index++) {
    yield* lists.chain(node.read(node.element(own, index)).pointer('defer_list.first'));
  }
}

/**
 * Skbs in NAPI instances of a device (`napi_struct`, net/core/gro.c): held for merging (GRO), batched for the
 * stack, or being filled by the driver. Also skbs queued in GRO cells of tunnels (net/core/gro_cells.c).
 * Instances whose device is in no namespace (some Wi-Fi cards) are not found.
 */
export class NapiReader {
  readonly #kernel: Kernel;
  readonly #lists: SkbLists;
  readonly #device;
  readonly #napi;
  readonly #gro: GroLayout;
  readonly #cell: { readonly poll: bigint; readonly toSkbs: bigint } | undefined;

  constructor(kernel: Kernel, lists: SkbLists) {
    this.#kernel = kernel;
    this.#lists = lists;
    this.#device = new StructReader(kernel, 'net_device', ['napi_list']);
    this.#napi = new StructReader(kernel, 'napi_struct', ['dev', 'dev_list', 'poll', 'skb']);
    this.#gro = groLayout(kernel);
    this.#cell = groCell(kernel);
  }

  *ofDevice(device: NetDevice): Generator<bigint> {
    const instances = this.#device.addressOf(device.address, 'napi_list');
    for (const view of this.#napi.entries(instances, 'dev_list')) {
      if (view.pointer('dev') !== device.address) {
        throw damaged(`the NAPI at ${hex(view.address)} belongs to another device`);
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
        `the NAPI at ${hex(napi)} counts ${counted} GRO skbs, but ${found > counted ? 'more' : found} were found`,
      );
    }
    const { hash, list, lists, listBytes, normal } = this.#gro;
    for (let index = 0; index < lists; index++) {
      yield* this.#lists.listed(napi + BigInt(hash + index * listBytes + list));
    }
    if (normal !== undefined) yield* this.#lists.listed(napi + BigInt(normal));
  }
}

/** Whether a device has NAPI instances. */
export function hasNapi(kernel: Kernel, device: NetDevice): boolean {
  const reader = new StructReader(kernel, 'net_device', ['napi_list']);
  const nodes = listNodes(kernel, reader.addressOf(device.address, 'napi_list'));
  return nodes.next().done !== true;
}

/**
 * Offsets of the GRO lists, in bytes from the `napi_struct`, and from each `gro_list` to its head. Packets
 * for the stack are in one list (`normal`) since 5.4. Before 4.19 there was a single list, without a head.
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
  if (napi?.member('gro_list')) return { chain: new StructReader(kernel, 'napi_struct', ['gro_list', 'gro_count']) };
  // Since 6.15 they are in a separate struct, `gro_node`.
  const hash = napi?.member('gro.hash') ?? napi?.member('gro_hash');
  const normal = napi?.member('gro.rx_list') ?? napi?.member('rx_list');
  const list = kernel.struct('gro_list');
  const head: MemberLayout | undefined = list?.member('list');
  if (!hash?.count || !list || !head || list.size * hash.count !== hash.size) {
    throw unsupportedLayout('unsupported layout of the GRO lists in napi_struct');
  }
  return { hash: hash.offset, lists: hash.count, listBytes: list.size, list: head.offset, normal: normal?.offset };
}

/**
 * GRO cell of a tunnel: its NAPI instances are recognized by their poll function, and have a queue next to
 * them.
 */
function groCell(kernel: Kernel): { poll: bigint; toSkbs: bigint } | undefined {
  const cell = kernel.struct('gro_cell');
  const poll = kernel.symbol('gro_cell_poll');
  const skbs = cell?.member('napi_skbs');
  const napi = cell?.member('napi');
  if (poll === undefined || !skbs || !napi) return undefined;
  return { poll, toSkbs: BigInt(skbs.offset - napi.offset) };
}
