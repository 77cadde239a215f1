import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { listNodes } from '../list.js';
import { readPartOf } from '../named-read.js';
import { StructReader, type StructView } from '../struct-reader.js';

/** VIRTIO_ID_NET (the virtio specification, "Device Types"). */
const NETWORK_CARD = 1;

/** Entries of a split virtqueue: a power of two, 2^15 at most (the virtio specification). */
const MOST_ENTRIES = 32_768;

/** VIRTQ_DESC_F_WRITE: the device writes into it (ibid.). */
const DEVICE_WRITES = 2;

/** `struct vring` (include/uapi/linux/virtio_ring.h): `num`, and where the three parts of a ring are. */
const VRING = { desc: 8, avail: 16, used: 24, bytes: 32 } as const;

/** In vring_virtqueue behind its `struct vring`: `avail_idx_shadow`, `desc_state`; see findRing. */
const BEHIND = { availIndex: 34, descState: 40, bytes: 48 } as const;

/** `struct vring_desc_state_split`: what the driver gave with a buffer, and a table of descriptors. */
const STATE_BYTES = 16;

/** Bytes behind a `struct virtqueue` in which its ring is looked for; they were 32 so far. */
const SEARCHED = 128;

/** A ring of the split form, as a virtqueue has it. */
export interface SplitRing {
  readonly entries: number;
  readonly desc: bigint;
  readonly avail: bigint;
  /** Of all three parts, from `desc` on (vring_size in include/uapi/linux/virtio_ring.h). */
  readonly bytes: number;
  /** Index of the buffer that was given last, as it counts without end. */
  readonly given: number;
  /** Address of its array of vring_desc_state_split. */
  readonly states: bigint;
}

/**
 * Buffers in the receive rings of a virtio network card, for kernels whose modules bring no types
 * (before 5.11): from the card's `struct virtio_device`, which the kernel image knows, through its
 * list of virtqueues, to rings, which have the virtio specification's form and are known by it. The
 * page that the next buffers are cut from is the one of the buffer given last.
 *
 * @param parent `net_device.dev.parent`
 * @throws {KernelError} `unsupported-layout`, `damaged`; {@link ReadError}
 */
