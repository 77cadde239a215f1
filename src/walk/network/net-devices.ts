import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { listNodes } from '../list.js';
import { readPartOf } from '../named-read.js';
import { decodeText, StructReader } from '../struct-reader.js';
import { netNamespaces } from './net-namespaces.js';

/** A network device of any namespace. */
export interface NetDevice {
  /** Address of its `struct net_device`. */
  readonly address: bigint;
  /** `eth0`; hostile. */
  readonly name: string;
  /** Transmit queues: `num_tx_queues`. */
  readonly queues: number;
  /** Of its array of `struct netdev_queue`. */
  readonly firstQueue: bigint;
  /** Address of the `struct device` that it sits on; 0n for what is software alone. */
  readonly parent: bigint;
  /**
   * The driver of the device that it sits on, `virtio_net`; undefined for what is software alone, and
   * {@link NO_DRIVER} where none is bound to it.
   */
  readonly driver: string | undefined;
  /** Address of the driver's own part (netdev_priv). */
  readonly own: bigint;
}

/** In place of a driver's name. */
export const NO_DRIVER = 'no driver';

/** NETDEV_ALIGN: where a driver's part follows, while `net_device` has no member for it (to 6.9). */
const PRIVATE_ALIGN = 32;

/** A device cannot have more transmit queues: `alloc_netdev_mqs` takes what u16 indices reach. */
const MOST_QUEUES = 65_536;

/** @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link ReadError} */
export function* netDevices(kernel: Kernel): Generator<NetDevice> {
  const net = new StructReader(kernel, 'net', ['dev_base_head']);
  const device = new StructReader(kernel, 'net_device', [
    'name',
    'dev_list',
    'num_tx_queues',
    '_tx',
    'dev.parent',
  ]);
  const layout = kernel.struct('net_device');
  const own = layout?.member('priv')?.offset ?? align(device.size, PRIVATE_ALIGN);
  const devices = BigInt(net.offset('dev_base_head'));
  for (const namespace of netNamespaces(kernel)) {
    for (const link of listNodes(kernel, namespace + devices)) {
      const view = device.read(link - BigInt(device.offset('dev_list')));
      const queues = view.number('num_tx_queues');
      if (queues > MOST_QUEUES) throw new KernelError('damaged', `${queues} transmit queues`);
      const parent = view.pointer('dev.parent');
      if (parent === 0n && sitsOnDevice(kernel, view.address)) {
        throw new KernelError('damaged', `the device at ${hex(view.address)} has lost its parent`);
      }
      yield {
        address: view.address,
        name: view.text('name'),
        queues,
        firstQueue: view.pointer('_tx'),
        parent,
        driver: driverOf(kernel, parent),
        own: view.address + BigInt(own),
      };
    }
  }
}

/**
 * Whether sysfs has a network device below another device: it lies in a folder `net`, and that in the
 * device's own or, for what is software alone, in `virtual` (get_device_parent in drivers/base/core.c).
 * False where a dump lacks what tells.
 */
function sitsOnDevice(kernel: Kernel, address: bigint): boolean {
  const kobject = kernel.struct('kobject');
  if (!kobject?.member('parent') || !kernel.struct('net_device')?.member('dev.kobj.parent'))
    return false;
  try {
    const device = new StructReader(kernel, 'net_device', ['dev.kobj.parent']);
    const folder = device.read(address).pointer('dev.kobj.parent');
    const reader = new StructReader(kernel, 'kobject', ['parent', 'name']);
    if (folder === 0n) return false;
    const above = reader.read(folder).pointer('parent');
    if (above === 0n) return false;
    const name = reader.read(above).pointer('name');
    const text = decodeText(readPartOf(kernel, 'the name', name, name, 8), 0, 8);
    return text !== 'virtual';
  } catch (error) {
    if (error instanceof ReadError) return false;
    throw error;
  }
}

function driverOf(kernel: Kernel, parent: bigint): string | undefined {
  if (parent === 0n) return undefined;
  const device = new StructReader(kernel, 'device', ['driver', 'bus']).read(parent);
  const at = device.pointer('driver');
  if (at === 0n) return NO_DRIVER;
  const driver = new StructReader(kernel, 'device_driver', ['name', 'bus']).read(at);
  // driver_register's, and that of the devices that it may bind to (drivers/base/bus.c).
  if (driver.pointer('bus') !== device.pointer('bus')) {
    throw new KernelError('damaged', `the driver at ${hex(at)} is of another bus than its device`);
  }
  // Names of modules are shorter than this, and so are those of drivers.
  const name = driver.pointer('name');
  return decodeText(readPartOf(kernel, 'the name', name, name, 64), 0, 64);
}

function align(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
