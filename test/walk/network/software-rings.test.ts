import { expect, test } from 'vitest';
import { TunReader } from '../../../src/walk/network/software-rings.js';
import { SkbLists } from '../../../src/walk/queues/skb-lists.js';
import { made, madeKernel } from '../../support/made-kernel.js';

const [TUN, FILE, DEVICE, QUEUE] = [0x100, 0x400, 0x800, 0x900];

/** A tun device with one queue: two packets in its ring, one written by the process. */
function kernelWith(ring: 'tx_array.ring' | 'tx_ring') {
  const at = 0x40;
  return madeKernel({
    structs: {
      tun_struct: { size: 0x100, members: { tfiles: [0, 64, 8], numqueues: [64, 4], dev: 72 } },
      tun_file: {
        size: 0x200,
        members: { 'sk.sk_write_queue': 0, tun: 24, [ring]: at, ...(ring === 'tx_ring' ? {} : { tx_array: at }) },
      },
      ptr_ring: {
        size: 64,
        members: { producer: [0, 4], consumer_head: [4, 4], consumer_tail: [8, 4], size: [12, 4], queue: 16 },
      },
      sk_buff_head: { size: 24, members: { next: 0, prev: 8, qlen: [16, 4] } },
      sk_buff: { size: 64, members: { next: 0, rbnode: [0, 24] } },
    },
    words: {
      [TUN]: made(FILE),
      [TUN + 64]: [1, 4],
      [TUN + 72]: made(DEVICE),
      [FILE]: made(0xb00),
      [FILE + 8]: made(0xb00),
      [FILE + 16]: [1, 4],
      [FILE + 24]: made(TUN),
      [FILE + at]: [2, 4],
      [FILE + at + 12]: [4, 4],
      [FILE + at + 16]: made(QUEUE),
      [QUEUE]: made(0xc00),
      // An XDP frame, which is not an skb.
      [QUEUE + 8]: made(0xd00) | 1n,
      [0xb00]: made(FILE),
      [0xb08]: made(FILE),
    },
  });
}

test.each(['tx_array.ring', 'tx_ring'] as const)(
  'finds queued packets in %s (before 4.18, since), and packets that a process wrote',
  (ring) => {
    const kernel = kernelWith(ring);
    const reader = new TunReader(kernel, new SkbLists(kernel));
    const device = { address: made(DEVICE), privateData: made(TUN) } as Parameters<TunReader['ofDevice']>[0];
    expect(reader.ofDevice(device)).toEqual({ skbs: [made(0xc00), made(0xb00)], frames: 1 });
    expect(() => reader.ofDevice({ ...device, address: made(0) })).toThrow('has 1 queues');
  },
);
