import { KernelError } from '../../base/errors/kernel.js';
import { type NetDevice, NO_DRIVER } from '../../walk/network/net-devices.js';
import { virtioNetMemory } from '../../walk/network/virtio-net.js';
import { newPages } from './new-pages.js';
import { type Known, reasonOf, type Step } from './pipeline.js';
import type { LedgerTools } from './tools.js';

/** Rows of what the receive rings of devices hold for packets to come: one for each driver. */
export function* receiveRings(tools: LedgerTools): Generator<Step<'receive-rings'>> {
  let all: readonly NetDevice[];
  try {
    all = tools.devices();
  } catch (error) {
    reasonOf(error);
    const fail = () => {
      throw error;
    };
    yield { code: 'receive-rings', count: fail };
    return;
  }
  const drivers = new Map<string, NetDevice[]>();
  for (const device of all) {
    // Loopback, tunnels and bridges have no rings of their own.
    if (device.driver === undefined) continue;
    drivers.set(device.driver, [...(drivers.get(device.driver) ?? []), device]);
  }
  for (const [driver, group] of drivers) {
    const devices = group.map(({ name }) => name);
    const count = (known: Known) => ringsOf(tools, known, driver, group);
    yield { code: 'receive-rings', of: driver, devices, count };
  }
}

function ringsOf(
  tools: LedgerTools,
  known: Known,
  driver: string,
  devices: readonly NetDevice[],
): ReturnType<Step<'receive-rings'>['count']> {
  if (driver === NO_DRIVER) {
    throw new KernelError('unsupported-layout', 'their device has no driver');
  }
  if (driver !== 'virtio_net') return { status: 'not-walked' };
  const { kernel } = tools;
  const found: bigint[] = [];
  let buffers = 0;
  for (const device of devices) {
    const memory = virtioNetMemory(kernel, device);
    buffers += memory.buffers.length;
    for (const buffer of memory.buffers) {
      const page = kernel.pages.pageOf(buffer);
      if (page === undefined) throw new KernelError('damaged', 'a buffer has no struct page');
      found.push(page);
    }
    found.push(...memory.pages);
  }
  const { pages, bytes, holds } = newPages(tools, known, found);
  return { status: 'counted', objects: pages, bytes, figures: { buffers, pages }, holds };
}
