import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { accountAll } from '../../src/account/sockets.js';
import { ReadError } from '../../src/base/errors.js';
import { openNative } from '../../src/kernel/native/open.js';
import { needSymbol, perCpuAddress } from '../../src/walk/cpus.js';
import { netDevices } from '../../src/walk/network/net-devices.js';
import { skbCaches } from '../../src/walk/pages/slab-caches.js';
import { type Damage, damagedKernel } from '../support/damaged-kernel.js';
import { ledgerOf } from '../support/ledger.js';
import { littleEndian } from '../support/little-endian.js';

const kernel = openNative({
  files: [fileURLToPath(new URL('../../fixtures/dumps/newest.vmcore', import.meta.url))],
});
afterAll(() => kernel.close());

function rows(damage: Damage): Map<string, { objects: number | null; message: string }> {
  return ledgerOf(accountAll(damagedKernel(kernel, damage)));
}

const offset = (type: string, path: string): bigint => {
  const member = kernel.struct(type)?.member(path);
  if (!member) throw new Error(`no ${type}.${path}`);
  return BigInt(member.offset);
};
const change = (address: bigint, value: bigint, bytes: number): Damage => {
  return { patches: [{ address, bytes: littleEndian(value, bytes) }], denials: [] };
};
const pointer = (address: bigint): bigint => kernel.read(address, 8).getBigUint64(0, true);
const ofCpu = (name: string): bigint => perCpuAddress(kernel, needSymbol(kernel, name), 0);

const cache = skbCaches(kernel).find(({ kind }) => kind === 'skbs')?.address ?? 0n;
const sheaves = perCpuAddress(kernel, pointer(cache + offset('kmem_cache', 'cpu_sheaves')), 0);
const sheaf = pointer(sheaves + offset('slub_percpu_sheaves', 'main'));

/** The first `struct page` of a slab of skbs. */
const slab = (() => {
  for (const { socket, queues } of accountAll(kernel).sockets) {
    if ((queues.receive?.skbs ?? 0) === 0) continue;
    const page = kernel.pages.pageOf(pointer(socket.sock + offset('sock', 'sk_receive_queue.next')));
    try {
      if (page && pointer(page + offset('slab', 'slab_cache')) === cache) return page;
    } catch (error) {
      // An extract does not contain tail pages in full.
      if (!(error instanceof ReadError)) throw error;
    }
  }
  throw new Error('no skb of the fixture is of the cache of skbs');
})();

test('undamaged, counts every row that can be counted', () => {
  const whole = rows({ patches: [], denials: [] });
  for (const what of ['cpu-queues', 'page-pools', 'skbs', 'skb-heads'])
    expect(whole.get(what)?.objects, what).not.toBeNull();
  expect(whole.get('page-pools')?.objects).toBeGreaterThan(100);
});

describe('skbs are not counted from', () => {
  test.each([
    [
      'more per-CPU skbs than its array has entries',
      change(ofCpu('napi_alloc_cache') + offset('napi_alloc_cache', 'skb_count'), 2n ** 31n, 4),
    ],
    ['a slab with more objects in use than it contains', change(slab + offset('slab', 'inuse'), 0xffffn, 2)],
    ['a sheaf of another cache', change(sheaf + offset('slab_sheaf', 'cache'), cache + 64n, 8)],
    ['a sheaf with too many objects', change(sheaf + offset('slab_sheaf', 'size'), 60_000n, 4)],
  ])('%s', (_, damage) => {
    const row = rows(damage).get('skbs');
    expect(row?.objects).toBeNull();
    expect(row?.message).toMatch(/^Slab cache of skbs: not counted: .*(damaged|sheaf|keeps|in use)/);
  });
});

test('rows after an uncounted one are upper bounds', () => {
  const queue = ofCpu('softnet_data') + offset('softnet_data', 'input_pkt_queue.next');
  const damaged = rows(change(queue, 0x1234n, 8));
  expect(damaged.get('cpu-queues')?.message).toContain('not counted');
  expect(damaged.get('page-pools')?.objects).toBeNull();
  expect(damaged.get('page-pools')?.message).toMatch(/This is an upper bound: .* \(.*cpu-queues\)\.$/);
});

