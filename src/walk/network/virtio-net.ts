import { damaged, unsupportedLayout } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import type { NetDevice } from './net-devices.js';
import { isSplitRing, receiveBuffers } from './virtqueues.js';

/** Maximum number of queue pairs of a device (VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MAX). */
const MOST_PAIRS = 32_768;

/** Packet memory of virtio_net: direct map addresses, pages, and skbs. */
export interface VirtioNetMemory {
  /** Empty buffers in the receive rings, each a fragment of a page. */
  readonly buffers: readonly bigint[];
  /** Pages that the next buffers will be allocated from: addresses of `struct page`. */
  readonly pages: readonly bigint[];
}

/**
 * Reads the receive rings of a virtio_net device: `receive_queue.vq`, a `vring_virtqueue`, stores each
 * buffer's address (drivers/net/virtio_net.c, drivers/virtio/virtio_ring.c).
 *
 * @throws {KernelError} `unsupported-layout` for unknown types, packed rings, and rings with other contents;
 * {@link ReadError}
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
  ]).read(device.privateData);
  if (info.pointer('dev') !== device.address) {
    throw damaged('its virtnet_info belongs to another device');
  }
  const merging = info.number('mergeable_rx_bufs') !== 0;
  // Big packets without merging use chains of pages instead.
  if (info.number('big_packets') !== 0 && !merging) {
    throw unsupportedLayout('unsupported receive buffers (chains of pages)');
  }
  const queue = new StructReader(kernel, 'receive_queue', ['vq']);
  const cut = StructReader.ifPresent(kernel, 'receive_queue', ['alloc_frag.page']);
  const pairs = info.number('max_queue_pairs');
  // The device was created with this number of queues (virtnet_probe).
  if (pairs > MOST_PAIRS || pairs !== device.queues) {
    throw damaged(`${pairs} queue pairs, ${device.queues} transmit queues`);
  }
  const buffers: bigint[] = [];
  const pages: bigint[] = [];
  for (let index = 0; index < pairs; index++) {
    const at = queue.element(info.pointer('rq'), index);
    buffers.push(...entries(kernel, queue.read(at).pointer('vq'), merging));
    const page = cut?.read(at).pointer('alloc_frag.page') ?? 0n;
    if (page !== 0n) pages.push(page);
  }
  return { buffers, pages };
}

/**
 * Driver data of each pending buffer of a split virtqueue.
 *
 * @param single each buffer takes one descriptor; others may take two
 */
function entries(kernel: Kernel, queue: bigint, single: boolean): bigint[] {
  const layout = kernel.struct('vring_virtqueue');
  const packed = layout?.member('packed_ring') ?? layout?.member('layout');
  // Before 5.0 there is only the split form, and its state follows the struct.
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
  // `packed_ring` is a bool; `layout` (7.1) is an enum in which 0 means split.
  const form = (offset: number): number =>
    readPartOf(kernel, 'struct vring_virtqueue', queue, queue + BigInt(offset), 1).getUint8(0);
  if (packed && form(packed.offset) !== 0) {
    throw unsupportedLayout('unsupported packed virtqueues');
  }
  const view = ring.read(queue);
  const count = view.number(num);
  const desc = view.pointer(descriptors);
  if (!isSplitRing(kernel, count, desc, view.pointer(available), view.pointer(used))) {
    throw damaged(`a virtqueue of ${count} entries has an unexpected layout`);
  }
  const behind = layout?.member('desc_state')?.offset ?? 0;
  const given = split ? view.pointer(states) : queue + BigInt(behind);
  const found: bigint[] = [];
  for (let index = 0; index < count; index++) {
    const data = state.read(state.element(given, index)).pointer('data');
    if (data !== 0n) found.push(data);
  }
  const inUse = count - view.number('vq.num_free');
  if (single && found.length !== inUse) {
    throw damaged(`its ring holds ${found.length} buffers in ${inUse} descriptors`);
  }
  return found;
}
