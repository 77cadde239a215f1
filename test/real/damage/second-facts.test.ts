import { afterAll, describe, expect, test } from 'vitest';
import { accountAll } from '../../../src/account/sockets.js';
import { hex } from '../../../src/base/util.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { netDevices } from '../../../src/walk/network/net-devices.js';
import { NetworkPages } from '../../../src/walk/network/network-pages.js';
import { PageReader } from '../../../src/walk/pages/pages.js';
import { SlabScan } from '../../../src/walk/pages/slab-scan.js';
import { orderOffset } from '../../../src/walk/pages/struct-page.js';
import { memoryNodes } from '../../../src/walk/pages/vm-counters.js';
import { protocols } from '../../../src/walk/sockets/sock-words.js';
import { StructReader } from '../../../src/walk/struct-reader.js';
import { TaskReader } from '../../../src/walk/tasks/tasks.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { damagedKernel, type Patch } from '../../support/damaged-kernel.js';
import { KERNELS, labDump } from '../../support/lab.js';
import { ledgerOf } from '../../support/ledger.js';
import { littleEndian } from '../../support/little-endian.js';

describe.each(KERNELS)('second facts about %s', (version) => {
  const kernel = openNative({ files: [labDump(version).elf] });
  afterAll(() => kernel.close());
  const { sockets, warnings } = accountAll(kernel);
  const layout = kernel.struct('page')!;
  const damaged = (...patches: Patch[]) => accountAll(damagedKernel(kernel, { patches, denials: [] }));
  const ask = (...patches: Patch[]) => {
    const answer = damaged(...patches);
    return answer.warnings.map(({ message }) => message).join('\n');
  };
  const rowOf = (what: string, ...patches: Patch[]) => ledgerOf(damaged(...patches)).get(what)!;
  /** Zeros for the pages at these addresses. */
  const blankPages = (addresses: readonly bigint[]): Patch[] =>
    [...new Set(addresses.map((address) => address & ~0xfffn))].map((address) => ({
      address,
      bytes: new Uint8Array(4096),
    }));
  /** Socks that only slabs lead to. */
  const hidden = sockets.filter(({ foundBy }) => foundBy.length === 1 && foundBy[0] === 'slab');
  const offsetOf = (type: string, path: string) => BigInt(kernel.struct(type)?.member(path)?.offset ?? Number.NaN);
  /** The first struct page of a queued compound page of four pages or more. */
  const compound = (() => {
    const pages = new PageReader(kernel);
    for (const { socket } of sockets) {
      const head = socket.sock + offsetOf('sock', 'sk_receive_queue');
      const skb = kernel.read(head, 8).getBigUint64(0, true);
      if (skb === head) continue;
      const data = kernel.read(skb + offsetOf('sk_buff', 'head'), 8).getBigUint64(0, true);
      const end = kernel.read(skb + offsetOf('sk_buff', 'end'), 4).getUint32(0, true);
      const info = data + BigInt(end);
      const frags = info + offsetOf('skb_shared_info', 'frags');
      if (kernel.read(info + offsetOf('skb_shared_info', 'nr_frags'), 1).getUint8(0) === 0) continue;
      const page = pages.block(kernel.read(frags, 8).getBigUint64(0, true));
      if (page.kind === 'page' && (page.order ?? 0) >= 2) return kernel.pages.pageOfFrame(page.frame);
    }
    throw new Error('no queue has a compound page');
  })();

  test('agree with the first without damage', () => {
    expect(warnings).toEqual([]);
    expect(hidden.length).toBeGreaterThan(0);
  });

  test.each([1, 6])('report an order of %i that contradicts the tail pages', (order) => {
    const address = compound + BigInt(orderOffset(kernel, layout));
    expect(ask({ address, bytes: littleEndian(BigInt(order), 1) })).toContain('its tails differ');
  });

  test('report a network device without its parent device', () => {
    const [card] = [...netDevices(kernel)].filter(({ parent }) => parent !== 0n);
    const address = (card?.address ?? 0n) + offsetOf('net_device', 'dev.parent');
    const said = [...ledgerOf(damaged({ address, bytes: new Uint8Array(8) })).values()];
    expect(said.map(({ message }) => message).join('\n')).toContain('has no valid parent');
  });

  test('report a slab whose struct page is zeros', () => {
    const page = kernel.pages.pageOf(hidden[0]!.socket.sock) ?? 0n;
    const block = new PageReader(kernel).block(page);
    const address = kernel.pages.pageOfFrame(block.frame);
    expect(ask({ address, bytes: new Uint8Array(layout.size) })).toMatch(/counts \d+ slabs, \d+ were found/);
  });

  test.each([
    ['less', (own: bigint) => own ^ 4n],
    ['more', () => 0x7fffn],
  ])('report a slab with %s objects than its cache has, and invent no slot', (_, claim) => {
    const block = new PageReader(kernel).block(kernel.pages.pageOf(hidden[0]!.socket.sock) ?? 0n);
    const { offset, size, bits } = kernel.struct('slab')?.member('objects') ?? layout.member('objects')!;
    const address = kernel.pages.pageOfFrame(block.frame) + BigInt(offset);
    const shift = BigInt(bits?.offset ?? 0);
    const view = kernel.read(address, size);
    const unit =
      size === 8 ? view.getBigUint64(0, true) : BigInt(size === 4 ? view.getUint32(0, true) : view.getUint16(0, true));
    const objects = claim((unit >> shift) & 0x7fffn);
    const bytes = littleEndian((unit & ~(0x7fffn << shift)) | (objects << shift), size);
    const answer = damaged({ address, bytes });
    expect(answer.warnings.map(({ message }) => message).join()).toContain(`claims ${objects} objects`);
    expect(answer.sockets.length).toBe(sockets.length);
  });

  test('report a sock without a descriptor that lost its protocol', () => {
    const address = hidden[0]!.socket.sock + offsetOf('sock_common', 'skc_prot');
    expect(ask({ address, bytes: littleEndian(0x1234n, 8) })).toContain('its protocol is 0x1234');
  });

  test('report zeros in place of any sock that only slabs lead to', () => {
    const bytes = new Uint8Array(kernel.struct('sock')!.size);
    const silent = hidden.map(({ socket }) => socket.sock).filter((address) => damaged({ address, bytes }).complete);
    expect(silent.map(hex)).toEqual([]);
  });

  test('ignore a closed unix sock without references whose message is still queued', () => {
    const family = offsetOf('sock_common', 'skc_family');
    const isUnix = (sock: bigint) => kernel.read(sock + family, 2).getUint16(0, true) === 1;
    const closed = hidden.map(({ socket }) => socket.sock).find(isUnix)!;
    const address = closed + offsetOf('sock_common', 'skc_refcnt');
    const answer = damaged({ address, bytes: new Uint8Array(4) });
    expect(answer.warnings).toEqual([]);
    expect(answer.sockets.length).toBe(sockets.length - 1);
  });

  test('report a page of zeros under any kernel socket', () => {
    const own = hidden.filter(({ socket }) => socket.inode);
    const toSocket = offsetOf('sock', 'sk_socket');
    const sockets = own.map(({ socket }) => kernel.read(socket.sock + toSocket, 8));
    const pages = blankPages(sockets.map((socket) => socket.getBigUint64(0, true)));
    const silent = pages.filter((page) => damaged(page).complete);
    expect(silent.map(({ address }) => hex(address))).toEqual([]);
  });

  test('report a freed sock with a reference', () => {
    const [one] = freedSocks(kernel);
    const address = one! + offsetOf('sock_common', 'skc_refcnt');
    expect(ask({ address, bytes: littleEndian(1n, 4) })).toContain('is in a free slab slot');
  });

  test('report a slab of another cache whose struct page is zeros', () => {
    const block = new PageReader(kernel).block(taskPage(kernel));
    const address = kernel.pages.pageOfFrame(block.frame);
    const row = rowOf('other-pages', { address, bytes: new Uint8Array(layout.size) });
    expect(row.message).toMatch(/counts \d+ slabs, but \d+ were found/);
  });

  test('report a zone whose pages differ from the count of its node', () => {
    const zone = memoryNodes(kernel)[0]! + offsetOf('pglist_data', 'node_zones');
    const size = BigInt(kernel.struct('zone')!.size);
    const zones = [0n, 1n, 2n].map((index) => zone + index * size + offsetOf('zone', 'present_pages'));
    const address = zones.find((at) => kernel.read(at, 8).getBigUint64(0, true) > 0n)!;
    const pages = kernel.read(address, 8).getBigUint64(0, true) - 1n;
    const row = rowOf('other-pages', { address, bytes: littleEndian(pages, 8) });
    expect(row.message).toMatch(/nodes have \d+ pages, and their zones \d+/);
  });

  test('report huge pages that are on no node', () => {
    const address = kernel.symbol('hstates')! + offsetOf('hstate', 'nr_huge_pages');
    const row = rowOf('other-pages', { address, bytes: littleEndian(3n, 8) });
    expect(row.message).toContain('3 huge pages, and 0 on the nodes');
  });
});

