import type { Kernel } from '../../kernel/kernel.js';
import { DeviceKinds } from '../../walk/network/device-kinds.js';
import { hasNapi } from '../../walk/network/gro.js';
import type { NetDevice } from '../../walk/network/net-devices.js';
import { TunReader } from '../../walk/network/tun.js';
import type { SkbLists } from '../../walk/queues/skb-lists.js';
import { many, type Row } from './unexplained-row.js';
import { type CountPackets, waitingPackets } from './waiting-packets.js';

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

const KINDS: readonly string[] = ['tun', 'macvtap', 'ipvtap', 'veth'];

/**
 * The row of the rings of one kind of devices: named alone where they are not walked.
 *
 * @throws as {@link TunReader}
 */
export function softwareRings(
  kernel: Kernel,
  lists: SkbLists,
  kind: string,
  group: readonly NetDevice[],
  count: CountPackets,
): Row {
  const names = group.map(({ name }) => name).join(', ');
  // Before 5.11 modules brought no types, and not every engine knows them.
  if (kind !== 'tun' || !kernel.struct('tun_struct')) {
    const message = `The rings of ${names} (${kind}) are not walked: what waits in them is not told.`;
    return { objects: null, bytes: null, message };
  }
  const reader = new TunReader(kernel, lists);
  const contents = group.map((device) => reader.ofDevice(device));
  const skbs = contents.flatMap((content) => content.skbs);
  const row = waitingPackets(skbs, `for who has ${names} open (tun)`, count);
  const frames = contents.reduce((sum, content) => sum + content.frames, 0);
  if (frames === 0) return row;
  const message = `${row.message} ${many(frames, 'frame')} of XDP too: what they pin is not told.`;
  return { objects: (row.objects ?? 0) + frames, bytes: null, message };
}
