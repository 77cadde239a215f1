import { expect, test } from 'vitest';
import type { LedgerRow, SlabFigures } from '../../../src/account/ledger/row.js';
import { ledgerJson } from '../../../src/answers/sockets/json.js';
import { ledgerWords } from '../../../src/answers/sockets/ledger-words.js';

const NONE = { objects: null, bytes: null } as const;

const slab = (figures: Partial<SlabFigures>) =>
  ({ used: 12, reserve: 0, met: 10, left: 2, merged: false, ...figures }) as const;

const ROWS: readonly (readonly [LedgerRow, string, string])[] = [
  [
    {
      code: 'cpu-queues',
      told: 'counted',
      objects: 1,
      bytes: 4096,
      complete: true,
      figures: { packets: 1 },
    },
    'cpu-queues',
    '1 packet waiting in the queues of the CPUs (softnet_data).',
  ],
  [
    {
      code: 'qdiscs',
      told: 'counted',
      objects: 3,
      bytes: null,
      complete: true,
      figures: { packets: 3, queued: 2 },
    },
    'qdiscs',
    '3 packets in queueing disciplines; what 2 of them pin is not told.',
  ],
  [
    {
      code: 'rings',
      of: 'tun',
      devices: ['tap0', 'tap1'],
      told: 'counted',
      objects: 1,
      bytes: null,
      complete: true,
      figures: { packets: 0, frames: 1 },
    },
    'rings tun',
    'No packet waits for who has tap0, tap1 open (tun). 1 frame of XDP too: what they pin is not told.',
  ],
  [
    {
      code: 'page-pools',
      told: 'at-most',
      ...NONE,
      complete: false,
      figures: { owned: 5, pages: 3 },
      unknown: ['sockets', 'rings tun'],
    },
    'page-pools',
    'Page pools own 5 pages, 3 of them in nothing above. That is at most: some may belong to what is not known whole (sockets, rings tun).',
  ],
  [
    {
      code: 'skbs',
      told: 'counted',
      objects: 2,
      bytes: 512,
      complete: true,
      figures: slab({ reserve: 3 }),
    },
    'skbs',
    '12 skbs are in use: 10 in queues, 3 kept ready by CPUs, 2 not explained.',
  ],
  [
    {
      code: 'skb-heads',
      told: 'counted',
      ...NONE,
      complete: true,
      figures: slab({ merged: true, left: -2 }),
    },
    'skb-heads',
    'At most 12 small heads of skbs are in use: 10 in queues, and 0 others, which may be anything: the allocator keeps objects of other kinds in this cache too.',
  ],
  [
    {
      code: 'skb-pairs',
      told: 'contradicted',
      ...NONE,
      complete: false,
      figures: slab({ met: 14, left: -2 }),
    },
    'skb-pairs',
    'Of the pairs of skbs 14 were met and 12 are in use: the dump changed while it was taken, or is damaged.',
  ],
  [
    {
      code: 'receive-rings',
      of: 'mlx5_core',
      devices: ['eth1'],
      told: 'not-walked',
      ...NONE,
      complete: true,
    },
    'receive-rings mlx5_core',
    'The receive rings of eth1 (mlx5_core) are not walked: what their buffers pin is not told.',
  ],
  [
    {
      code: 'receive-rings',
      told: 'not-counted',
      ...NONE,
      complete: false,
      reason: 'a list is torn',
    },
    'receive-rings',
    'Receive rings: the network devices cannot be listed: a list is torn.',
  ],
  [
    {
      code: 'rings',
      of: 'veth',
      devices: ['v0'],
      told: 'not-counted',
      ...NONE,
      complete: false,
      reason: 'no room',
    },
    'rings veth',
    'The rings of veth devices: not counted: no room.',
  ],
  [
    {
      code: 'other-pages',
      told: 'counted',
      objects: 4,
      bytes: 16384,
      complete: true,
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
    'Of the machine’s 100 pages 10 were set aside at boot, 20 are free, 30 slabs, 15 of files and processes, 5 page tables, 2 compressed; of the 18 others (with those that are vmalloc’ed, whose counts were not found) 14 are in queues and rows above, and 4 in none: these may be anybody’s.',
  ],
];

test.each(ROWS)('a row in words: $code, $told', (row, what, message) => {
  expect(ledgerWords(row)).toBe(message);
  const { objects, bytes, complete } = row;
  expect(ledgerJson(row)).toEqual({ what, objects, bytes, message, complete });
});