/** Free slots of TCP's cache that contained a sock. */
function freedSocks(kernel: Kernel): bigint[] {
  const tcp = protocols(kernel).find(({ name }) => name === 'TCP')!;
  const sock = new StructReader(kernel, 'sock_common', ['skc_refcnt', 'skc_prot']);
  const slots = [...new SlabScan(kernel, new Warnings()).slots(new Set([tcp.cache]))];
  return slots
    .map(({ object }) => object)
    .filter((object) => {
      const view = sock.read(object);
      return view.pointer('skc_prot') === tcp.address && view.number('skc_refcnt') === 0;
    });
}

/** A page of a slab of tasks. */
function taskPage(kernel: Kernel): bigint {
  const [task] = new TaskReader(kernel).processes();
  return kernel.pages.pageOf(task!.address)!;
}

test('report a page that lost its page pool mark', () => {
  const kernel = openNative({ files: [labDump('newest').elf] });
  const pages = new NetworkPages(kernel);
  for (const _ of new SlabScan(kernel, new Warnings()).slots(new Set(), undefined, pages));
  const bytes = new Uint8Array(kernel.struct('page')!.size);
  const patches = [{ address: pages.poolPages[0]!, bytes }];
  const answer = accountAll(damagedKernel(kernel, { patches, denials: [] }));
  kernel.close();
  const row = ledgerOf(answer).get('page-pools');
  expect(row?.message).toMatch(/counts 256 pages, but 255 were found/);
});
