import { damaged, readOrNot } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { listNodes } from '../list.js';
import { pointerPartOf } from '../named-read.js';
import { memberOf, struct } from '../pages/struct-page.js';
import { StructReader, textAt } from '../struct-reader.js';
import { XarrayReader } from '../trees.js';

/** Maximum order of the blocks that contain requests (`max_order` of blk_mq_alloc_rqs in block/blk-mq.c). */
const MAX_ORDER = 4;

/**
 * Frames of the preallocated requests of block devices, one request per tag of a queue and of its scheduler.
 * Their order-N blocks are not compound pages: they are listed by their first pages, whose `private` is the
 * order. Empty if the kernel's list of device classes is unknown, and for an extract that lacks that list.
 */
export function* blockRequestFrames(kernel: Kernel): Generator<number> {
  const classes = kernel.symbol('class_kset');
  if (classes === undefined || !readOrNot(() => kernel.read(classes, 8))) return;
  const seen = new Set<bigint>([0n]);
  const isNew = (address: bigint) => !seen.has(address) && Boolean(seen.add(address));
  const page = struct(kernel, 'page');
  const [link, order] = [BigInt(memberOf(page, 'lru').offset), memberOf(page, 'private').offset];
  const at = new Pointer();
  for (const { queue } of disksOf(kernel)) {
    if (!isNew(queue)) continue;
    for (const tags of tagsOf(kernel, queue)) {
      if (!isNew(tags)) continue;
      const list = BigInt(new StructReader(kernel, 'blk_mq_tags', ['page_list']).offset('page_list'));
      for (const node of listNodes(kernel, tags + list)) {
        const first = node - link;
        const size = pointerPartOf(kernel, 'struct page', first, first + BigInt(order));
        const frame = kernel.pages.frameOfPage(at.set(first));
        if (size > MAX_ORDER || kernel.pages.addressOfPage(first) === undefined)
          throw damaged(`requests of a block device lie in a block of order ${size}`);
        for (let index = 0; index < 2 ** Number(size); index++) yield frame + index;
      }
    }
  }
}

/** Addresses of a `struct gendisk` and its `struct request_queue`. */
interface Disk {
  readonly disk: bigint;
  readonly queue: bigint;
}

/** All disks. They may repeat, because partitions share the queue of their disk. */
export function* disksOf(kernel: Kernel): Generator<Disk> {
  const disk = new StructReader(kernel, 'gendisk', ['queue', 'part0']);
  // Since 5.11 a partition is a block_device that points to its disk; before, the first one is embedded in
  // the disk.
  const device = StructReader.ifPresent(kernel, 'block_device', ['bd_device', 'bd_disk']);
  const part = device ? undefined : new StructReader(kernel, 'hd_struct', ['__dev', 'partno']);
  for (const address of devicesOf(kernel, 'class', 'block')) {
    if (device) {
      const own = device.readContainer(address, 'bd_device').pointer('bd_disk');
      yield { disk: own, queue: disk.read(own).pointer('queue') };
    } else if (part) {
      const view = part.readContainer(address, '__dev');
      if (view.number('partno') !== 0) continue;
      const own = disk.readContainer(view.address, 'part0');
      yield { disk: own.address, queue: own.pointer('queue') };
    }
  }
}

/** Addresses of the `struct blk_mq_tags` of a queue, some more than once; none for a queue without tags. */
function* tagsOf(kernel: Kernel, queue: bigint): Generator<bigint> {
  const set = new StructReader(kernel, 'request_queue', ['tag_set']);
  const own = set.read(queue);
  if (own.pointer('tag_set') === 0n) return;
  const reader = new StructReader(kernel, 'blk_mq_tag_set', ['tags', 'nr_hw_queues']);
  const tagSet = reader.read(own.pointer('tag_set'));
  const array = tagSet.pointer('tags');
  for (let index = 0; index < tagSet.number('nr_hw_queues'); index++)
    yield pointerPartOf(kernel, 'the tags of a block device', array, array + BigInt(8 * index));
  const context = new StructReader(kernel, 'blk_mq_hw_ctx', ['sched_tags']);
  for (const hctx of hardwareQueues(kernel, queue)) yield context.read(hctx).pointer('sched_tags');
}

/** Maximum number of hardware queues of a device: there is at most one for each CPU. */
const MAX_QUEUES = 8192;

/** Addresses of the `struct blk_mq_hw_ctx` of a queue with tags. */
export function* hardwareQueues(kernel: Kernel, queue: bigint): Generator<bigint> {
  const count = new StructReader(kernel, 'request_queue', ['nr_hw_queues']).read(queue).number('nr_hw_queues');
  if (count > MAX_QUEUES) throw damaged(`a block device has ${count} hardware queues`);
  const contexts = contextsOf(kernel, queue);
  for (let index = 0; index < count; index++) {
    const hctx = contexts(index);
    if (hctx !== 0n) yield hctx;
  }
}

/**
 * Returns a lookup of a queue's hardware contexts by index: in an array, or an xarray (5.18 to about 7.0).
 */
function contextsOf(kernel: Kernel, queue: bigint): (index: number) => bigint {
  if (kernel.struct('request_queue')?.member('hctx_table')) {
    const table = new StructReader(kernel, 'request_queue', ['hctx_table.xa_head']);
    const head = table.read(queue).pointer('hctx_table.xa_head');
    const entries = new XarrayReader(kernel);
    return (index) => entries.load(head, BigInt(index));
  }
  const array = new StructReader(kernel, 'request_queue', ['queue_hw_ctx']).read(queue).pointer('queue_hw_ctx');
  return (index) => pointerPartOf(kernel, 'the contexts of a block device', array, array + BigInt(8 * index));
}

/** Maximum length of a bus name, such as `virtio` or `platform`. */
const LONGEST_NAME = 32;

/** Symbol of the list of all buses or classes, and the member that links a device into its list. */
const LISTS = {
  bus: { all: 'bus_kset', node: 'knode_bus.n_node' },
  class: { all: 'class_kset', node: 'knode_class.n_node' },
} as const;

/**
 * Yields the addresses of the `struct device`s of a bus or a class, as listed by the driver core
 * (drivers/base). Yields none if the kernel has no symbol for its list of buses or classes.
 *
 * @param name as in /sys/bus or /sys/class
 */
export function* devicesOf(kernel: Kernel, kind: keyof typeof LISTS, name: string): Generator<bigint> {
  const { all: list, node: place } = LISTS[kind];
  const all = kernel.symbol(list);
  if (all === undefined) return;
  const set = new StructReader(kernel, 'kset', ['list', 'kobj']);
  const object = new StructReader(kernel, 'kobject', ['name', 'entry']);
  const bus = new StructReader(kernel, 'subsys_private', ['subsys', 'klist_devices.k_list']);
  const owner = new StructReader(kernel, 'device_private', ['device']);
  // Before 5.1 a node of a class is in the device itself.
  const isPrivate = kernel.struct('device_private')?.member(place) !== undefined;
  const device = new StructReader(kernel, isPrivate ? 'device_private' : 'device', [place]);
  const buses = pointerPartOf(kernel, list, all, all);
  for (const kobject of object.entries(set.addressOf(buses, 'list'), 'entry')) {
    if (textAt(kernel, 'the name', kobject.pointer('name'), LONGEST_NAME) !== name) continue;
    const own = bus.containerOf(set.containerOf(kobject.address, 'kobj'), 'subsys');
    const devices = bus.addressOf(own, 'klist_devices.k_list');
    for (const address of device.entryAddresses(devices, place)) {
      yield isPrivate ? owner.read(address).pointer('device') : address;
    }
    return;
  }
}
