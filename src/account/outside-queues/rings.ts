import { damaged, unsupportedLayout } from '../../base/errors.js';
import { type NetDevice, NO_DRIVER } from '../../walk/network/net-devices.js';
import { devicesWithRings, TunReader } from '../../walk/network/software-rings.js';
import { virtioNetMemory } from '../../walk/network/virtqueues.js';
import {
  type Known,
  newPages,
  type OutsideTools,
  packetsOf,
  reasonOf,
  type Step,
} from './pipeline.js';

/** Rows of receive rings, including their buffers for future packets: one for each driver. */
export function* receiveRings(tools: OutsideTools): Generator<Step<'receive-rings'>> {
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
  tools: OutsideTools,
  known: Known,
  driver: string,
  devices: readonly NetDevice[],
): ReturnType<Step<'receive-rings'>['count']> {
  if (driver === NO_DRIVER) throw unsupportedLayout('their device has no driver');
  if (driver !== 'virtio_net') return { status: 'not-walked' };
  const { kernel } = tools;
  const found: bigint[] = [];
  let buffers = 0;
  for (const device of devices) {
    const memory = virtioNetMemory(kernel, device);
    buffers += memory.buffers.length;
    for (const buffer of memory.buffers) {
      const page = kernel.pages.pageOf(buffer);
      if (page === undefined) throw damaged('a buffer has no struct page');
      found.push(page);
    }
    found.push(...memory.pages);
  }
  const { pages, bytes, holds } = newPages(tools, known, found);
  return { status: 'counted', objects: pages, bytes, figures: { buffers, pages }, holds };
}

/** Rows of the rings of software devices: one for each kind. Kinds that are not walked are only named. */
export function* softwareRings(tools: OutsideTools): Generator<Step<'rings'>> {
  let groups: ReadonlyMap<string, readonly NetDevice[]>;
  try {
    groups = devicesWithRings(tools.kernel, tools.devices());
  } catch (error) {
    reasonOf(error);
    const fail = () => {
      throw error;
    };
    yield { code: 'rings', count: fail };
    return;
  }
  for (const [kind, group] of groups) {
    const devices = group.map(({ name }) => name);
    const count = (known: Known) => deviceRings(tools, known, kind, group);
    yield { code: 'rings', of: kind, devices, count };
  }
}

/** @throws as {@link TunReader} */
function deviceRings(
  tools: OutsideTools,
  known: Known,
  kind: string,
  group: readonly NetDevice[],
): ReturnType<Step<'rings'>['count']> {
  // Before 5.11 there are no types for modules, and some engines cannot read them.
  if (kind !== 'tun' || !tools.kernel.struct('tun_struct')) return { status: 'not-walked' };
  const reader = new TunReader(tools.kernel, tools.lists);
  const contents = group.map((device) => reader.ofDevice(device));
  const skbs = contents.flatMap((content) => content.skbs);
  const { packets, bytes, holds } = packetsOf(tools, known, skbs);
  // The memory that XDP frames pin is unknown.
  const frames = contents.reduce((sum, content) => sum + content.frames, 0);
  return {
    status: 'counted',
    objects: packets + frames,
    bytes: frames === 0 ? bytes : null,
    figures: { packets, frames },
    holds,
  };
}
