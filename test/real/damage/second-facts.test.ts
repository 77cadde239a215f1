import { describe, expect, test } from 'vitest';
import { accountAll } from '../../../src/account/sockets.js';
import { hex } from '../../../src/base/util.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
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
import type { Damage } from '../../support/damaged-kernel.js';
import { KERNELS } from '../../support/lab.js';
import { ledgerOf } from '../../support/ledger.js';
import { dumpKernel } from '../../support/opened-kernel.js';

describe.each(KERNELS)('second facts about %s', (version) => {
  const { kernel, has, addressOf, offset, read, set, add, clear, damagedBy } = dumpKernel(version);
  const { sockets, warnings } = accountAll(kernel);
  const layout = kernel.struct('page')!;
  const damaged = (...patches: Damage[]) => accountAll(damagedBy(...patches));
  const ask = (...patches: Damage[]) => {
    const answer = damaged(...patches);
    return answer.warnings.map(({ message }) => message).join('\n');
  };
  const rowOf = (what: string, ...patches: Damage[]) => ledgerOf(damaged(...patches)).get(what)!;
  /** Socks that only slabs lead to. */
  const hidden = sockets.filter(({ foundBy }) => foundBy.length === 1 && foundBy[0] === 'slab');
  /** The first struct page of a queued compound page of four pages or more. */
  const compound = (() => {
    const pages = new PageReader(kernel);
    for (const { socket } of sockets) {
      const head = addressOf(socket.sock, 'sock.sk_receive_queue');
      const skb = read(head);
      if (skb === head) continue;
      const info = read(skb, 'sk_buff.head') + read(skb, 'sk_buff.end');
      if (read(info, 'skb_shared_info.nr_frags') === 0n) continue;
      const page = pages.block(read(info, 'skb_shared_info.frags'));
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
    expect(ask(set(address, 1, order))).toContain('its tails differ');
  });

  test('report a network device without its parent device', () => {
    const [card] = [...netDevices(kernel)].filter(({ parent }) => parent !== 0n);
    const said = [...ledgerOf(damaged(clear(card?.address ?? 0n, 'net_device.dev.parent'))).values()];
    expect(said.map(({ message }) => message).join('\n')).toContain('has no valid parent');
  });

  test('report a slab whose struct page is zeros', () => {
    const page = kernel.pages.pageOf(hidden[0]!.socket.sock) ?? 0n;
    const block = new PageReader(kernel).block(page);
    const address = kernel.pages.pageOfFrame(block.frame);
    expect(ask(clear(address, 'page'))).toMatch(/counts \d+ slabs, \d+ were found/);
  });

  test.each([
    ['less', (own: bigint) => own ^ 4n],
    ['more', () => 0x7fffn],
  ])('report a slab with %s objects than its cache has, and invent no slot', (_, claim) => {
    const block = new PageReader(kernel).block(kernel.pages.pageOf(hidden[0]!.socket.sock) ?? 0n);
    const slab = kernel.pages.pageOfFrame(block.frame);
    const count = `${has('slab.objects') ? 'slab' : 'page'}.objects`;
    const objects = claim(read(slab, count));
    const answer = damaged(set(slab, count, objects));
    expect(answer.warnings.map(({ message }) => message).join()).toContain(`claims ${objects} objects`);
    expect(answer.sockets.length).toBe(sockets.length);
  });

  test('report a sock without a descriptor that lost its protocol', () => {
    expect(ask(set(hidden[0]!.socket.sock, 'sock_common.skc_prot', 0x1234n))).toContain('its protocol is 0x1234');
  });

  test('report zeros in place of any sock that only slabs lead to', () => {
    const silent = hidden.map(({ socket }) => socket.sock).filter((sock) => damaged(clear(sock, 'sock')).complete);
    expect(silent.map(hex)).toEqual([]);
  });

  test('ignore a closed unix sock without references whose message is still queued', () => {
    const isUnix = (sock: bigint) => read(sock, 'sock_common.skc_family') === 1n;
    const closed = hidden.map(({ socket }) => socket.sock).find(isUnix)!;
    const answer = damaged(clear(closed, 'sock_common.skc_refcnt'));
    expect(answer.warnings).toEqual([]);
    expect(answer.sockets.length).toBe(sockets.length - 1);
  });

  test('report a page of zeros under any kernel socket', () => {
    const own = hidden.filter(({ socket }) => socket.inode);
    const pages = new Set(own.map(({ socket }) => read(socket.sock, 'sock.sk_socket') & ~0xfffn));
    const silent = [...pages].filter((page) => damaged(clear(page, 4096)).complete);
    expect(silent.map(hex)).toEqual([]);
  });

  test('report a freed sock with a reference', () => {
    const [one] = freedSocks(kernel);
    expect(ask(set(one!, 'sock_common.skc_refcnt', 1n))).toContain('is in a free slab slot');
  });

  test('report a slab of another cache whose struct page is zeros', () => {
    const block = new PageReader(kernel).block(taskPage(kernel));
    const address = kernel.pages.pageOfFrame(block.frame);
    const row = rowOf('other-pages', clear(address, 'page'));
    expect(row.message).toMatch(/counts \d+ slabs, but \d+ were found/);
  });

  test('report a zone whose pages differ from the count of its node', () => {
    const zone = addressOf(memoryNodes(kernel)[0]!, 'pglist_data.node_zones');
    const size = BigInt(kernel.struct('zone')!.size);
    const zones = [0n, 1n, 2n].map((index) => addressOf(zone + index * size, 'zone.present_pages'));
    const row = rowOf('other-pages', add(zones.find((at) => read(at) > 0n)!, 8, -1n));
    expect(row.message).toMatch(/nodes have \d+ pages, and their zones \d+/);
  });

  test('report another cache of inodes of sockets', () => {
    expect(ask(add('sock_inode_cachep', 8, -1n))).toContain('is not the slab cache sock_inode_cache');
    const other = protocols(kernel).find(({ name }) => name === 'TCP')!;
    expect(ask(set('sock_inode_cachep', 8, other.cache))).toContain('is not the slab cache sock_inode_cache');
  });

  test('report two kernel sockets with one TCP sock', () => {
    const own = (protocol: string) => hidden.filter(({ socket }) => socket.inode && socket.protocol === protocol);
    const [first, second] = own('TCP').map(({ socket }) => read(socket.sock, 'sock.sk_socket'));
    expect(ask(set(first!, 'socket.sk', read(second!, 'socket.sk')))).toMatch(
      /its sock 0x\w+ points to the socket 0x\w+/,
    );
  });

  test('report a file of a message that is none, and one that another message has', () => {
    const [file, other] = sockets.flatMap(({ carriedBy }) =>
      carriedBy.map((carrier) => {
        const skb = read(carrier, 'sock.sk_receive_queue');
        const list = read(addressOf(skb, 'sk_buff.cb') + offset('unix_skb_parms.fp'));
        return addressOf(list, 'scm_fp_list.fp');
      }),
    );
    expect(ask(add(file!, 8, 64n))).toContain('which is no file');
    const list = file! - BigInt(offset('scm_fp_list.fp'));
    expect(ask(set(list, 'scm_fp_list.count', 0n))).toContain('has an invalid number of files (0)');
    expect(ask(set(file!, 8, read(other!)))).toMatch(
      /file 0x\w+ counts \d references, but messages and others have \d/,
    );
  });

  test('report huge pages that are on no node', () => {
    const row = rowOf('other-pages', set('hstates', 'hstate.nr_huge_pages', 3n));
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

const newest = dumpKernel('newest');

test('report a page that lost its page pool mark', () => {
  const { kernel } = newest;
  const pages = new NetworkPages(kernel);
  for (const _ of new SlabScan(kernel, new Warnings()).slots(new Set(), { look: pages }));
  const answer = accountAll(newest.damagedBy(newest.clear(pages.poolPages[0]!, 'page')));
  const row = ledgerOf(answer).get('page-pools');
  // The driver decides how many pages there are.
  const [, counted, found] = /counts (\d+) pages, but (\d+) were found/.exec(row?.message ?? '') ?? [];
  expect(Number(counted)).toBe(Number(found) + 1);
  expect(Number(found)).toBe(pages.poolPages.length - 1);
});
