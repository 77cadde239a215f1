import { damaged, KernelError, readOrNot, WalkError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../cpus.js';
import { readPartOf } from '../named-read.js';
import { decodeText, StructReader } from '../struct-reader.js';
import { refuseKernelThread } from '../tasks/files.js';
import { findTask } from '../tasks/task-table.js';
import { incompleteness } from '../warnings.js';

/** A network device in any namespace. */
export interface NetDevice {
  /** Address of its `struct net_device`. */
  readonly address: bigint;
  /** Name, such as `eth0`; untrusted. */
  readonly name: string;
  /** Number of transmit queues: `num_tx_queues`. */
  readonly queues: number;
  /** Start of its array of `struct netdev_queue`. */
  readonly firstQueue: bigint;
  /** Address of its parent `struct device`; 0n for a software device. */
  readonly parent: bigint;
  /**
   * Driver of the parent device, such as `virtio_net`; undefined for a software device, and {@link NO_DRIVER}
   * if none is bound.
   */
  readonly driver: string | undefined;
  /** Address of the driver's private data (netdev_priv). */
  readonly privateData: bigint;
}

/** Driver name of a device without a bound driver. */
export const NO_DRIVER = 'no driver';

/**
 * NETDEV_ALIGN: alignment of the driver's private data while `net_device` has no member for it (up to 6.9).
 */
const PRIVATE_ALIGN = 32;

/** Maximum number of transmit queues: `alloc_netdev_mqs` is limited by u16 indices. */
const MAX_QUEUES = 65_536;

export function* netDevices(kernel: Kernel): Generator<NetDevice> {
  const net = new StructReader(kernel, 'net', ['dev_base_head']);
  const device = new StructReader(kernel, 'net_device', ['name', 'dev_list', 'num_tx_queues', '_tx', 'dev.parent']);
  const layout = kernel.struct('net_device');
  const own = layout?.member('priv')?.offset ?? align(device.size, PRIVATE_ALIGN);
  for (const namespace of netNamespaces(kernel)) {
    for (const view of device.entries(net.addressOf(namespace, 'dev_base_head'), 'dev_list')) {
      const queues = view.number('num_tx_queues');
      if (queues > MAX_QUEUES) throw damaged(`${queues} transmit queues`);
      const parent = view.pointer('dev.parent');
      if (parent === 0n && sitsOnDevice(kernel, view.address)) {
        throw damaged(`the device at ${hex(view.address)} has no valid parent`);
      }
      yield {
        address: view.address,
        name: view.text('name'),
        queues,
        firstQueue: view.pointer('_tx'),
        parent,
        driver: driverOf(kernel, parent),
        privateData: view.address + BigInt(own),
      };
    }
  }
}

/**
 * Whether sysfs has a network device below another device: in the directory `net` of that device, instead of
 * `virtual` for software devices (get_device_parent in drivers/base/core.c). False if the dump lacks the
 * structures.
 */
function sitsOnDevice(kernel: Kernel, address: bigint): boolean {
  const kobject = kernel.struct('kobject');
  if (!kobject?.member('parent') || !kernel.struct('net_device')?.member('dev.kobj.parent')) return false;
  const isBelow = readOrNot(() => {
    const device = new StructReader(kernel, 'net_device', ['dev.kobj.parent']);
    const folder = device.read(address).pointer('dev.kobj.parent');
    const reader = new StructReader(kernel, 'kobject', ['parent', 'name']);
    if (folder === 0n) return false;
    const above = reader.read(folder).pointer('parent');
    if (above === 0n) return false;
    const name = reader.read(above).pointer('name');
    const text = decodeText(readPartOf(kernel, 'the name', name, name, 8), 0, 8);
    return text !== 'virtual';
  });
  return isBelow ?? false;
}

function driverOf(kernel: Kernel, parent: bigint): string | undefined {
  if (parent === 0n) return undefined;
  const device = new StructReader(kernel, 'device', ['driver', 'bus']).read(parent);
  const at = device.pointer('driver');
  if (at === 0n) return NO_DRIVER;
  const driver = new StructReader(kernel, 'device_driver', ['name', 'bus']).read(at);
  // The bus that driver_register adds the driver to; it binds only to devices on that bus
  // (drivers/base/bus.c).
  if (driver.pointer('bus') !== device.pointer('bus')) {
    throw damaged(`the driver at ${hex(at)} belongs to another bus than its device`);
  }
  // Module names are shorter than this, and so are driver names.
  const name = driver.pointer('name');
  return decodeText(readPartOf(kernel, 'the name', name, name, 64), 0, 64);
}

function align(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}

/** Addresses of the `struct net` of every network namespace (net/core/net_namespace.c). */
export function* netNamespaces(kernel: Kernel): Generator<bigint> {
  const net = new StructReader(kernel, 'net', ['list']);
  yield* net.entryAddresses(needSymbol(kernel, 'net_namespace_list'), 'list');
}

/** Restrictions of an answer. */
export interface Targets {
  readonly pid?: number | undefined;
  /** Inode number of a network namespace. */
  readonly netns?: number | undefined;
}

/**
 * Ensures that a process or network namespace exists. Unreadable data is ignored: the answer reports it.
 *
 * @throws {WalkError} `no-such-pid`, `kernel-thread`, `no-such-netns`
 */
export function checkTargets(kernel: Kernel, { pid, netns }: Targets): void {
  if (pid !== undefined) ifReadable(() => refuseKernelThread(findTask(kernel, pid)));
  if (netns !== undefined) ifReadable(() => findNetns(kernel, netns));
}

function findNetns(kernel: Kernel, inode: number): void {
  const reader = new StructReader(kernel, 'net', ['ns.inum']);
  let count = 0;
  for (const address of netNamespaces(kernel)) {
    if (reader.read(address).number('ns.inum') === inode) return;
    count++;
  }
  throw new WalkError(
    'no-such-netns',
    `network namespace ${inode} not found among ${count}: kdump-mem sockets --by netns lists them`,
  );
}

function ifReadable(find: () => void): void {
  try {
    find();
  } catch (error) {
    if (error instanceof WalkError) throw error;
    // For example, the kernel lacks the symbol of the list.
    if (!(error instanceof KernelError)) incompleteness(error);
  }
}
