import { expect, test } from 'vitest';
import { type CountOf, type OutsideCode, rowName, type SlabFigures } from '../../../src/account/outside-queues/row.js';
import { outsideQueuesWords } from '../../../src/account/outside-queues/words.js';

const slab = (figures: Partial<SlabFigures>) =>
  ({ used: 12, reserve: 0, met: 10, left: 2, merged: false, ...figures }) as const;

const ROWS: readonly (readonly [CountOf<OutsideCode>, string, string])[] = [
  [
    { code: 'cpu-queues', status: 'counted', figures: { packets: 1 } },
    'cpu-queues',
    '1 packet queued in per-CPU network queues (softnet_data).',
  ],
  [
    { code: 'qdiscs', status: 'counted', figures: { packets: 3, queued: 2 } },
    'qdiscs',
    '3 packets queued in queueing disciplines. The memory that 2 of them pin is unknown.',
  ],
  [
    { code: 'rings', of: 'tun', devices: ['tap0', 'tap1'], status: 'counted', figures: { packets: 0, frames: 1 } },
    'rings tun',
    'No packets queued for readers of tap0, tap1 (tun). 1 XDP frame queued too; the memory that they pin is unknown.',
  ],
  [
    { code: 'page-pools', status: 'at-most', figures: { owned: 5, pages: 3 }, unknown: ['sockets', 'rings tun'] },
    'page-pools',
    'Page pools own 5 pages; 3 of them are in no queue or row above. This is an upper bound: incomplete rows may own some of it (sockets, rings tun).',
  ],
  [
    { code: 'skbs', status: 'counted', figures: slab({ reserve: 3 }) },
    'skbs',
    '12 skbs are allocated: 10 in queues, 3 in per-CPU caches, 2 unattributed.',
  ],
  [
    { code: 'skb-heads', status: 'counted', figures: slab({ merged: true, left: -2 }) },
    'skb-heads',
    'At most 12 small skb heads are allocated: 10 in queues, 0 unattributed. The slab cache is merged and contains other objects too.',
  ],
  [
    { code: 'skb-fclones', status: 'contradicted', figures: slab({ met: 14, left: -2 }) },
    'skb-fclones',
    '14 skbs with fast clones were found, but only 12 are allocated: the dump changed while it was taken, or is damaged.',
  ],
  [
    { code: 'receive-rings', of: 'mlx5_core', devices: ['eth1'], status: 'not-walked' },
    'receive-rings mlx5_core',
    'Receive rings of eth1 (mlx5_core): not counted, because kdump-mem does not support this driver.',
  ],
  [
    { code: 'receive-rings', status: 'not-counted', reason: 'a list is torn' },
    'receive-rings',
    'Receive rings: the network devices cannot be listed: a list is torn.',
  ],
  [
    { code: 'rings', of: 'veth', devices: ['v0'], status: 'not-counted', reason: 'no room' },
    'rings veth',
    'Rings of veth devices: not counted: no room.',
  ],
  [
    {
      code: 'other-pages',
      status: 'counted',
      figures: {
        present: 100,
        atBoot: 10,
        free: 20,
        slabs: 30,
        lru: 15,
        pageTables: 5,
        vmalloced: undefined,
        huge: 0,
        compressed: 2,
        others: 18,
        explained: 14,
        left: 4,
      },
    },
    'other-pages',
    '4 pages that no socket, skb or ring was found to hold. That they are network memory is not ruled out. kdump-mem memory lists them by category. Of 100 pages: 10 reserved at boot, 20 free, 30 slab, 15 page cache and process memory, 5 page tables, 2 compressed swap. Of the other 18 (vmalloc included: counters not found), 14 are in queues and rows above.',
  ],
];

test.each(ROWS)('describes a row: $code, $status', (row, what, message) => {
  expect(outsideQueuesWords(row)).toBe(message);
  expect(rowName(row)).toBe(what);
});
