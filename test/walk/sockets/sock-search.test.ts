import { describe, expect, test } from 'vitest';
import { ReadError } from '../../../src/base/errors.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { endsKey, type SockKey, searchSocks } from '../../../src/walk/sockets/sock-search.js';
import { type Damage, damagedKernel, kernelWith, together, UNDAMAGED } from '../../support/damaged-kernel.js';
import { fixtureKernel } from '../../support/opened-kernel.js';

/** The memory of a small dump. Parts of objects that the dump lacks read as zeros; no query depends on them. */
function filled(kernel: Kernel, objects: readonly (readonly [bigint, number])[]): Kernel {
  const read = (address: bigint, length: number): DataView => {
    const end = address + BigInt(length);
    const made = objects.some(([start, size]) => address >= start && end <= start + BigInt(size));
    if (!made) return kernel.read(address, length);
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at++) {
      try {
        bytes[at] = kernel.read(address + BigInt(at), 1).getUint8(0);
      } catch (error) {
        if (!(error instanceof ReadError)) throw error;
      }
    }
    return new DataView(bytes.buffer);
  };
  return kernelWith(kernel, { read });
}

const COOKIE = 0x1234_5678_9abcn;
const NOBODYS: readonly SockKey[] = ['inode 999999', `cookie ${COOKIE}`, 'ends 1 2 3'];

// The types of socket inodes changed between these versions.
describe.each(['6.1', 'newest'] as const)('socks of %s that no descriptor refers to', (name) => {
  const { kernel, truth, read, set, lose } = fixtureKernel(name);

  const known = truth.sockets.map((socket) => ({ ...socket, sock: BigInt(socket.sock) }));
  const size = (type: string) => kernel.struct(type)?.size ?? 0;
  const memory = filled(
    kernel,
    known.flatMap(({ sock, socket }) => [
      [sock, size('tcp6_sock')],
      [BigInt(socket), size('socket_alloc')],
    ]),
  );
  const established = known.filter(({ protocol, state }) => protocol === 'TCP' && state === 'ESTABLISHED');
  const inode = (one: { readonly inode: number } | undefined): SockKey => `inode ${one?.inode ?? 0}`;
  const ends = (one: (typeof known)[number] | undefined): SockKey =>
    endsKey(one?.netns ?? null, one?.local ?? '', one?.peer ?? '');
  /** The socks that each key finds. */
  const search = (keys: readonly SockKey[], damage: Damage = UNDAMAGED) => {
    const found = searchSocks(damagedKernel(memory, damage), keys);
    return keys.map((key) => found.get(key)?.map(({ sock }) => sock));
  };

  test('are each found once by their inode number, and by no other key', () => {
    const [one] = established;
    const sockKeys = [...known.map(inode), ends(one), ...NOBODYS];
    expect(known.length).toBeGreaterThan(30);
    expect(search(sockKeys)).toEqual([...known.map(({ sock }) => [sock]), [], ...NOBODYS.map(() => [])]);
    expect(searchSocks(kernel, [])).toEqual(new Map());
  });

  // The same memory, with a different change to each of some socks.
  test('handle a free slot, copies of protocols, ambiguous matches, and unreadable socks', () => {
    const [orphan, cookie, copied, free, twin, other, lost] = established;
    if (!lost || !orphan || !cookie || !copied || !free || !twin || !other)
      throw new Error('the dump has too few connections');
    const damage = together(
      set(orphan.sock, 'sock.sk_socket', 0n),
      set(cookie.sock, 'sock.__sk_common.skc_cookie.counter', COOKIE),
      set(copied.sock, 'sock.__sk_common.skc_cookie.counter', COOKIE + 1n),
      set(copied.sock, 'sock.__sk_common.skc_prot', copied.sock),
      set(free.sock, 'sock.__sk_common.skc_refcnt', 0n),
      set(twin.sock, 'sock.sk_socket', read(other.sock, 'sock.sk_socket')),
      lose(lost.sock, 64),
    );
    const expected: readonly (readonly [SockKey, readonly { readonly sock: bigint }[]])[] = [
      // Without an inode, only its addresses identify it.
      [inode(orphan), []],
      [ends(orphan), [orphan]],
      [inode(cookie), [cookie]],
      [`cookie ${COOKIE}`, [cookie]],
      // A cookie is unique, whatever the protocol is.
      [`cookie ${COOKIE + 1n}`, [copied]],
      [inode(copied), []],
      [inode(free), []],
      [inode(twin), []],
      [inode(other), [twin, other]],
      [inode(lost), []],
    ];
    const found = search(
      expected.map(([key]) => key),
      damage,
    );
    const inOrder = (socks: readonly bigint[] | undefined) => socks?.toSorted((a, b) => Number(a - b));
    expect(found.map(inOrder)).toEqual(expected.map(([, socks]) => inOrder(socks.map(({ sock }) => sock))));
  });
});
