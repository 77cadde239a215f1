import { damaged, unsupportedLayout } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { StructReader, type StructView } from '../struct-reader.js';
import type { NetDevice } from './net-devices.js';

/** VIRTIO_ID_NET (the virtio specification, "Device Types"). */
const NETWORK_CARD = 1;

/**
 * Maximum number of entries of a split virtqueue: 2^15, and always a power of two (the virtio specification).
 */
const MAX_ENTRIES = 32_768;

/** VIRTQ_DESC_F_WRITE: the device writes to the buffer (ibid.). */
const DEVICE_WRITES = 2;

/**
 * `struct vring` (include/uapi/linux/virtio_ring.h): it begins with `num`. Offsets of the pointers to the
 * three parts of a ring, and its size.
 */
const VRING = { desc: 8, avail: 16, used: 24, bytes: 32 } as const;

/**
 * Offsets of `avail_idx_shadow` and `desc_state` in vring_virtqueue, from its `struct vring`; see findRing.
 */
const AFTER_VRING = { availIndex: 34, descState: 40, bytes: 48 } as const;

/** `struct vring_desc_state_split`: the driver's data of a buffer, and a table of descriptors. */
const STATE_BYTES = 16;

/** Bytes after a `struct virtqueue` that are searched for its ring; known kernels need 32. */
const SEARCHED = 128;

/** A split ring of a virtqueue. */
export interface SplitRing {
  readonly entries: number;
  readonly desc: bigint;
  readonly avail: bigint;
  /** Size of all three parts, from `desc` on (vring_size, include/uapi/linux/virtio_ring.h). */
  readonly bytes: number;
  /** Number of buffers that the driver has added, modulo 2^16 (`avail_idx_shadow`). */
  readonly addedCount: number;
  /** Address of its array of vring_desc_state_split. */
  readonly states: bigint;
}

/**
 * Buffers in the receive rings of a virtio network card, for kernels whose modules have no types (before
 * 5.11). The walk begins at the card's `struct virtio_device`, a type of the kernel image, and follows its
 * list of virtqueues to the rings, which are recognized by the layout in the virtio specification. The page
 * that the next buffers will be allocated from is that of the last buffer added.
 *
 * @param parent `net_device.dev.parent`
 */
export function receiveBuffers(kernel: Kernel, parent: bigint): bigint[] {
  const reader = new StructReader(kernel, 'virtio_device', ['dev', 'id.device']);
  const device = reader.readContainer(parent, 'dev');
  if (device.number('id.device') !== NETWORK_CARD) {
    throw unsupportedLayout('its device is not a virtio network device');
  }
  const posted: bigint[] = [];
  let rings = 0;
  for (const queue of virtqueues(kernel, device.address)) {
    // virtnet_find_vqs names them input.N, output.N and control.
    if (!/^input\.\d+$/.test(nameOf(kernel, queue.pointer('name')))) continue;
    rings++;
    const ring = findRing(kernel, queue.address);
    posted.push(...buffers(kernel, ring, queue));
  }
  if (rings === 0) throw unsupportedLayout('it has no virtqueue named input');
  return posted;
}

function nameOf(kernel: Kernel, address: bigint): string {
  const view = readPartOf(kernel, 'the name', address, address, 8);
  const bytes = Array.from({ length: 8 }, (_, index) => view.getUint8(index));
  const end = bytes.indexOf(0);
  return String.fromCharCode(...bytes.slice(0, end < 0 ? 8 : end));
}

type Virtqueue = StructView<'list' | 'name' | 'vdev' | 'num_free'>;

/**
 * Virtqueues of a device.
 *
 * @param device address of its `struct virtio_device`
 */
export function* virtqueues(kernel: Kernel, device: bigint): Generator<Virtqueue> {
  const reader = new StructReader(kernel, 'virtio_device', ['vqs']);
  const queues = new StructReader(kernel, 'virtqueue', ['list', 'name', 'vdev', 'num_free']);
  for (const queue of queues.entries(reader.addressOf(device, 'vqs'), 'list')) {
    if (queue.pointer('vdev') !== device) {
      throw damaged('one of its virtqueues belongs to another device');
    }
    yield queue;
  }
}

/**
 * Finds the ring of a virtqueue: the candidate that is followed by a copy of the index in its available ring.
 */
function findRing(kernel: Kernel, queue: bigint): SplitRing {
  for (const ring of splitRings(kernel, queue))
    if (numberInRing(kernel, ring.avail, ring.avail + 2n) === ring.addedCount) return ring;
  throw unsupportedLayout('its virtqueue has no split ring');
}

