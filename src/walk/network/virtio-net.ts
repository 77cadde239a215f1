import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import type { NetDevice } from './net-devices.js';
import { isSplitRing, receiveBuffers } from './virtqueues.js';

/** Queue pairs of a device (VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MAX). */
const MOST_PAIRS = 32_768;

/** What virtio_net holds of memory for packets: addresses in the direct map, of pages, of skbs. */
export interface VirtioNetMemory {
  /** Buffers that wait in the receive rings to be filled, each a fragment of a page. */
  readonly buffers: readonly bigint[];
  /** Pages that the next buffers will be cut from: addresses of `struct page`. */
  readonly pages: readonly bigint[];
}

/**
 * The receive rings of a virtio_net device: `receive_queue.vq`, a `vring_virtqueue`, remembers each
 * buffer's address (drivers/net/virtio_net.c, drivers/virtio/virtio_ring.c).
 *
 * @throws {KernelError} `unsupported-layout` for types that are not known, and for packed rings and
 *   rings of other contents; {@link ReadError}
 */
export function virtioNetMemory(kernel: Kernel, device: NetDevice): VirtioNetMemory {
  if (!kernel.struct('virtnet_info')) {
    return { buffers: receiveBuffers(kernel, device.parent), pages: [] };
  }
  const info = new StructReader(kernel, 'virtnet_info', [
    'dev',
    'rq',
    'max_queue_pairs',
    'mergeable_rx_bufs',
    'big_packets',
  ]).read(device.own);
  if (info.pointer('dev') !== device.address) {
    throw new KernelError('damaged', 'its virtnet_info is of another device');
  }
  const merging = info.number('mergeable_rx_bufs') !== 0;
  // Big packets without merging are chains of pages instead.
  if (info.number('big_packets') !== 0 && !merging) {
    throw new KernelError('unsupported-layout', 'its rings hold chains of pages');
  }
  const queue = new StructReader(kernel, 'receive_queue', ['vq']);
  const cut = kernel.struct('receive_queue')?.member('alloc_frag.page');
  const pairs = info.number('max_queue_pairs');
  // The device was made for as many (virtnet_probe).
  if (pairs > MOST_PAIRS || pairs !== device.queues) {
    throw new KernelError('damaged', `${pairs} queue pairs, ${device.queues} transmit queues`);
  }
  const buffers: bigint[] = [];
  const pages: bigint[] = [];
  for (let index = 0; index < pairs; index++) {
    const at = info.pointer('rq') + BigInt(index * queue.size);
    buffers.push(...entries(kernel, queue.read(at).pointer('vq'), merging));
    if (!cut) continue;
    const page = pointerPartOf(kernel, 'struct receive_queue', at, at + BigInt(cut.offset));
    if (page !== 0n) pages.push(page);
  }
  return { buffers, pages };
}

/**
 * What the driver gave with each buffer of a split virtqueue that is under way.
 *
 * @param single each buffer takes one descriptor; others may take two
 */
function entries(kernel: Kernel, queue: bigint, single: boolean): bigint[] {
  const layout = kernel.struct('vring_virtqueue');
  const packed = layout?.member('packed_ring') ?? layout?.member('layout');
  // Before 5.0 there is no other form than split, and what was given lies behind the struct.
  const split = layout?.member('split.vring') ? 'split.' : '';
  const states = `${split}desc_state` as const;
  const [num, descriptors, available, used] = [
    `${split}vring.num`,
    `${split}vring.desc`,
    `${split}vring.avail`,
    `${split}vring.used`,
  ] as const;
  const ring = new StructReader(kernel, 'vring_virtqueue', [
    'vq.num_free',
    num,
    descriptors,
    available,
    used,
    ...(split ? [states] : []),
  ]);
  const state = new StructReader(kernel, split ? 'vring_desc_state_split' : 'vring_desc_state', [
    'data',
  ]);
  // `packed_ring` is a bool; `layout` (7.1) an enum in which 0 is split.
  const form = (offset: number): number =>
    readPartOf(kernel, 'struct vring_virtqueue', queue, queue + BigInt(offset), 1).getUint8(0);
  if (packed && form(packed.offset) !== 0) {
    throw new KernelError('unsupported-layout', 'its rings are of the packed form');
  }
  const view = ring.read(queue);
  const count = view.number(num);
  const desc = view.pointer(descriptors);
  if (!isSplitRing(kernel, count, desc, view.pointer(available), view.pointer(used))) {
    throw new KernelError('damaged', `a virtqueue of ${count} entries, whose parts lie otherwise`);
  }
  const behind = layout?.member('desc_state')?.offset ?? 0;
  const given = split ? view.pointer(states) : queue + BigInt(behind);
  const found: bigint[] = [];
  for (let index = 0; index < count; index++) {
    const at = given + BigInt(index * state.size);
    const data = state.read(at).pointer('data');
    if (data !== 0n) found.push(data);
  }
  const taken = count - view.number('vq.num_free');
  if (single && found.length !== taken) {
    const message = `its ring holds ${found.length} buffers in ${taken} descriptors`;
    throw new KernelError('damaged', message);
  }
  return found;
}
