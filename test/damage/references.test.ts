import { afterAll, describe, expect, test } from 'vitest';
import { accountFd } from '../../src/account/skb.js';
import { accountAll } from '../../src/account/sockets.js';
import { openNative } from '../../src/kernel/native/open.js';
import { type Damage, damagedKernel } from '../support/damaged-kernel.js';
import { type FixtureName, fixture } from '../support/fixtures.js';
import { littleEndian } from '../support/little-endian.js';

const ALL_ONES = 2n ** 32n - 1n;

/** A real dump, and the skbs in the receive queues of one process's sockets. */
class Counts {
  readonly kernel;
  readonly skbs: { readonly skb: bigint; readonly pid: number; readonly fd: number }[] = [];

  constructor(name: FixtureName) {
    this.kernel = openNative({ files: [fixture(name).vmcore] });
    for (const { socket, queues, holders } of accountAll(this.kernel).sockets) {
      const [holder] = holders;
      if (holders.length !== 1 || !holder || !queues.receive?.complete) continue;
      const head = this.at(socket.sock, 'sock', 'sk_receive_queue');
      for (let skb = this.word(head); skb !== head; skb = this.word(skb)) {
        this.skbs.push({ skb, pid: holder.pid, fd: holder.fd });
      }
    }
  }

  at(object: bigint, type: string, path: string): bigint {
    return object + BigInt(this.member(type, path).offset);
  }

  member(type: string, path: string) {
    const member = this.kernel.struct(type)?.member(path);
    if (!member) throw new Error(`no ${type}.${path}`);
    return member;
  }

  word(address: bigint): bigint {
    return this.kernel.read(address, 8).getBigUint64(0, true);
  }

  int(object: bigint, type: string, path: string): number {
    return this.kernel.read(this.at(object, type, path), 4).getUint32(0, true);
  }

  head(skb: bigint): bigint {
    return this.word(this.at(skb, 'sk_buff', 'head'));
  }

  info(skb: bigint): bigint {
    return this.head(skb) + BigInt(this.int(skb, 'sk_buff', 'end'));
  }

  /** The first `struct page` of a compound allocation. */
  first(page: bigint): bigint {
    const member = this.kernel.struct('page')?.member('compound_head') ? 'head' : 'info';
    const word = this.word(this.at(page, 'page', `compound_${member}`));
    if ((word & 1n) === 0n) return page;
    return member === 'info' && this.kernel.struct('zone')?.member('vmemmap_tails') ? page & (word - 1n) : word - 1n;
  }

  setInt(object: bigint, type: string, path: string, value: bigint): Damage {
    const address = this.at(object, type, path);
    return { patches: [{ address, bytes: littleEndian(value, 4) }], denials: [] };
  }

  ask(damage: Damage, { pid, fd }: { pid: number; fd: number }) {
    return accountFd(damagedKernel(this.kernel, damage), pid, fd);
  }

  zeroed(page: bigint): Damage {
    const bytes = new Uint8Array(this.kernel.struct('page')!.size);
    return { patches: [{ address: page, bytes }], denials: [] };
  }
}

