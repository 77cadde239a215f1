import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { accountAll } from '../../../src/account/sockets.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { needSymbol } from '../../../src/walk/cpus.js';
import { hlistNodes, listNodes } from '../../../src/walk/list.js';
import { netDevices, netNamespaces } from '../../../src/walk/network/net-devices.js';
import { fragmentSkbs } from '../../../src/walk/network/reassembly.js';
import { TunReader } from '../../../src/walk/network/software-rings.js';
import { SkbLists } from '../../../src/walk/queues/skb-lists.js';
import { RhashtableReader } from '../../../src/walk/rhashtable.js';
import { type Damage, memoryOf } from '../../support/damaged-kernel.js';
import { LAB, LabMissing } from '../../support/lab.js';
import { ledgerOf } from '../../support/ledger.js';

const NOT_READABLE = 0x1234n;

describe.each(['6.1', 'newest'] as const)('damaged queues outside sockets on %s', (version) => {
  const core = join(LAB, 'dumps', `${version}-families`, 'elf.vmcore');
  if (!existsSync(core)) throw new LabMissing(core, `dump ${version}-families`);
  const kernel = openNative({ files: [core] });
  const { addressOf, offset, read, set, write, lose, damagedBy } = memoryOf(kernel);
  const lists = new SkbLists(kernel);
  afterAll(() => kernel.close());

  const rows = (...damages: Damage[]) => ledgerOf(accountAll(damagedBy(...damages)));
  const net = [...netNamespaces(kernel)][0] ?? 0n;
  const directory = read(net, 'net.ipv4.fqdir');
  const hash = addressOf(directory, 'fqdir.rhashtable');
  const buckets = read(hash, 'rhashtable.tbl');
  const queue = [...new RhashtableReader(kernel).nodes(hash)][0] ?? 0n;
  const fragment = [...fragmentSkbs(kernel, lists)][0] ?? 0n;
  const nextFragment = addressOf(offset('sk_buff.cb'), 'ipfrag_skb_cb.next_frag');

  const arp = needSymbol(kernel, 'arp_tbl');
  const neighbours = read(arp, 'neigh_table.nht');
  const heads = version === 'newest' ? 'hash_heads' : 'hash_buckets';
  const bucketCount = 2 ** Number(read(neighbours, 'neigh_hash_table.hash_shift'));
  const neighbourHeads = read(neighbours, `neigh_hash_table.${heads}`);
  const neighbour =
    Array.from({ length: bucketCount }, (_, i) => read(neighbourHeads + BigInt(i * 8))).find((first) => first !== 0n) ??
    0n;
  const nextNeighbour = addressOf(neighbour, `neighbour.${version === 'newest' ? 'hash.next' : 'next'}`);

  const tap = [...netDevices(kernel)].find(({ name }) => name === 'tap0');
  if (!tap) throw new Error('the guest has no tap device');
  const inRing = new TunReader(kernel, lists).ofDevice(tap).skbs;
  const file = read(tap.privateData, 'tun_struct.tfiles');
  const ring = addressOf(file, 'tun_file.tx_ring');
  const entry = read(ring, 'ptr_ring.queue') + 8n * read(ring, 'ptr_ring.consumer_head');
  const [link = 0n] = listNodes(kernel, addressOf(tap.address, 'net_device.napi_list'));
  const napi = link - offset('napi_struct.dev_list');
  const gro = version === 'newest' ? 'gro.hash[0].list' : 'gro_hash[0].list';

  const xdp = [...hlistNodes(kernel, addressOf(net, 'net.xdp.list'))];
  const bound = xdp
    .map((node) => node - offset('sock.__sk_common.skc_node'))
    .find((sock) => read(sock, 'xdp_sock.pool') !== 0n);
  if (bound === undefined) throw new Error('the guest has no AF_XDP socket that is bound');
  const xsk = bound;

  test('without damage, all are counted', () => {
    const whole = rows();
    for (const what of ['ip-fragments', 'neighbours', 'gro', 'rings tun', 'xdp-rings', 'skbs']) {
      expect(whole.get(what)?.objects, what).not.toBeNull();
      expect(whole.get(what)?.bytes, what).not.toBeNull();
    }
  });

  const CASES: readonly (readonly [what: string, name: string, damage: Damage, message: RegExp])[] = [
    [
      'ip-fragments',
      'a fragment leads back to itself',
      set(fragment + nextFragment, 8, fragment),
      /loops back to skb|counts \d+ bytes, but has/,
    ],
    [
      'ip-fragments',
      'a queue counts other bytes',
      set(queue, 'inet_frag_queue.meat', 0xffff_fff0n),
      /counts 4294967280 bytes, but has \d+/,
    ],
    ['ip-fragments', 'a queue of another table', set(queue, 'inet_frag_queue.fqdir', hash), /is of another fqdir/],
    ['ip-fragments', 'a table of another namespace', set(directory, 'fqdir.net', hash), /belongs to another namespace/],
    ['ip-fragments', 'a table that cannot be read', lose(directory, 64), /part of struct fqdir/],
    ['ip-fragments', 'a table that counts one more', set(hash, 'rhashtable.nelems', 41n), /has 40 of 41 nodes/],
    ['ip-fragments', 'a table that counts fewer', set(hash, 'rhashtable.nelems', 2n), /has more than 2 nodes/],
    ['ip-fragments', 'a table of 2^32 - 1 nodes', set(hash, 'rhashtable.nelems', 0xffff_ffffn), /4294967295 nodes/],
    [
      'ip-fragments',
      'a table of 2^32 - 1 buckets',
      set(buckets, 'bucket_table.size', 0xffff_ffffn),
      /4294967295 buckets/,
    ],
    ['ip-fragments', 'buckets in pieces', set(buckets, 'bucket_table.nest', 6n), /nested/],
    ['ip-fragments', 'tables without end', set(buckets, 'bucket_table.future_tbl', buckets), /does not terminate/],
    [
      'neighbours',
      'a neighbour that follows upon itself',
      set(nextNeighbour, 8, neighbour),
      /has more than \d+ neighbours/,
    ],
    [
      'neighbours',
      'a neighbour of another table',
      set(neighbour, 'neighbour.tbl', neighbours),
      /belongs to another table/,
    ],
    [
      'neighbours',
      'a neighbour that counts other skbs',
      set(neighbour, 'neighbour.arp_queue.qlen', 77n),
      /counts 77 skbs, but has \d/,
    ],
    [
      'neighbours',
      'a table of 2^32 - 1 neighbours',
      set(arp, 'neigh_table.entries', 0xffff_ffffn),
      /4294967295 neighbours/,
    ],
    ['neighbours', 'a table of 2^31 buckets', set(neighbours, 'neigh_hash_table.hash_shift', 31n), /2\^31 buckets/],
    ['gro', 'a list that is torn', set(napi, `napi_struct.${gro}`, NOT_READABLE), /list/],
    ['gro', 'an instance of another device', set(napi, 'napi_struct.dev', napi), /belongs to another device/],
    ['rings tun', 'a ring of 2^31 entries', set(ring, 'ptr_ring.size', 2n ** 31n), /2147483648 entries/],
    [
      'rings tun',
      'a ring that is read beyond its end',
      set(ring, 'ptr_ring.consumer_head', 0xffff_ffffn),
      /read up to 4294967295/,
    ],
    ['rings tun', 'a ring that cannot be read', set(ring, 'ptr_ring.queue', 0x1000n), /part of the ring/],
    ['rings tun', 'entries that are misaligned', set(ring, 'ptr_ring.queue', NOT_READABLE), /are misaligned/],
    [
      'rings tun',
      'more queues than there can be',
      set(tap.privateData, 'tun_struct.numqueues', 257n),
      /has 257 queues/,
    ],
    ['rings tun', 'a file of another device', set(file, 'tun_file.tun', file), /belongs to another device/],
    ['xdp-rings', 'a list of sockets that is torn', set((xdp[0] ?? 0n) + 8n, 8, NOT_READABLE), /is inconsistent/],
    [
      'xdp-rings',
      'a ring that cannot be read',
      set(xsk, 'xdp_sock.pool', NOT_READABLE),
      /part of struct xsk_buff_pool/,
    ],
  ];

  test.each(CASES)('%s are not counted with %s', (what, _, damage, message) => {
    const damaged = rows(damage);
    const row = damaged.get(what);
    expect(row).toMatchObject({ objects: null, bytes: null });
    expect(row?.message).toMatch(/: not counted: /);
    expect(row?.message).toMatch(message);
    // Unattributed skbs may be in the uncounted queue.
    expect(damaged.get('skbs')?.objects ?? null).toBe(what === 'xdp-rings' ? 0 : null);
  });

  if (version === 'newest')
    test('does not count a ring larger than its entries', () => {
      const rx = read(xsk, 'xdp_sock.rx');
      const damage = set(rx, 'xsk_queue.ring_vmalloc_size', 2n ** 40n);
      expect(rows(damage).get('xdp-rings')?.message).toMatch(/1099511627776 bytes for \d+ entries/);
    });

  test('counts an XDP frame in a ring; the memory that it pins is unknown', () => {
    const row = rows(set(entry, 8, (inRing[0] ?? 0n) | 1n)).get('rings tun');
    expect(row).toMatchObject({ objects: inRing.length, bytes: null });
    expect(row?.message).toMatch(/1 XDP frame queued too/);
  });

  test.each(['veth', 'macvtap'])('reports rings of %s devices', (kind) => {
    const ops = read(tap.address, 'net_device.rtnl_link_ops');
    const at = read(ops, 'rtnl_link_ops.kind');
    const bytes = new TextEncoder().encode(`${kind}\0`);
    const found = rows(write(at, bytes));
    expect(found.get('rings tun')).toBeUndefined();
    expect(found.get(`rings ${kind}`)).toEqual({
      what: `rings ${kind}`,
      objects: null,
      bytes: null,
      // Rows of this kind are not walked, which is no fault of the dump.
      complete: true,
      message: `Rings of tap0 (${kind}): not counted, because kdump-mem does not support this device.`,
    });
    // It has a NAPI instance; without one a veth has no rings.
    const list = addressOf(tap.address, 'net_device.napi_list');
    const without = rows(set(list, 8, list), set(list + 8n, 8, list), write(at, bytes)).has(`rings ${kind}`);
    expect(without).toBe(kind !== 'veth');
  });

  test('reports the kind of an unreadable device', () => {
    const ops = read(tap.address, 'net_device.rtnl_link_ops');
    const damaged = rows(set(ops, 'rtnl_link_ops.kind', NOT_READABLE));
    expect(damaged.get('rings')?.message).toMatch(/not counted: .*part of the name/);
    expect(damaged.get('skbs')?.objects).toBeNull();
    expect(damaged.get('gro')?.objects).not.toBeNull();
  });

  test('counts driver rings and tunnel queues', () => {
    const before = rows().get('gro')?.objects ?? 0;
    const [filled = 0n, waiting = 0n] = inRing;
    const cell = addressOf(napi - offset('gro_cell.napi'), 'gro_cell.napi_skbs');
    const ofCell = [
      set(napi, 'napi_struct.poll', needSymbol(kernel, 'gro_cell_poll')),
      set(cell, 8, waiting),
      set(cell + 8n, 8, waiting),
      set(waiting, 8, cell),
      set(waiting + 8n, 8, cell),
    ];
    const fill = set(napi, 'napi_struct.skb', filled);
    expect(rows(fill).get('gro')?.objects).toBe(before + 1);
    expect(rows(fill, ...ofCell).get('gro')?.objects).toBe(before + 2);
  });
});
