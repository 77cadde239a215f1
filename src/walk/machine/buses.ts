import type { Kernel } from '../../kernel/kernel.js';
import { listNodes } from '../list.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { textAt } from '../text-at.js';

/** `virtio`, `platform`; names of buses are short. */
const LONGEST_NAME = 32;

/** The list of all buses, or of all classes, and the node of a device in its own list. */
const LISTS = {
  bus: { all: 'bus_kset', node: 'knode_bus.n_node' },
  class: { all: 'class_kset', node: 'knode_class.n_node' },
} as const;

/**
 * Addresses of the `struct device`s of a bus or a class, as the driver core lists them (drivers/base). None
 * also where the kernel does not say where its buses or classes are listed.
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
  // A node of a class lies in the device itself before 5.1.
  const isPrivate = kernel.struct('device_private')?.member(place) !== undefined;
  const device = new StructReader(kernel, isPrivate ? 'device_private' : 'device', [place]);
  const buses = pointerPartOf(kernel, list, all, all);
  for (const link of listNodes(kernel, buses + BigInt(set.offset('list')))) {
    const kobject = object.read(link - BigInt(object.offset('entry')));
    if (textAt(kernel, 'the name', kobject.pointer('name'), LONGEST_NAME) !== name) continue;
    const own = kobject.address - BigInt(set.offset('kobj') + bus.offset('subsys'));
    for (const node of listNodes(kernel, own + BigInt(bus.offset('klist_devices.k_list')))) {
      const address = node - BigInt(device.offset(place));
      yield isPrivate ? owner.read(address).pointer('device') : address;
    }
    return;
  }
}
