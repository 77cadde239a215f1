import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { textAt } from '../text-at.js';

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
 * @throws {TornList}; {@link ReadError}; {@link KernelError} `unsupported-layout`
 */
export function* devicesOf(
  kernel: Kernel,
  kind: keyof typeof LISTS,
  name: string,
): Generator<bigint> {
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
