import { expect, test } from 'vitest';
import { virtioNetMemory } from '../../../src/walk/network/virtqueues.js';
import { type MadeMembers, made, madeKernel } from '../../support/made-kernel.js';

const [DEVICE, OWN, RQ, QUEUE, DESC, STATES] = [0x100, 0x200, 0x300, 0x400, 0x1000, 0x2000] as const;
const [ENTRIES, BUFFERS] = [4, [0x8000, 0x9000, 0xa000]] as const;
const RING = 64;

/** A device with one ring of four entries, three of which contain a buffer. */
function buffers(
  members: MadeMembers,
  { state, states, free = 1 }: { readonly state: string; readonly states: number; readonly free?: number },
): readonly bigint[] {
  const words: Record<number, bigint | readonly [number, 1 | 2 | 4]> = {
    [OWN]: made(DEVICE),
    [OWN + 8]: made(RQ),
    [OWN + 16]: [1, 4],
    [OWN + 20]: [1, 1],
    [RQ]: made(QUEUE),
    [QUEUE]: [free, 4],
    [QUEUE + RING]: [ENTRIES, 4],
    [QUEUE + RING + 8]: made(DESC),
    [QUEUE + RING + 16]: made(DESC + 16 * ENTRIES),
    [QUEUE + RING + 24]: made(DESC + 16 * ENTRIES + 16),
    [QUEUE + RING + 32]: made(STATES),
  };
  for (const [index, buffer] of BUFFERS.entries()) words[states + index * 16] = made(buffer);
  const kernel = madeKernel({
    structs: {
      virtnet_info: {
        size: 64,
        members: { dev: 0, rq: 8, max_queue_pairs: [16, 4], mergeable_rx_bufs: [20, 1], big_packets: [21, 1] },
      },
      receive_queue: { size: 64, members: { vq: 0 } },
      vring_virtqueue: { size: 144, members: { 'vq.num_free': [0, 4], ...members } },
      [state]: { size: 16, members: { data: 0 } },
    },
    words,
  });
  const device = { name: 'eth0', net: 0n, queues: 1, firstQueue: 0n, parent: 0n, driver: undefined };
  return virtioNetMemory(kernel, { ...device, address: made(DEVICE), privateData: made(OWN) }).buffers;
}

const vring = (prefix: string): MadeMembers => ({
  [`${prefix}vring`]: [RING, 32],
  [`${prefix}vring.num`]: [RING, 4],
  [`${prefix}vring.desc`]: RING + 8,
  [`${prefix}vring.avail`]: RING + 16,
  [`${prefix}vring.used`]: RING + 24,
});
const SPLIT = { ...vring('split.'), 'split.desc_state': RING + 32 };
const OLD: MadeMembers = { ...vring(''), desc_state: [144, 0] };

test.each([
  ['since 5.0', SPLIT, { state: 'vring_desc_state_split', states: STATES }],
  ["before 5.0, with the caller's data after the struct", OLD, { state: 'vring_desc_state', states: QUEUE + 144 }],
])('finds the buffers of a ring %s', (_, members, places) => {
  expect(buffers(members, places)).toEqual(BUFFERS.map(made));
  expect(() => buffers(members, { ...places, free: 2 })).toThrow('its ring holds 3 buffers in 2 descriptors');
});
