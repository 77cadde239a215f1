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
import { type Damage, damagedKernel, type Patch } from '../../support/damaged-kernel.js';
import { LAB, LabMissing } from '../../support/lab.js';
import { ledgerOf } from '../../support/ledger.js';
import { littleEndian } from '../../support/little-endian.js';

const NOT_READABLE = 0x1234n;

describe.each(['6.1', 'newest'] as const)('damaged queues outside sockets on %s', (version) => {
  const core = join(LAB, 'dumps', `${version}-families`, 'elf.vmcore');
  if (!existsSync(core)) throw new LabMissing(core, `dump ${version}-families`);
  const kernel = openNative({ files: [core] });
  const lists = new SkbLists(kernel);
  afterAll(() => kernel.close());

  const rows = (damage: Damage) => {
    const answer = accountAll(damagedKernel(kernel, damage));
    return ledgerOf(answer);
  };
  const offset = (type: string, path: string): bigint => {
    const member = kernel.struct(type)?.member(path);
    if (!member) throw new Error(`no ${type}.${path}`);
    return BigInt(member.offset);
  };
  const patch = (address: bigint, value: bigint, bytes: number): Patch => {
    return { address, bytes: littleEndian(value, bytes) };
  };
  const change = (address: bigint, value: bigint, bytes: number): Damage => {
    return { patches: [patch(address, value, bytes)], denials: [] };
  };
  const pointer = (address: bigint): bigint => kernel.read(address, 8).getBigUint64(0, true);

  const net = [...netNamespaces(kernel)][0] ?? 0n;
  const directory = pointer(net + offset('net', 'ipv4.fqdir'));
  const hash = directory + offset('fqdir', 'rhashtable');
  const buckets = pointer(hash + offset('rhashtable', 'tbl'));
  const queue = [...new RhashtableReader(kernel).nodes(hash)][0] ?? 0n;
  const fragment = [...fragmentSkbs(kernel, lists)][0] ?? 0n;
  const nextFragment = offset('sk_buff', 'cb') + offset('ipfrag_skb_cb', 'next_frag');

  const arp = needSymbol(kernel, 'arp_tbl');
  const neighbours = pointer(arp + offset('neigh_table', 'nht'));
  const heads = version === 'newest' ? 'hash_heads' : 'hash_buckets';
  const bucketCount = 2 ** kernel.read(neighbours + offset('neigh_hash_table', 'hash_shift'), 4).getUint32(0, true);
  const neighbourHeads = pointer(neighbours + offset('neigh_hash_table', heads));
  const neighbour =
    Array.from({ length: bucketCount }, (_, i) => pointer(neighbourHeads + BigInt(i * 8))).find(
      (first) => first !== 0n,
    ) ?? 0n;
  const nextNeighbour = neighbour + offset('neighbour', version === 'newest' ? 'hash.next' : 'next');

  const tap = [...netDevices(kernel)].find(({ name }) => name === 'tap0');
  if (!tap) throw new Error('the guest has no tap device');
  const inRing = new TunReader(kernel, lists).ofDevice(tap).skbs;
  const file = pointer(tap.privateData + offset('tun_struct', 'tfiles'));
  const ring = file + offset('tun_file', 'tx_ring');
  const entry =
    pointer(ring + offset('ptr_ring', 'queue')) +
    BigInt(8 * kernel.read(ring + offset('ptr_ring', 'consumer_head'), 4).getUint32(0, true));
  const [link = 0n] = listNodes(kernel, tap.address + offset('net_device', 'napi_list'));
  const napi = link - offset('napi_struct', 'dev_list');
  const gro = version === 'newest' ? 'gro.hash[0].list' : 'gro_hash[0].list';

  const xdp = [...hlistNodes(kernel, net + offset('net', 'xdp.list'))];
  const bound = xdp
    .map((node) => node - offset('sock', '__sk_common.skc_node'))
    .find((sock) => pointer(sock + offset('xdp_sock', 'pool')) !== 0n);
  if (bound === undefined) throw new Error('the guest has no AF_XDP socket that is bound');
  const xsk = bound;

  test('without damage, all are counted', () => {
    const whole = rows({ patches: [], denials: [] });
    for (const what of ['ip-fragments', 'neighbours', 'gro', 'rings tun', 'xdp-rings', 'skbs']) {
      expect(whole.get(what)?.objects, what).not.toBeNull();
      expect(whole.get(what)?.bytes, what).not.toBeNull();
    }
  });

  const CASES: readonly (readonly [what: string, name: string, damage: Damage, message: RegExp])[] = [
    [
      'ip-fragments',
      'a fragment leads back to itself',
      change(fragment + nextFragment, fragment, 8),
      /loops back to skb|counts \d+ bytes, but has/,
    ],
    [
      'ip-fragments',
      'a queue counts other bytes',
      change(queue + offset('inet_frag_queue', 'meat'), 0xffff_fff0n, 4),
      /counts 4294967280 bytes, but has \d+/,
    ],
    [
      'ip-fragments',
      'a queue of another table',
      change(queue + offset('inet_frag_queue', 'fqdir'), hash, 8),
      /is of another fqdir/,
    ],
    [
      'ip-fragments',
      'a table of another namespace',
      change(directory + offset('fqdir', 'net'), hash, 8),
      /belongs to another namespace/,
    ],
    [
      'ip-fragments',
      'a table that cannot be read',
      { patches: [], denials: [{ address: directory, length: 64, code: 'filtered' }] },
      /part of struct fqdir/,
    ],
    [
      'ip-fragments',
      'a table that counts one more',
      change(hash + offset('rhashtable', 'nelems'), 41n, 4),
      /has 40 of 41 nodes/,
    ],
    [
      'ip-fragments',
      'a table that counts fewer',
      change(hash + offset('rhashtable', 'nelems'), 2n, 4),
      /has more than 2 nodes/,
    ],
    [
      'ip-fragments',
      'a table of 2^32 - 1 nodes',
      change(hash + offset('rhashtable', 'nelems'), 0xffff_ffffn, 4),
      /4294967295 nodes/,
    ],
    [
      'ip-fragments',
      'a table of 2^32 - 1 buckets',
      change(buckets + offset('bucket_table', 'size'), 0xffff_ffffn, 4),
      /4294967295 buckets/,
    ],
    ['ip-fragments', 'buckets in pieces', change(buckets + offset('bucket_table', 'nest'), 6n, 4), /nested/],
    [
      'ip-fragments',
      'tables without end',
      change(buckets + offset('bucket_table', 'future_tbl'), buckets, 8),
      /does not terminate/,
    ],
    [
      'neighbours',
      'a neighbour that follows upon itself',
      change(nextNeighbour, neighbour, 8),
      /has more than \d+ neighbours/,
    ],
    [
      'neighbours',
      'a neighbour of another table',
      change(neighbour + offset('neighbour', 'tbl'), neighbours, 8),
      /belongs to another table/,
    ],
    [
      'neighbours',
      'a neighbour that counts other skbs',
      change(neighbour + offset('neighbour', 'arp_queue.qlen'), 77n, 4),
      /counts 77 skbs, but has \d/,
    ],
    [
      'neighbours',
      'a table of 2^32 - 1 neighbours',
      change(arp + offset('neigh_table', 'entries'), 0xffff_ffffn, 4),
      /4294967295 neighbours/,
    ],
    [
      'neighbours',
      'a table of 2^31 buckets',
      change(neighbours + offset('neigh_hash_table', 'hash_shift'), 31n, 4),
      /2\^31 buckets/,
    ],
    ['gro', 'a list that is torn', change(napi + offset('napi_struct', gro), NOT_READABLE, 8), /list/],
    [
      'gro',
      'an instance of another device',
      change(napi + offset('napi_struct', 'dev'), napi, 8),
      /belongs to another device/,
    ],
    [
      'rings tun',
      'a ring of 2^31 entries',
      change(ring + offset('ptr_ring', 'size'), 2n ** 31n, 4),
      /2147483648 entries/,
    ],
    [
      'rings tun',
      'a ring that is read beyond its end',
      change(ring + offset('ptr_ring', 'consumer_head'), 0xffff_ffffn, 4),
      /read up to 4294967295/,
    ],
    [
      'rings tun',
      'a ring that cannot be read',
      change(ring + offset('ptr_ring', 'queue'), NOT_READABLE, 8),
      /part of the ring/,
    ],
    [
      'rings tun',
      'more queues than there can be',
      change(tap.privateData + offset('tun_struct', 'numqueues'), 257n, 4),
      /has 257 queues/,
    ],
    [
      'rings tun',
      'a file of another device',
      change(file + offset('tun_file', 'tun'), file, 8),
      /belongs to another device/,
    ],
    ['xdp-rings', 'a list of sockets that is torn', change((xdp[0] ?? 0n) + 8n, NOT_READABLE, 8), /is inconsistent/],
    [
      'xdp-rings',
      'a ring that cannot be read',
      change(xsk + offset('xdp_sock', 'pool'), NOT_READABLE, 8),
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
      const rx = pointer(xsk + offset('xdp_sock', 'rx'));
      const damage = change(rx + offset('xsk_queue', 'ring_vmalloc_size'), 2n ** 40n, 8);
      expect(rows(damage).get('xdp-rings')?.message).toMatch(/1099511627776 bytes for \d+ entries/);
    });

  test('counts an XDP frame in a ring; the memory that it pins is unknown', () => {
    const row = rows(change(entry, (inRing[0] ?? 0n) | 1n, 8)).get('rings tun');
    expect(row).toMatchObject({ objects: inRing.length, bytes: null });
    expect(row?.message).toMatch(/1 XDP frame queued too/);
  });

  test.each(['veth', 'macvtap'])('reports rings of %s devices', (kind) => {
    const ops = pointer(tap.address + offset('net_device', 'rtnl_link_ops'));
    const at = pointer(ops + offset('rtnl_link_ops', 'kind'));
    const bytes = new TextEncoder().encode(`${kind}\0`);
    const found = rows({ patches: [{ address: at, bytes }], denials: [] });
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
    const list = tap.address + offset('net_device', 'napi_list');
    const empty = [patch(list, list, 8), patch(list + 8n, list, 8), { address: at, bytes }];
    const without = rows({ patches: empty, denials: [] }).has(`rings ${kind}`);
    expect(without).toBe(kind !== 'veth');
  });

  test('reports the kind of an unreadable device', () => {
    const ops = pointer(tap.address + offset('net_device', 'rtnl_link_ops'));
    const damaged = rows(change(ops + offset('rtnl_link_ops', 'kind'), NOT_READABLE, 8));
    expect(damaged.get('rings')?.message).toMatch(/not counted: .*part of the name/);
    expect(damaged.get('skbs')?.objects).toBeNull();
    expect(damaged.get('gro')?.objects).not.toBeNull();
  });

  test('counts driver rings and tunnel queues', () => {
    const before = rows({ patches: [], denials: [] }).get('gro')?.objects ?? 0;
    const [filled = 0n, waiting = 0n] = inRing;
    const cell = napi - offset('gro_cell', 'napi') + offset('gro_cell', 'napi_skbs');
    const ofCell = [
      patch(napi + offset('napi_struct', 'poll'), needSymbol(kernel, 'gro_cell_poll'), 8),
      patch(cell, waiting, 8),
      patch(cell + 8n, waiting, 8),
      patch(waiting, cell, 8),
      patch(waiting + 8n, cell, 8),
    ];
    const fill = patch(napi + offset('napi_struct', 'skb'), filled, 8);
    expect(rows({ patches: [fill], denials: [] }).get('gro')?.objects).toBe(before + 1);
    expect(rows({ patches: [fill, ...ofCell], denials: [] }).get('gro')?.objects).toBe(before + 2);
  });
});