test('does not count a qdisc that has packets but no bytes', () => {
  const [device] = netDevices(kernel);
  if (!device) throw new Error('the fixture has no device');
  const qdisc = pointer(device.firstQueue + offset('netdev_queue', 'qdisc'));
  const row = rows(change(qdisc + offset('Qdisc', 'q.qlen'), 0xfffffff0n, 4)).get('qdiscs');
  expect(row?.message).toMatch(/not counted: the qdisc at 0x[\da-f]+ counts 4294967280 packets of 0/);
});

test('reports a raw socket whose number differs from its protocol', () => {
  const census = accountAll(kernel);
  expect(census.total.complete).toBe(true);
  const raw = census.sockets.find(({ socket }) => socket.type === 'SOCK_RAW')?.socket.sock;
  const damage = change((raw ?? 0n) + offset('sock', 'sk_protocol'), 0x83an, 2);
  expect(accountAll(damagedKernel(kernel, damage)).total.complete).toBe(false);
});

const card = [...netDevices(kernel)].find(({ driver }) => driver === 'virtio_net');

test.each(['max_queue_pairs', 'rq'])('does not count a network device without its rings: %s', (path) => {
  const at = (card?.privateData ?? 0n) + offset('virtnet_info', path);
  const row = rows(change(at, path === 'rq' ? pointer(at) + 8n : 0n, path === 'rq' ? 8 : 2));
  expect(row.get('receive-rings virtio_net')?.objects).toBeNull();
});

/** The network device's first receive queue. */
const ring = pointer(pointer((card?.privateData ?? 0n) + offset('virtnet_info', 'rq')) + offset('receive_queue', 'vq'));

test.each([-11n, 1n, 256n])('does not count a ring with an unexpected number of entries: %d', (wrong) => {
  const at = ring + offset('vring_virtqueue', 'split.vring.num');
  const entries = BigInt(kernel.read(at, 4).getUint32(0, true)) + wrong;
  const row = rows(change(at, entries, 4)).get('receive-rings virtio_net');
  expect(row?.objects).toBeNull();
  expect(row?.message).toContain(`a virtqueue of ${entries} entries has an unexpected layout`);
});

test('does not count a ring that lacks a buffer', () => {
  const state = pointer(ring + offset('vring_virtqueue', 'split.desc_state'));
  const size = BigInt(kernel.struct('vring_desc_state_split')?.size ?? 0);
  let first = state + offset('vring_desc_state_split', 'data');
  while (pointer(first) === 0n) first += size;
  const row = rows(change(first, 0n, 8)).get('receive-rings virtio_net');
  expect(row?.objects).toBeNull();
  expect(row?.message).toMatch(/its ring holds \d+ buffers in \d+ descriptors/);
});

describe('a network device whose driver', () => {
  const driver = (card?.parent ?? 0n) + offset('device', 'driver');

  test('belongs to another bus is not counted', () => {
    const damaged = rows(change(pointer(driver) + offset('device_driver', 'bus'), driver, 8));
    expect(damaged.get('receive-rings')?.message).toMatch(/the driver at 0x\w+ belongs to another bus/);
    for (const what of ['receive-rings', 'other-pages']) expect(damaged.get(what)?.objects, what).toBeNull();
  });

  test('is unknown is reported', () => {
    const damaged = rows(change(driver, 0n, 8));
    expect(damaged.get('receive-rings no driver')?.objects).toBeNull();
    expect(damaged.get('other-pages')?.objects).toBeNull();
  });
});

test('the row of a missing skb cache reports the reason', () => {
  const hot = needSymbol(kernel, 'net_hotdata');
  const address = hot + offset('net_hotdata', 'skbuff_cache');
  const denials = [{ address, length: 8, code: 'filtered' as const }];
  const row = rows({ patches: [], denials }).get('skbs');
  expect(row).toMatchObject({ objects: null });
  expect(row?.message).toBe(
    `Slab cache of skbs: not counted: 0x${address.toString(16)} was filtered out of the dump (part of net_hotdata at 0x${hot.toString(16)}).`,
  );
});
