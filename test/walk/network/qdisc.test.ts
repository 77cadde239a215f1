import { expect, test } from 'vitest';
import { QdiscReader } from '../../../src/walk/network/qdisc.js';
import { SkbLists } from '../../../src/walk/queues/skb-lists.js';
import { type MadeMembers, made, madeKernel } from '../../support/made-kernel.js';

const DEVICE = {
  address: made(0x1000),
  name: 'eth0',
  net: made(0x900),
  privateData: made(0x1800),
  queues: 1,
  firstQueue: made(0x2000),
  parent: 0n,
  driver: undefined,
};

/** The skbs that one qdisc, which counts four packets, has requeued. */
function putBack(members: MadeMembers, words: Readonly<Record<number, bigint>>) {
  const kernel = madeKernel({
    structs: {
      netdev_queue: { size: 64, members: { qdisc: 8 } },
      Qdisc: {
        size: 256,
        members: { flags: [0, 4], 'q.qlen': [4, 4], 'qstats.backlog': [8, 4], cpu_qstats: 16, ...members },
      },
      sk_buff_head: { size: 24, members: { next: 0, prev: 8, qlen: [16, 4] } },
      sk_buff: { size: 64, members: { next: 0, prev: 8, rbnode: 0 } },
    },
    words: { [0x2008]: made(0x3000), [0x3004]: [4, 4], [0x3008]: [400, 4], ...words },
  });
  return [...new QdiscReader(kernel, new SkbLists(kernel)).ofDevice(DEVICE)];
}

const OLD = { gso_skb: 64, skb_bad_txq: 72 };

test('reads requeued skbs as one chain before 4.16', () => {
  expect(putBack(OLD, {})).toEqual([{ qdisc: made(0x3000), queued: 4, requeued: [] }]);
  const words = { [0x3040]: made(0x4000), [0x4000]: made(0x4100), [0x3048]: made(0x4200) };
  expect(putBack(OLD, words)).toEqual([
    { qdisc: made(0x3000), queued: 1, requeued: [0x4000, 0x4100, 0x4200].map(made) },
  ]);
});

test('reads requeued skbs as lists with heads since 4.16', () => {
  const words = {
    [0x3040]: made(0x4000),
    [0x3048]: made(0x4000),
    [0x4000]: made(0x3040),
    [0x4008]: made(0x3040),
    [0x3060]: made(0x3060),
    [0x3068]: made(0x3060),
  };
  expect(putBack({ gso_skb: [64, 24], skb_bad_txq: [96, 24] }, words)).toEqual([
    { qdisc: made(0x3000), queued: 3, requeued: [made(0x4000)] },
  ]);
});
