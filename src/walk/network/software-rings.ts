import { damaged } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { hlistNodes } from '../list.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { PtrRingReader } from '../ptr-ring.js';
import type { SkbLists } from '../queues/skb-lists.js';
import { decodeText, StructReader } from '../struct-reader.js';
import { type NetDevice, netNamespaces } from './net-devices.js';
import { hasNapi } from './softnet.js';

const KINDS: readonly string[] = ['tun', 'macvtap', 'ipvtap', 'veth'];

/**
 * Software devices with packets in rings, by kind. `veth` devices only if they have NAPI instances: others do
 * not use their rings (drivers/net/veth.c).
 */
export function devicesWithRings(kernel: Kernel, devices: readonly NetDevice[]): Map<string, NetDevice[]> {
  const groups = new Map<string, NetDevice[]>();
  const kinds = new DeviceKinds(kernel);
  for (const device of devices) {
    const kind = kinds.of(device);
    if (kind === undefined || !KINDS.includes(kind)) continue;
    if (kind === 'veth' && !hasNapi(kernel, device)) continue;
    groups.set(kind, [...(groups.get(kind) ?? []), device]);
  }
  return groups;
}

/** Maximum length of a kind's name, in bytes: as short as module names (`rtnl-link-…`). */
const NAME_BYTES = 16;

/** Determines the kind of a software network device. */
export class DeviceKinds {
  readonly #kernel: Kernel;
  readonly #device;
  readonly #ops;
  /** Known kinds, by the address of the `struct rtnl_link_ops`. */
  readonly #known = new Map<bigint, string>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#device = new StructReader(kernel, 'net_device', ['rtnl_link_ops']);
    this.#ops = new StructReader(kernel, 'rtnl_link_ops', ['kind']);
  }

  /** `tun`, `veth` (`rtnl_link_ops.kind`); undefined without a kind; untrusted. */
  of(device: NetDevice): string | undefined {
    const ops = this.#device.read(device.address).pointer('rtnl_link_ops');
    if (ops === 0n) return undefined;
    let kind = this.#known.get(ops);
    if (kind === undefined) {
      const name = this.#ops.read(ops).pointer('kind');
      const bytes = readPartOf(this.#kernel, 'the name', name, name, NAME_BYTES);
      kind = decodeText(bytes, 0, NAME_BYTES);
      this.#known.set(ops, kind);
    }
    return kind;
  }
}

/** Flag in a ring's pointer: a `struct xdp_frame` instead of an skb (TUN_XDP_FLAG, linux/if_tun.h). */
const IS_FRAME = 1n;

/** Packets queued in a tun or tap device. */
export interface TunContent {
  readonly skbs: readonly bigint[];
  /** Number of XDP packets, which are not skbs. */
  readonly frames: number;
}

/**
 * Reads the packets of a tun or tap device (drivers/net/tun.c): sent, but not read by the process that has it
 * open (`tun_file.tx_ring`, before 4.18 `tx_array`), or written by that process, but not yet received
 * (`sk_write_queue`).
 */
export class TunReader {
  readonly #kernel: Kernel;
  readonly #lists: SkbLists;
  readonly #rings;
  readonly #device;
  readonly #file;
  readonly #ring: 'tx_ring' | 'tx_array.ring';
  readonly #most: number;