describe.each(['5.10', '6.1', '6.12', 'newest'] as const)('reports corrupt counts on %s', (name) => {
  const dump = new Counts(name);
  afterAll(() => dump.kernel.close());

  const [some] = dump.skbs;
  const victim = some!;

  function expectReported(damage: Damage, of: { pid: number; fd: number }, message: RegExp) {
    expect(dump.ask({ patches: [], denials: [] }, of).total.complete).toBe(true);
    const { total, warnings } = dump.ask(damage, of);
    expect(total.complete).toBe(false);
    expect(warnings).toContainEqual({ code: 'corrupt', message: expect.stringMatching(message) });
  }

  test.each([0n, ALL_ONES, 2n ** 31n])('an skb with %i users', (users) => {
    const damage = dump.setInt(victim.skb, 'sk_buff', 'users.refs.counter', users);
    expectReported(damage, victim, /its slab slot: it has -?\d+ users/);
  });

  test.each([0n, ALL_ONES, 2n ** 31n + 1n, 2n ** 16n])('a head with %i references', (count) => {
    const damage = dump.setInt(dump.info(victim.skb), 'skb_shared_info', 'dataref.counter', count);
    expectReported(damage, victim, /its clones: its head counts \d+ references/);
  });

  test('an skb that was never cloned and shares its head', () => {
    const sole = dump.skbs.find(({ skb }) => {
      const { offset, bits } = dump.member('sk_buff', 'cloned');
      const byte = dump.kernel.read(skb + BigInt(offset), 1).getUint8(0);
      return ((byte >> (bits?.offset ?? 0)) & 1) === 0;
    });
    const damage = dump.setInt(dump.info(sole!.skb), 'skb_shared_info', 'dataref.counter', 2n);
    expectReported(damage, sole!, /counts 2 references, 0 of them .* was never cloned/);
  });

  test.each([0n, ALL_ONES])('a pair of skbs of which %i are in use', (count) => {
    const { offset, bits } = dump.member('sk_buff', 'fclone');
    const pair = dump.skbs.find(({ skb }) => {
      const byte = dump.kernel.read(skb + BigInt(offset), 1).getUint8(0);
      return ((byte >> (bits?.offset ?? 0)) & 3) === 2;
    });
    const first = pair!.skb - BigInt(dump.member('sk_buff_fclones', 'skb2').offset);
    const damage = dump.setInt(first, 'sk_buff_fclones', 'fclone_ref.refs.counter', count);
    expectReported(damage, pair!, /-?\d of its pair are in use/);
  });

  test('a struct page of zeros under an skb', () => {
    const damage = dump.zeroed(dump.first(dump.kernel.pages.pageOf(victim.skb)!));
    expectReported(damage, victim, /its slab slot: it lies in no slab/);
  });

  test('a struct page of zeros under a linear head', () => {
    const pageOf = (address: bigint) => dump.kernel.pages.pageOf(address)!;
    const slabs = new Set(dump.skbs.map(({ skb }) => dump.first(pageOf(skb))));
    const apart = dump.skbs.find(({ skb }) => {
      const page = pageOf(dump.head(skb));
      return dump.first(page) === page && !slabs.has(page);
    });
    const damage = dump.zeroed(pageOf(dump.head(apart!.skb)));
    expectReported(damage, apart!, /its head: its page is free/);
  });

  /** Pages that frags of one queue refer to, and the number of these frags. */
  const pages = new Map<bigint, { of: typeof victim; frags: number }>();
  const layout = dump.kernel.struct('skb_frag_t') ?? dump.kernel.struct('skb_frag');
  const pointer = ['netmem', 'bv_page', 'page.p'].flatMap((path) => layout?.member(path) ?? []);
  for (const of of dump.skbs) {
    const info = dump.info(of.skb);
    const frags = dump.kernel.read(dump.at(info, 'skb_shared_info', 'nr_frags'), 1).getUint8(0);
    for (let index = 0; index < frags; index++) {
      const frag = dump.at(info, 'skb_shared_info', 'frags') + BigInt(index * layout!.size);
      const page = dump.first(dump.word(frag + BigInt(pointer[0]!.offset)));
      const known = pages.get(page);
      if (!known) pages.set(page, { of, frags: 1 });
      else if (known.of.pid === of.pid && known.of.fd === of.fd) known.frags++;
    }
  }
  const [page, { of, frags }] = [...pages].toSorted(([, a], [, b]) => b.frags - a.frags)[0]!;

  test('a page with fewer references than frags', () => {
    expect(frags).toBeGreaterThan(2);
    const damage = dump.setInt(page, 'page', '_refcount', BigInt(frags - 1));
    expectReported(damage, of, new RegExp(`counts ${frags - 1} references, but ${frags} were found`));
  });

  test.each([ALL_ONES, 2n ** 31n])('a page with %i references', (count) => {
    const damage = dump.setInt(page, 'page', '_refcount', count);
    expectReported(damage, of, /the page 0x[0-9a-f]+ counts -\d+ references/);
  });
});
