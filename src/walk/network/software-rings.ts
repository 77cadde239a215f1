import { damaged } from '../../base/errors.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { PtrRingReader } from '../ptr-ring.js';
import type { SkbLists } from '../queues/skb-lists.js';
import { decodeText, StructReader } from '../struct-reader.js';
import type { NetDevice } from './net-devices.js';
import { hasNapi } from './softnet.js';

const KINDS: readonly string[] = ['tun', 'macvtap', 'ipvtap', 'veth'];

/**
 * Software devices with packets in rings, by kind. `veth` devices only if they have NAPI instances: others do
 * not use their rings (drivers/net/veth.c).
 *
 * @throws {KernelError}, {@link ReadError}
 */
export function devicesWithRings(
  kernel: Kernel,
  devices: readonly NetDevice[],
): Map<string, NetDevice[]> {
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

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#device = new StructReader(kernel, 'net_device', ['rtnl_link_ops']);
    this.#ops = new StructReader(kernel, 'rtnl_link_ops', ['kind']);
  }

  /**
   * `tun`, `veth` (`rtnl_link_ops.kind`); undefined without a kind; untrusted.
   *
   * @throws {ReadError}
   */
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

  /** @throws {KernelError} `damaged`; {@link TornList}; {@link ReadError} */
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