  /** @throws {KernelError} `unsupported-layout` if the module's types are unknown */
  constructor(kernel: Kernel, lists: SkbLists) {
    this.#kernel = kernel;
    this.#lists = lists;
    this.#rings = new PtrRingReader(kernel);
    this.#device = new StructReader(kernel, 'tun_struct', ['tfiles', 'numqueues', 'dev']);
    this.#ring = kernel.struct('tun_file')?.member('tx_array') ? 'tx_array.ring' : 'tx_ring';
    const members = ['tun', this.#ring, 'sk.sk_write_queue'] as const;
    this.#file = new StructReader<(typeof members)[number]>(kernel, 'tun_file', members);
    this.#most = this.#device.members.tfiles.count ?? 0;
  }

  ofDevice(device: NetDevice): TunContent {
    const view = this.#device.read(device.privateData);
    const queues = view.number('numqueues');
    if (view.pointer('dev') !== device.address || queues > this.#most) {
      throw damaged(`the tun_struct at ${hex(view.address)} has ${queues} queues`);
    }
    const skbs: bigint[] = [];
    let frames = 0;
    const files = view.addressOf('tfiles');
    for (let index = 0; index < queues; index++) {
      const place = files + BigInt(index * 8);
      const at = pointerPartOf(this.#kernel, 'struct tun_struct', view.address, place);
      const file = this.#file.read(at);
      if (file.pointer('tun') !== view.address) {
        throw damaged(`the tun_file at ${hex(at)} belongs to another device`);
      }
      for (const entry of this.#rings.entries(file.addressOf(this.#ring))) {
        if ((entry & IS_FRAME) === 0n) skbs.push(entry);
        else frames++;
      }
      skbs.push(...this.#lists.ring(file.addressOf('sk.sk_write_queue')));
    }
    return { skbs, frames };
  }
}

/** A ring that passes descriptors between an AF_XDP socket and its process (net/xdp/xsk_queue.h). */
interface XdpRing {
  /** Address of its memory, in the direct map or the vmalloc address space. */
  readonly memory: bigint;
  /** Size of vmalloc'ed memory in bytes; undefined if the memory is one page allocation. */
  readonly vmalloced: number | undefined;
}

/**
 * Maximum size of an entry: `struct xdp_desc`; rings of addresses have 8 bytes per entry
 * (include/uapi/linux/if_xdp.h).
 */
const MAX_ENTRY_BYTES = 16;

/** Maximum size of the header before the entries: two indices and flags, each in separate cache lines. */
const MAX_HEADER_BYTES = 4096;

/**
 * Rings of all AF_XDP sockets, each once (net/xdp/xsk.c): the two of a socket; the two of the buffer pool
 * that it is bound to, which other sockets may share; and before it is bound, those that it will contribute.
 * Since 6.3 they are vmalloc'ed. Empty if the kernel has no AF_XDP.
 */
export function* xdpRings(kernel: Kernel): Generator<XdpRing> {
  const sockets = kernel.struct('net')?.member('xdp.list');
  if (!sockets) return;
  let reader: XdpRingReader | undefined;
  const seen = new Set<bigint>();
  for (const namespace of netNamespaces(kernel)) {
    for (const node of hlistNodes(kernel, namespace + BigInt(sockets.offset))) {
      reader ??= new XdpRingReader(kernel);
      for (const queue of reader.ofNode(node)) {
        if (queue === 0n || seen.has(queue)) continue;
        seen.add(queue);
        yield reader.ring(queue);
      }
    }
  }
}

class XdpRingReader {
  readonly #kernel: Kernel;
  readonly #node;
  readonly #sock;
  readonly #pool;
  readonly #queue;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#node = new StructReader(kernel, 'sock', ['__sk_common.skc_node']);
    this.#sock = new StructReader(kernel, 'xdp_sock', ['rx', 'tx', 'pool', 'fq_tmp', 'cq_tmp']);
    this.#pool = new StructReader(kernel, 'xsk_buff_pool', ['fq', 'cq']);
    this.#queue = new StructReader(kernel, 'xsk_queue', ['nentries', 'ring']);
  }

  /**
   * Addresses of the `struct xsk_queue`s of a socket, by its node in the namespace's list; 0n for a missing
   * one.
   */
  *ofNode(node: bigint): Generator<bigint> {
    const view = this.#sock.read(this.#node.containerOf(node, '__sk_common.skc_node'));
    for (const name of ['rx', 'tx', 'fq_tmp', 'cq_tmp'] as const) yield view.pointer(name);
    const pool = view.pointer('pool');
    if (pool === 0n) return;
    const shared = this.#pool.read(pool);
    yield shared.pointer('fq');
    yield shared.pointer('cq');
  }

  ring(queue: bigint): XdpRing {
    const view = this.#queue.read(queue);
    const memory = view.pointer('ring');
    const size = StructReader.ifPresent(this.#kernel, 'xsk_queue', ['ring_vmalloc_size']);
    if (!size || this.#kernel.pages.pageOf(memory) !== undefined) return { memory, vmalloced: undefined };
    const bytes = size.read(queue).number('ring_vmalloc_size');
    const entries = view.number('nentries');
    const most = entries * MAX_ENTRY_BYTES + MAX_HEADER_BYTES + this.#kernel.facts.pageSize;
    if (bytes > most) {
      throw damaged(`the ring at ${hex(memory)} would have ${bytes} bytes for ${entries} entries`);
    }
    return { memory, vmalloced: bytes };
  }
}
