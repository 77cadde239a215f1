import { describe, expect, test } from 'vitest';
import { accountAll } from '../../src/account/sockets.js';
import { ReadError } from '../../src/base/errors.js';
import { needSymbol, perCpuAddress } from '../../src/walk/cpus.js';
import { netDevices } from '../../src/walk/network/net-devices.js';
import { skbCaches } from '../../src/walk/pages/slab-caches.js';
import { type Damage, UNDAMAGED } from '../support/damaged-kernel.js';
import { ledgerOf } from '../support/ledger.js';
import { fixtureKernel } from '../support/opened-kernel.js';

const { kernel, addressOf, read, set, lose, damagedBy } = fixtureKernel('newest');

function rows(damage: Damage): Map<string, { objects: number | null; message: string }> {
  return ledgerOf(accountAll(damagedBy(damage)));
}
const ofCpu = (name: string): bigint => perCpuAddress(kernel, needSymbol(kernel, name), 0);

const cache = skbCaches(kernel).find(({ kind }) => kind === 'skbs')?.address ?? 0n;
const sheaves = perCpuAddress(kernel, read(cache, 'kmem_cache.cpu_sheaves'), 0);
const sheaf = read(sheaves, 'slub_percpu_sheaves.main');

/** The first `struct page` of a slab of skbs. */
const slab = (() => {
  for (const { socket, queues } of accountAll(kernel).sockets) {
    if ((queues.receive?.skbs ?? 0) === 0) continue;
    const page = kernel.pages.pageOf(read(socket.sock, 'sock.sk_receive_queue.next'));
    try {
      if (page && read(page, 'slab.slab_cache') === cache) return page;
    } catch (error) {
      // An extract does not contain tail pages in full.
      if (!(error instanceof ReadError)) throw error;
    }
  }
  throw new Error('no skb of the fixture is of the cache of skbs');
})();

test('undamaged, counts every row that can be counted', () => {
  const whole = rows(UNDAMAGED);
  for (const what of ['cpu-queues', 'page-pools', 'skbs', 'skb-heads'])
    expect(whole.get(what)?.objects, what).not.toBeNull();
  expect(whole.get('page-pools')?.objects).toBeGreaterThan(100);
});

describe('skbs are not counted from', () => {
  test.each([
    [
      'more per-CPU skbs than its array has entries',
      set(ofCpu('napi_alloc_cache'), 'napi_alloc_cache.skb_count', 2n ** 31n),
    ],
    ['a slab with more objects in use than it contains', set(slab, 'slab.inuse', 0xffffn)],
    ['a sheaf of another cache', set(sheaf, 'slab_sheaf.cache', cache + 64n)],
    ['a sheaf with too many objects', set(sheaf, 'slab_sheaf.size', 60_000n)],
  ])('%s', (_, damage) => {
    const row = rows(damage).get('skbs');
    expect(row?.objects).toBeNull();
    expect(row?.message).toMatch(/^Slab cache of skbs: not counted: .*(damaged|sheaf|keeps|in use)/);
  });
});

test('rows after an uncounted one are upper bounds', () => {
  const damaged = rows(set(ofCpu('softnet_data'), 'softnet_data.input_pkt_queue.next', 0x1234n));
  expect(damaged.get('cpu-queues')?.message).toContain('not counted');
  expect(damaged.get('page-pools')?.objects).toBeNull();
  expect(damaged.get('page-pools')?.message).toMatch(/This is an upper bound: .* \(.*cpu-queues\)\.$/);
});

test('does not count a qdisc that has packets but no bytes', () => {
  const [device] = netDevices(kernel);
  if (!device) throw new Error('the fixture has no device');
  const qdisc = read(device.firstQueue, 'netdev_queue.qdisc');
  const row = rows(set(qdisc, 'Qdisc.q.qlen', 0xfffffff0n)).get('qdiscs');
  expect(row?.message).toMatch(/not counted: the qdisc at 0x[\da-f]+ counts 4294967280 packets of 0/);
});

test('reports a raw socket whose number differs from its protocol', () => {
  const census = accountAll(kernel);
  expect(census.totals.complete).toBe(true);
  const raw = census.sockets.find(({ socket }) => socket.type === 'SOCK_RAW')?.socket.sock;
  const damage = set(raw ?? 0n, 'sock.sk_protocol', 0x83an);
  expect(accountAll(damagedBy(damage)).totals.complete).toBe(false);
});

const card = [...netDevices(kernel)].find(({ driver }) => driver === 'virtio_net');

test.each(['max_queue_pairs', 'rq'])('does not count a network device without its rings: %s', (path) => {
  const at = addressOf(card?.privateData ?? 0n, `virtnet_info.${path}`);
  const row = rows(set(at, path === 'rq' ? 8 : 2, path === 'rq' ? read(at) + 8n : 0n));
  expect(row.get('receive-rings virtio_net')?.objects).toBeNull();
});

/** The network device's first receive queue. */
const ring = read(read(card?.privateData ?? 0n, 'virtnet_info.rq'), 'receive_queue.vq');

test.each([-11n, 1n, 256n])('does not count a ring with an unexpected number of entries: %d', (wrong) => {
  const at = addressOf(ring, 'vring_virtqueue.split.vring.num');
  const entries = read(at, 4) + wrong;
  const row = rows(set(at, 4, entries)).get('receive-rings virtio_net');
  expect(row?.objects).toBeNull();
  expect(row?.message).toContain(`a virtqueue of ${entries} entries has an unexpected layout`);
});

test('does not count a ring that lacks a buffer', () => {
  const state = read(ring, 'vring_virtqueue.split.desc_state');
  const size = BigInt(kernel.struct('vring_desc_state_split')?.size ?? 0);
  let first = addressOf(state, 'vring_desc_state_split.data');
  while (read(first) === 0n) first += size;
  const row = rows(set(first, 8, 0n)).get('receive-rings virtio_net');
  expect(row?.objects).toBeNull();
  expect(row?.message).toMatch(/its ring holds \d+ buffers in \d+ descriptors/);
});

describe('a network device whose driver', () => {
  const driver = addressOf(card?.parent ?? 0n, 'device.driver');

  test('belongs to another bus is not counted', () => {
    const damaged = rows(set(read(driver), 'device_driver.bus', driver));
    expect(damaged.get('receive-rings')?.message).toMatch(/the driver at 0x\w+ belongs to another bus/);
    for (const what of ['receive-rings', 'other-pages']) expect(damaged.get(what)?.objects, what).toBeNull();
  });

  test('is unknown is reported', () => {
    const damaged = rows(set(driver, 8, 0n));
    expect(damaged.get('receive-rings no driver')?.objects).toBeNull();
    expect(damaged.get('other-pages')?.objects).toBeNull();
  });
});

test('the row of a missing skb cache reports the reason', () => {
  const hot = needSymbol(kernel, 'net_hotdata');
  const address = addressOf(hot, 'net_hotdata.skbuff_cache');
  const row = rows(lose(hot, 'net_hotdata.skbuff_cache')).get('skbs');
  expect(row).toMatchObject({ objects: null });
  expect(row?.message).toBe(
    `Slab cache of skbs: not counted: 0x${address.toString(16)} was filtered out of the dump (part of net_hotdata at 0x${hot.toString(16)}).`,
  );
});
