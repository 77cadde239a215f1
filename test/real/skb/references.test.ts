import { afterAll, describe, expect, test } from 'vitest';
import { accountFd } from '../../../src/account/skb.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { type Damage, memoryOf } from '../../support/damaged-kernel.js';
import { labDump, oracleSocket, role } from '../../support/lab.js';

/** States of memory that do not occur in the lab's guests, written over existing ones. */
describe.each(['6.1', 'newest'] as const)('references as counted by %s', (version) => {
  const { elf, truth, oracle } = labDump(version);
  const sound = openNative({ files: [elf] });
  afterAll(() => sound.close());
  const { has, addressOf, read, set, damagedBy } = memoryOf(sound);

  const { pid, fd } = role(truth, 'loopback-large');
  const { sock } = oracleSocket(oracle, pid, fd);
  const first = read(BigInt(sock), 'sock.sk_receive_queue');
  const shared = read(first, 'sk_buff.head') + read(first, 'sk_buff.end');
  const firstFrag = addressOf(shared, 'skb_shared_info.frags');

  const answer = (...damages: readonly Damage[]) => accountFd(damagedBy(...damages), pid, fd);
  const before = answer();
  const codes = (after: typeof before) => after.warnings.map(({ code }) => code);

  test('the modified skb has its own pages', () => {
    expect(before.total).toMatchObject({ complete: true });
    expect(read(shared, 'skb_shared_info.nr_frags')).toBeGreaterThan(0n);
    expect(before.exclusiveBytes).toBeGreaterThan(0);
  });

  test('does not count memory of an skb as freed if it has another reference', () => {
    const after = answer(set(first, 'sk_buff.users.refs.counter', 2n));
    expect(after.total).toEqual(before.total);
    const less = before.exclusiveBytes - after.exclusiveBytes;
    // More than the slot of the skb itself: its pages.
    expect(less).toBeGreaterThanOrEqual(4096);
    expect(after.sharedBytes).toBe(before.sharedBytes + less);
  });

  test('pages of frags without a reference belong to another owner', () => {
    const after = answer(set(shared, 'skb_shared_info.flags', 1n << 4n));
    expect(after.total).toEqual(before.total);
    const page = read(firstFrag) & ~1n;
    expect(page).not.toBe(0n);
    const lost = before.exclusiveBytes - after.exclusiveBytes;
    expect(lost).toBeGreaterThanOrEqual(4096);
    expect(after.sharedBytes - before.sharedBytes).toBe(lost);
  });

  test('reports a frag of a free page', () => {
    const page = read(firstFrag);
    const up = read(page, has('page.compound_head') ? 'page.compound_head' : 'page.compound_info');
    const head = (up & 1n) === 0n ? page : version === 'newest' ? page & (up - 1n) : up - 1n;
    const after = answer(set(head, 'page._refcount', 0n));
    expect(codes(after)).toEqual(expect.arrayContaining(['corrupt']));
    expect(after.warnings[0]?.message).toContain('its page is free');
    expect(after.total.complete).toBe(false);
  });

  // io_uring of older kernels does not lend pages.
  if (version === 'newest')
    test('pages that io_uring lent for receiving are not device memory', () => {
      // Any memory works for the net_iov: only its type matters.
      const iov = first;
      const netmem = set(firstFrag, 8, iov | 1n);
      const device = answer(netmem, set(iov, 'net_iov.type', 0n));
      expect(codes(device)).toEqual(['device-memory']);
      expect(device.total.complete).toBe(true);
      const lent = answer(netmem, set(iov, 'net_iov.type', 1n));
      expect(codes(lent)).toEqual(['unsupported-layout']);
      expect(lent.total.complete).toBe(false);
    });
});
