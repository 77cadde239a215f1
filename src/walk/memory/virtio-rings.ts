import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { devicesOf } from '../machine/buses.js';
import { splitRings, virtqueues } from '../network/virtqueues.js';
import { StructReader } from '../struct-reader.js';
import type { AddressRange } from './percpu.js';

/**
 * Where the rings of virtqueues lie: drivers of disks, consoles, network cards share them with the
 * hypervisor (vring_alloc_queue in drivers/virtio/virtio_ring.c). Their buffers are not among them.
 *
 * @throws {KernelError} `unsupported-layout` after the others, if some are of the packed form; `damaged`;
 *   {@link ReadError}
 */
export function* virtioRings(kernel: Kernel): Generator<AddressRange> {
  let packed = 0;
  for (const address of devicesOf(kernel, 'bus', 'virtio')) {
    const device = new StructReader(kernel, 'virtio_device', ['dev']);
    for (const queue of virtqueues(kernel, address - BigInt(device.offset('dev')))) {
      const [ring] = splitRings(kernel, queue.address);
      if (ring) yield { address: ring.desc, bytes: ring.bytes };
      else packed++;
    }
  }
  if (packed > 0) {
    const message = `${packed} virtqueues have no ring of the split form`;
    throw new KernelError('unsupported-layout', message);
  }
}
