import type { Kernel } from '../../kernel/kernel.js';
import { DeviceKinds } from './device-kinds.js';
import { hasNapi } from './gro.js';
import type { NetDevice } from './net-devices.js';

const KINDS: readonly string[] = ['tun', 'macvtap', 'ipvtap', 'veth'];

/**
 * Devices without hardware in whose rings packets wait, by kind. Of `veth` those that have NAPI
 * instances: others have no rings in use (drivers/net/veth.c).
 *
 * @throws {KernelError}, {@link ReadError}
 */
export function devicesWithRings(
  kernel: Kernel,
  devices: readonly NetDevice[],
): Map<string, NetDevice[]> {
  const groups = new Map<string, NetDevice[]>();
  const kinds = new DeviceKinds(kernel);
  for (const device of devices) {
    const kind = kinds.of(device);
    if (kind === undefined || !KINDS.includes(kind)) continue;
    if (kind === 'veth' && !hasNapi(kernel, device)) continue;
    groups.set(kind, [...(groups.get(kind) ?? []), device]);
  }
  return groups;
}
