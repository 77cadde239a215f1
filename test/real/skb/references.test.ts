import { afterAll, describe, expect, test } from 'vitest';
import { accountFd } from '../../../src/account/skb.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { StructReader } from '../../../src/walk/struct-reader.js';
import { damagedKernel, type Patch } from '../../support/damaged-kernel.js';
import { labDump, oracleSocket, role } from '../../support/lab.js';

/** States of memory that do not occur in the lab's guests, written over existing ones. */
describe.each(['6.1', 'newest'] as const)('references as counted by %s', (version) => {
  const { elf, truth, oracle } = labDump(version);
  const sound = openNative({ files: [elf] });
  afterAll(() => sound.close());

  const { pid, fd } = role(truth, 'loopback-large');
  const offset = (type: string, member: string) => BigInt(sound.struct(type)?.member(member)?.offset ?? Number.NaN);
  const pointer = (address: bigint) => sound.read(address, 8).getBigUint64(0, true);
  const { sock } = oracleSocket(oracle, pid, fd);
  const first = pointer(BigInt(sock) + offset('sock', 'sk_receive_queue'));
  const skb = new StructReader(sound, 'sk_buff', ['head', 'end', 'users.refs.counter']);
  const { shared, users } = (() => {
    const view = skb.read(first);
    return {
      shared: view.pointer('head') + BigInt(view.number('end')),
      users: view.addressOf('users.refs.counter'),
    };
  })();
  const firstFrag = shared + offset('skb_shared_info', 'frags');

  const int = (address: bigint, value: number): Patch => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return { address, bytes };
  };
  const answer = (...patches: readonly Patch[]) => accountFd(damagedKernel(sound, { patches, denials: [] }), pid, fd);
  const before = answer();
  const codes = (after: typeof before) => after.warnings.map(({ code }) => code);

  test('the modified skb has its own pages', () => {
    expect(before.total).toMatchObject({ complete: true });
    expect(sound.read(shared + offset('skb_shared_info', 'nr_frags'), 1).getUint8(0)).toBeGreaterThan(0);
    expect(before.ownership.exclusiveBytes).toBeGreaterThan(0);
  });

  test('does not count memory of an skb as freed if it has another reference', () => {
    const after = answer(int(users, 2));
    expect(after.total).toEqual(before.total);
    const less = before.ownership.exclusiveBytes - after.ownership.exclusiveBytes;
    // More than the slot of the skb itself: its pages.
    expect(less).toBeGreaterThanOrEqual(4096);
    expect(after.ownership.sharedBytes).toBe(before.ownership.sharedBytes + less);
  });

  test('pages of frags without a reference belong to another owner', () => {
    const flags = shared + offset('skb_shared_info', 'flags');
    const after = answer({ address: flags, bytes: Buffer.from([1 << 4]) });
    expect(after.total).toEqual(before.total);
    const page = pointer(firstFrag) & ~1n;
    expect(page).not.toBe(0n);
    const lost = before.ownership.exclusiveBytes - after.ownership.exclusiveBytes;
    expect(lost).toBeGreaterThanOrEqual(4096);
    expect(after.ownership.sharedBytes - before.ownership.sharedBytes).toBe(lost);
  });

  test('reports a frag of a free page', () => {
    const word = sound.struct('page')?.member('compound_head') ?? sound.struct('page')?.member('compound_info');
    const page = pointer(firstFrag);
    const up = pointer(page + BigInt(word?.offset ?? Number.NaN));
    const head = (up & 1n) === 0n ? page : version === 'newest' ? page & (up - 1n) : up - 1n;
    const after = answer(int(head + offset('page', '_refcount'), 0));
    expect(codes(after)).toEqual(expect.arrayContaining(['corrupt']));
    expect(after.warnings[0]?.message).toContain('its page is free');
    expect(after.total.complete).toBe(false);
  });

  // io_uring of older kernels does not lend pages.
  if (version === 'newest')
    test('pages that io_uring lent for receiving are not device memory', () => {
      // Any memory works for the net_iov: only its type matters.
      const iov = first;
      const type = iov + offset('net_iov', 'type');
      const netmem: Patch = { address: firstFrag, bytes: Buffer.alloc(8) };
      Buffer.from(netmem.bytes.buffer, netmem.bytes.byteOffset).writeBigUInt64LE(iov | 1n);
      const device = answer(netmem, int(type, 0));
      expect(codes(device)).toEqual(['device-memory']);
      expect(device.total.complete).toBe(true);
      const lent = answer(netmem, int(type, 1));
      expect(codes(lent)).toEqual(['unsupported-layout']);
      expect(lent.total.complete).toBe(false);
    });
});
