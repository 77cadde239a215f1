import { KernelError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { type NetDevice, NO_DRIVER } from '../../walk/network/net-devices.js';
import { virtioNetMemory } from '../../walk/network/virtio-net.js';
import { many, type Row } from './unexplained-row.js';

/** Pages counted, of those that were told, and their bytes. */
type Counter = (pages: readonly bigint[]) => { readonly pages: number; readonly bytes: number };

/**
 * What the receive rings of devices hold for packets to come.
 *
 * @param devices those of one driver
 * @param name their rings in words, to begin a sentence
 * @param count counts those that nothing holds that was counted before
 * @throws {KernelError}, {@link ReadError} where they cannot be walked
 */
export function receiveRings(
  kernel: Kernel,
  driver: string,
  name: string,
  devices: readonly NetDevice[],
  count: Counter,
): Row {
  if (driver === NO_DRIVER) {
    throw new KernelError('unsupported-layout', 'the device that they sit on has no driver');
  }
  if (driver !== 'virtio_net') {
    const message = `${name} are not walked: what their buffers pin is not told.`;
    return { objects: null, bytes: null, message };
  }
  const found: bigint[] = [];
  let buffers = 0;
  for (const device of devices) {
    const memory = virtioNetMemory(kernel, device);
    buffers += memory.buffers.length;
    for (const buffer of memory.buffers) {
      const page = kernel.pages.pageOf(buffer);
      if (page === undefined) throw new KernelError('damaged', 'a buffer is in no page');
      found.push(page);
    }
    found.push(...memory.pages);
  }
  const { pages, bytes } = count(found);
  const message = `${name} hold ${many(buffers, 'buffer')}, in ${many(pages, 'page')} that nothing above holds.`;
  return { objects: pages, bytes, message };
}