export function receiveBuffers(kernel: Kernel, parent: bigint): bigint[] {
  const reader = new StructReader(kernel, 'virtio_device', ['dev', 'id.device']);
  const device = reader.read(parent - BigInt(reader.offset('dev')));
  if (device.number('id.device') !== NETWORK_CARD) {
    throw new KernelError('unsupported-layout', 'it sits on no virtio network card');
  }
  const found: bigint[] = [];
  let rings = 0;
  for (const queue of virtqueues(kernel, device.address)) {
    // virtnet_find_vqs calls them input.N, output.N and control.
    if (!/^input\.\d+$/.test(nameOf(kernel, queue.pointer('name')))) continue;
    rings++;
    const ring = findRing(kernel, queue.address);
    found.push(...buffers(kernel, ring, queue));
  }
  if (rings === 0) throw new KernelError('unsupported-layout', 'it has no virtqueue called input');
  return found;
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
 * @throws {KernelError} `damaged`; {@link ReadError}
 */
export function* virtqueues(kernel: Kernel, device: bigint): Generator<Virtqueue> {
  const reader = new StructReader(kernel, 'virtio_device', ['vqs']);
  const queues = new StructReader(kernel, 'virtqueue', ['list', 'name', 'vdev', 'num_free']);
  for (const node of listNodes(kernel, device + BigInt(reader.offset('vqs')))) {
    const queue = queues.read(node - BigInt(queues.offset('list')));
    if (queue.pointer('vdev') !== device) {
      throw new KernelError('damaged', 'a virtqueue of another device is among its own');
    }
    yield queue;
  }
}

/**
 * The ring of a virtqueue that is followed by a copy of the index in its available ring.
 */
function findRing(kernel: Kernel, queue: bigint): SplitRing {
  for (const ring of splitRings(kernel, queue))
    if (numberInRing(kernel, ring.avail, ring.avail + 2n) === ring.given) return ring;
  throw new KernelError('unsupported-layout', 'no split ring was found behind its virtqueue');
}

/**
 * What may be the ring of a virtqueue: where descriptors, available and used ring lie behind each other
 * as the specification wants it.
 *
 * @param queue address of its `struct virtqueue`
 * @throws {ReadError}
 */
export function* splitRings(kernel: Kernel, queue: bigint): Generator<SplitRing> {
  const from = queue + BigInt(new StructReader(kernel, 'virtqueue', ['list']).size);
  const view = readPartOf(kernel, 'the virtqueue', from, from, SEARCHED + BEHIND.bytes);
  for (let at = 0; at < SEARCHED; at += 8) {
    const entries = view.getUint32(at, true);
    const pointer = (offset: number) => view.getBigUint64(at + offset, true);
    const [desc, avail, used] = [pointer(VRING.desc), pointer(VRING.avail), pointer(VRING.used)];
    if (!isSplitRing(kernel, entries, desc, avail, used)) continue;
    const given = view.getUint16(at + BEHIND.availIndex, true);
    // Flags, index and an event are 2 bytes each, an entry of the used ring 8.
    const bytes = Number(used - desc) + 6 + 8 * entries;
    yield { entries, desc, avail, bytes, given, states: pointer(BEHIND.descState) };
  }
}

/** Whether the three parts of a split ring lie as that number of entries makes them lie. */
export function isSplitRing(
  kernel: Kernel,
  entries: number,
  desc: bigint,
  avail: bigint,
  used: bigint,
): boolean {
  if (entries === 0 || entries > MOST_ENTRIES || (entries & (entries - 1)) !== 0) return false;
  // 16 bytes a descriptor; flags, index, two bytes an entry and used_event; used is aligned.
  if (desc === 0n || avail !== desc + BigInt(16 * entries)) return false;
  const gap = used - avail - BigInt(2 * entries + 6);
  return gap >= 0n && gap < BigInt(kernel.facts.pageSize) && used % 4n === 0n;
}

function numberInRing(kernel: Kernel, ring: bigint, address: bigint): number {
  return readPartOf(kernel, 'the ring', ring, address, 2).getUint16(0, true);
}

/** What the driver gave with each buffer under way; a receive buffer takes one descriptor. */
function buffers(kernel: Kernel, ring: SplitRing, queue: StructView<'num_free'>): bigint[] {
  const { entries, states } = ring;
  const found = new Map<number, bigint>();
  const given = readPartOf(kernel, 'the ring', states, states, entries * STATE_BYTES);
  const descriptors = readPartOf(kernel, 'the ring', ring.desc, ring.desc, entries * 16);
  for (let index = 0; index < entries; index++) {
    const data = given.getBigUint64(index * STATE_BYTES, true);
    if (data === 0n) continue;
    const isWritten = (descriptors.getUint16(index * 16 + 12, true) & DEVICE_WRITES) !== 0;
    if (!isWritten || kernel.pages.pageOf(data) === undefined) {
      throw new KernelError('unsupported-layout', 'its rings hold something else than buffers');
    }
    found.set(index, data);
  }
  const used = entries - queue.number('num_free');
  if (found.size !== used) {
    const message = `its ring holds ${found.size} buffers in ${used} descriptors`;
    throw new KernelError('unsupported-layout', message);
  }
  // struct vring_avail: flags and index, both u16, then the entries.
  const last = ring.avail + BigInt(4 + 2 * ((ring.given - 1) & (entries - 1)));
  if (!found.has(numberInRing(kernel, ring.avail, last))) {
    const message = 'its ring is drained: the current buffer page is unknown';
    throw new KernelError('unsupported-layout', message);
  }
  return [...found.values()];
}
