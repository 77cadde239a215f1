import type { Kernel } from '../kernel/kernel.js';
import type { NetDevice } from '../walk/net-devices.js';
import type { SkbLists } from '../walk/queues/skb-lists.js';
import { TunReader } from '../walk/tun.js';
import { many, type Row } from './unexplained-row.js';
import { type CountPackets, waitingPackets } from './waiting-packets.js';

/**
 * The row of what waits in tun and tap devices.
 *
 * @throws as {@link TunReader}
 */
export function tunPackets(
  kernel: Kernel,
  lists: SkbLists,
  group: readonly NetDevice[],
  count: CountPackets,
): Row {
  const reader = new TunReader(kernel, lists);
  const contents = group.map((device) => reader.ofDevice(device));
  const skbs = contents.flatMap((content) => content.skbs);
  const names = group.map(({ name }) => name).join(', ');
  const row = waitingPackets(skbs, `for who has ${names} open (tun)`, count);
  const frames = contents.reduce((sum, content) => sum + content.frames, 0);
  if (frames === 0) return row;
  const message = `${row.message} ${many(frames, 'frame')} of XDP too: what they pin is not told.`;
  return { objects: (row.objects ?? 0) + frames, bytes: null, message };
}
