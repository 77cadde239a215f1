// Guests whose memory lies in two NUMA nodes, with a hole, and with a part that was plugged in later.

/** Of x86_64: what a kernel takes or leaves of memory that is plugged in, as one. */
const BLOCK_MIB = 128;
/** So many lie above the hole for devices, at 4 GiB; the kernel takes none of them by itself. */
const PLUGGED_BLOCKS = 2;

/** On the kernel's command line: who plugs memory in takes it by hand, on every kernel. */
export const BY_HAND = 'memhp_default_state=offline';

/**
 * QEMU's options: half of the memory and one of two CPUs in each node, and a DIMM in the second.
 *
 * @param {number} memoryMiB
 */
export function numaMachine(memoryMiB) {
  const plugged = PLUGGED_BLOCKS * BLOCK_MIB;
  return [
    '-m',
    `${memoryMiB},slots=1,maxmem=${memoryMiB + plugged}M`,
    ...[0, 1].flatMap((node) => [
      '-object',
      `memory-backend-ram,id=node${node},size=${memoryMiB / 2}M`,
      '-numa',
      `node,nodeid=${node},memdev=node${node},cpus=${node}`,
    ]),
    '-object',
    `memory-backend-ram,id=plugged,size=${plugged}M`,
    '-device',
    'pc-dimm,id=dimm,memdev=plugged,node=1',
  ];
}

/**
 * Has the guest take the first block of the DIMM, as movable memory, and leave the other one.
 *
 * @param {import('./guest.mjs').Guest} guest
 */
export async function takePlugged(guest) {
  const find = 'grep -l offline /sys/devices/system/memory/memory*/state';
  const states = (await guest.run(find)).output.toString().trim().split('\n');
  if (states.length !== PLUGGED_BLOCKS) {
    throw new Error(`the guest has ${states.length} blocks that it could take`);
  }
  await guest.run(`echo online_movable > ${states[0]}`);
}
