import { describe, expect, test } from 'vitest';
import { accountFd } from '../../src/account/skb.js';
import { accountAll } from '../../src/account/sockets.js';
import { type Damage, UNDAMAGED } from '../support/damaged-kernel.js';
import { fixtureKernel } from '../support/opened-kernel.js';

const ALL_ONES = 2n ** 32n - 1n;

describe.each(['5.10', '6.1', '6.12', 'newest'] as const)('reports corrupt counts on %s', (name) => {
  const { kernel, has, offset, addressOf, read, set, clear, damagedBy } = fixtureKernel(name);

  /** The skbs in the receive queues of sockets with one holder. */
  const skbs: { readonly skb: bigint; readonly pid: number; readonly fd: number }[] = [];
  for (const { socket, queues, holders } of accountAll(kernel).sockets) {
    const [holder] = holders;
    if (holders.length !== 1 || !holder || !queues.receive?.complete) continue;
    const head = addressOf(socket.sock, 'sock.sk_receive_queue');
    for (let skb = read(head); skb !== head; skb = read(skb)) skbs.push({ skb, pid: holder.pid, fd: holder.fd });
  }
  const headOf = (skb: bigint) => read(skb, 'sk_buff.head');
  const infoOf = (skb: bigint) => headOf(skb) + read(skb, 'sk_buff.end');
  const pageOf = (address: bigint) => kernel.pages.pageOf(address)!;

  /** The first `struct page` of a compound allocation. */
  function firstOf(page: bigint): bigint {
    const member = has('page.compound_head') ? 'head' : 'info';
    const word = read(page, `page.compound_${member}`);
    if ((word & 1n) === 0n) return page;
    return member === 'info' && has('zone.vmemmap_tails') ? page & (word - 1n) : word - 1n;
  }

  const ask = (damage: Damage, { pid, fd }: { pid: number; fd: number }) => accountFd(damagedBy(damage), pid, fd);
  const [some] = skbs;
  const victim = some!;

  function expectReported(damage: Damage, of: { pid: number; fd: number }, message: RegExp) {
    expect(ask(UNDAMAGED, of).total.complete).toBe(true);
    const { total, warnings } = ask(damage, of);
    expect(total.complete).toBe(false);
    expect(warnings).toContainEqual({ code: 'corrupt', message: expect.stringMatching(message) });
  }

  test.each([0n, ALL_ONES, 2n ** 31n])('an skb with %i users', (users) => {
    const damage = set(victim.skb, 'sk_buff.users.refs.counter', users);
    expectReported(damage, victim, /its slab slot: it has -?\d+ users/);
  });

  test.each([0n, ALL_ONES, 2n ** 31n + 1n, 2n ** 16n])('a head with %i references', (count) => {
    const damage = set(infoOf(victim.skb), 'skb_shared_info.dataref.counter', count);
    expectReported(damage, victim, /its clones: its head counts \d+ references/);
  });

  test('an skb that was never cloned and shares its head', () => {
    const sole = skbs.find(({ skb }) => read(skb, 'sk_buff.cloned') === 0n);
    const damage = set(infoOf(sole!.skb), 'skb_shared_info.dataref.counter', 2n);
    expectReported(damage, sole!, /counts 2 references, 0 of them .* was never cloned/);
  });

  test.each([0n, ALL_ONES])('a pair of skbs of which %i are in use', (count) => {
    const pair = skbs.find(({ skb }) => read(skb, 'sk_buff.fclone') === 2n);
    const first = pair!.skb - offset('sk_buff_fclones.skb2');
    const damage = set(first, 'sk_buff_fclones.fclone_ref.refs.counter', count);
    expectReported(damage, pair!, /-?\d of its pair are in use/);
  });

  test('a struct page of zeros under an skb', () => {
    const damage = clear(firstOf(pageOf(victim.skb)), 'page');
    expectReported(damage, victim, /its slab slot: it lies in no slab/);
  });

  test('a struct page of zeros under a linear head', () => {
    const slabs = new Set(skbs.map(({ skb }) => firstOf(pageOf(skb))));
    const apart = skbs.find(({ skb }) => {
      const page = pageOf(headOf(skb));
      return firstOf(page) === page && !slabs.has(page);
    });
    const damage = clear(pageOf(headOf(apart!.skb)), 'page');
    expectReported(damage, apart!, /its head: its page is free/);
  });

  /** Pages that frags of one queue refer to, and the number of these frags. */
  const pages = new Map<bigint, { of: typeof victim; frags: number }>();
  const fragType = kernel.struct('skb_frag_t') ? 'skb_frag_t' : 'skb_frag';
  const pointer = ['netmem', 'bv_page', 'page.p'].map((path) => `${fragType}.${path}`).find(has)!;
  for (const of of skbs) {
    const info = infoOf(of.skb);
    const frags = Number(read(info, 'skb_shared_info.nr_frags'));
    for (let index = 0; index < frags; index++) {
      const frag = addressOf(info, 'skb_shared_info.frags') + BigInt(index * kernel.struct(fragType)!.size);
      const page = firstOf(read(frag, pointer));
      const known = pages.get(page);
      if (!known) pages.set(page, { of, frags: 1 });
      else if (known.of.pid === of.pid && known.of.fd === of.fd) known.frags++;
    }
  }
  const [page, { of, frags }] = [...pages].toSorted(([, a], [, b]) => b.frags - a.frags)[0]!;

  test('a page with fewer references than frags', () => {
    expect(frags).toBeGreaterThan(2);
    const damage = set(page, 'page._refcount', BigInt(frags - 1));
    expectReported(damage, of, new RegExp(`counts ${frags - 1} references, but ${frags} were found`));
  });

  test.each([ALL_ONES, 2n ** 31n])('a page with %i references', (count) => {
    const damage = set(page, 'page._refcount', count);
    expectReported(damage, of, /the page 0x[0-9a-f]+ counts -\d+ references/);
  });
});