/**
 * Candidates for the ring of a virtqueue: descriptors, available and used ring in the layout of the
 * specification.
 *
 * @param queue address of its `struct virtqueue`
 */
export function* splitRings(kernel: Kernel, queue: bigint): Generator<SplitRing> {
  const from = queue + BigInt(new StructReader(kernel, 'virtqueue', ['list']).size);
  const view = readPartOf(kernel, 'the virtqueue', from, from, SEARCHED + AFTER_VRING.bytes);
  for (let at = 0; at < SEARCHED; at += 8) {
    const entries = view.getUint32(at, true);
    const pointer = (offset: number) => view.getBigUint64(at + offset, true);
    const [desc, avail, used] = [pointer(VRING.desc), pointer(VRING.avail), pointer(VRING.used)];
    if (!isSplitRing(kernel, entries, desc, avail, used)) continue;
    const given = view.getUint16(at + AFTER_VRING.availIndex, true);
    // Flags, index and event have 2 bytes each, and an entry of the used ring has 8.
    const bytes = Number(used - desc) + 6 + 8 * entries;
    yield { entries, desc, avail, bytes, addedCount: given, states: pointer(AFTER_VRING.descState) };
  }
}

/** Whether the positions of the three parts fit that number of entries. */
export function isSplitRing(kernel: Kernel, entries: number, desc: bigint, avail: bigint, used: bigint): boolean {
  if (entries === 0 || entries > MAX_ENTRIES || (entries & (entries - 1)) !== 0) return false;
  // A descriptor has 16 bytes. The available ring has flags, index, 2 bytes per entry, and used_event. The
  // used ring is aligned.
  if (desc === 0n || avail !== desc + BigInt(16 * entries)) return false;
  const gap = used - avail - BigInt(2 * entries + 6);
  return gap >= 0n && gap < BigInt(kernel.facts.pageSize) && used % 4n === 0n;
}

function numberInRing(kernel: Kernel, ring: bigint, address: bigint): number {
  return readPartOf(kernel, 'the ring', ring, address, 2).getUint16(0, true);
}

/** Driver data of each pending buffer; a receive buffer takes one descriptor. */
function buffers(kernel: Kernel, ring: SplitRing, queue: StructView<'num_free'>): bigint[] {
  const { entries, states } = ring;
  const byIndex = new Map<number, bigint>();
  const given = readPartOf(kernel, 'the ring', states, states, entries * STATE_BYTES);
  const descriptors = readPartOf(kernel, 'the ring', ring.desc, ring.desc, entries * 16);
  for (let index = 0; index < entries; index++) {
    const data = given.getBigUint64(index * STATE_BYTES, true);
    if (data === 0n) continue;
    const isWritten = (descriptors.getUint16(index * 16 + 12, true) & DEVICE_WRITES) !== 0;
    if (!isWritten || kernel.pages.pageOf(data) === undefined) {
      throw unsupportedLayout('its rings contain unsupported entries');
    }
    byIndex.set(index, data);
  }
  const used = entries - queue.number('num_free');
  if (byIndex.size !== used) {
    throw unsupportedLayout(`its ring holds ${byIndex.size} buffers in ${used} descriptors`);
  }
  // struct vring_avail: flags and index, both u16, then the entries.
  const last = ring.avail + BigInt(4 + 2 * ((ring.addedCount - 1) & (entries - 1)));
  if (!byIndex.has(numberInRing(kernel, ring.avail, last))) {
    throw unsupportedLayout('its ring is drained: the current buffer page is unknown');
  }
  return [...byIndex.values()];
}

/** Maximum number of queue pairs of a device (VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MAX). */
const MAX_PAIRS = 32_768;

/** Packet memory of virtio_net: direct map addresses, pages, and skbs. */
interface VirtioNetMemory {
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
  if (pairs > MAX_PAIRS || pairs !== device.queues) {
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
  const state = new StructReader(kernel, split ? 'vring_desc_state_split' : 'vring_desc_state', ['data']);
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
  const addresses: bigint[] = [];
  for (let index = 0; index < count; index++) {
    const data = state.read(state.element(given, index)).pointer('data');
    if (data !== 0n) addresses.push(data);
  }
  const inUse = count - view.number('vq.num_free');
  if (single && addresses.length !== inUse) {
    throw damaged(`its ring holds ${addresses.length} buffers in ${inUse} descriptors`);
  }
  return addresses;
}
