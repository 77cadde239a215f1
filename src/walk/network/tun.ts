import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import type { SkbLists } from '../queues/skb-lists.js';
import { StructReader } from '../struct-reader.js';
import type { NetDevice } from './net-devices.js';
import { PtrRingReader } from './ptr-ring.js';

/** In a pointer of a ring: it is no skb but a `struct xdp_frame` (TUN_XDP_FLAG, linux/if_tun.h). */
const IS_FRAME = 1n;

/** What waits in a tun or tap device. */
export interface TunContent {
  readonly skbs: readonly bigint[];
  /** How many packets are XDP's, which are no skbs. */
  readonly frames: number;
}

/**
 * Packets of a tun or tap device (drivers/net/tun.c): sent, and not read by the process that has it
 * open (`tun_file.tx_ring`, before 4.18 `tx_array`); written by that, and not yet received (`sk_write_queue`).
 */
export class TunReader {
  readonly #kernel: Kernel;
  readonly #lists: SkbLists;
  readonly #rings;
  readonly #device;
  readonly #file;
  readonly #ring: 'tx_ring' | 'tx_array.ring';
  readonly #most: number;

  /** @throws {KernelError} `unsupported-layout`, where the module's types are not known */
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
    const view = this.#device.read(device.own);
    const queues = view.number('numqueues');
    if (view.pointer('dev') !== device.address || queues > this.#most) {
      throw new KernelError(
        'damaged',
        `the tun_struct at ${hex(view.address)} has ${queues} queues`,
      );
    }
    const skbs: bigint[] = [];
    let frames = 0;
    const files = view.addressOf('tfiles');
    for (let index = 0; index < queues; index++) {
      const place = files + BigInt(index * 8);
      const at = pointerPartOf(this.#kernel, 'struct tun_struct', view.address, place);
      const file = this.#file.read(at);
      if (file.pointer('tun') !== view.address) {
        throw new KernelError('damaged', `the tun_file at ${hex(at)} is of another device`);
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
