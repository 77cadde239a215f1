import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { accountAll } from '../../src/account/sockets.js';
import { openNative } from '../../src/kernel/native/open.js';
import { PageReader } from '../../src/walk/pages/pages.js';
import { orderOffset } from '../../src/walk/pages/struct-page.js';
import { protocols } from '../../src/walk/sockets/sock-words.js';
import { TaskReader } from '../../src/walk/tasks/tasks.js';
import { damagedKernel, type Patch } from '../support/damaged-kernel.js';
import { ledgerOf } from '../support/ledger.js';
import { littleEndian } from '../support/little-endian.js';

const kernel = openNative({
  files: [fileURLToPath(new URL('../../fixtures/dumps/6.1.vmcore', import.meta.url))],
});
afterAll(() => kernel.close());
const { sockets } = accountAll(kernel);

function offsetOf(type: string, path: string): bigint {
  const member = kernel.struct(type)?.member(path);
  if (!member) throw new Error(`no ${type}.${path}`);
  return BigInt(member.offset);
}

const pointer = (at: bigint) => kernel.read(at, 8).getBigUint64(0, true);
const word = (address: bigint, value: bigint, bytes = 8): Patch => ({
  address,
  bytes: littleEndian(value, bytes),
});
const variable = (name: string) => kernel.symbol(name) ?? 0n;

/** A listener with pending connections: the addresses of `request_sock.sk`. */
const waiting = (() => {
  const links = offsetOf('request_sock', 'dl_next');
  const head = offsetOf('inet_connection_sock', 'icsk_accept_queue.rskq_accept_head');
  const inet = sockets.find(({ socket, acceptedFrom }) => acceptedFrom !== undefined && socket.family === 'AF_INET');
  const places: bigint[] = [];
  for (let at = pointer((inet?.acceptedFrom ?? 0n) + head); at !== 0n; at = pointer(at + links))
    places.push(at + offsetOf('request_sock', 'sk'));
  return places;
})();

const named = (name: string) => {
  const found = protocols(kernel).find((protocol) => protocol.name === name);
  if (!found) throw new Error(`no protocol ${name}`);
  return found;
};

const held = (family: string) => {
  const found = sockets.find(
    ({ socket, holders }) => holders.length > 0 && socket.family === family && socket.local !== null,
  );
  return found?.socket.sock ?? 0n;
};

/**
 * The kernel's own netlink socket: its sock is in no slab of its own; only its inode leads there.
 */
const own = (() => {
  const found = sockets.find(
    ({ socket }) => socket.family === 'AF_NETLINK' && socket.file === 0n && socket.inode !== 0,
  );
  if (!found) throw new Error('no netlink socket of the kernel');
  const sock = found.socket.sock;
  return { sock, socket: pointer(sock + offsetOf('sock', 'sk_socket')) };
})();

/** A closed connection that still sends: only the slab leads to it. */
const orphan = sockets.find(({ socket }) => socket.state === 'FIN_WAIT1')?.socket.sock ?? 0n;

const closed = sockets.find(
  ({ socket, holders, acceptedFrom, carriedBy }) =>
    socket.family === 'AF_UNIX' && holders.length + carriedBy.length === 0 && acceptedFrom === undefined,
)?.socket.sock;

const tasks = [...new TaskReader(kernel).processes()];

/** Addresses of the file lists in messages that carry files (`UNIXCB(skb).fp`). */
const lists = (() => {
  const carriers = new Set(sockets.flatMap(({ carriedBy }) => carriedBy));
  const toList = offsetOf('sk_buff', 'cb') + offsetOf('unix_skb_parms', 'fp');
  return [...carriers].map((sock) => pointer(sock + offsetOf('sock', 'sk_receive_queue')) + toList);
})();

const inet = sockets.filter(({ socket, holders }) => socket.type === 'SOCK_STREAM' && holders[0]);
const socketOf = (index: number) => pointer(inet[index]!.socket.sock + offsetOf('sock', 'sk_socket'));

test.each<[string, () => Patch, string]>([
  [
    'a socket of the kernel’s own without operations',
    () => word(own.socket + offsetOf('socket', 'ops'), 0n),
    'it has no operations, but its sock',
  ],
  [
    'a socket of the kernel’s own whose sock names none',
    () => word(own.sock + offsetOf('sock', 'sk_socket'), 0n),
    'points to the socket 0x0',
  ],
  [
    'a socket of the kernel’s own whose sock names another',
    () => word(own.sock + offsetOf('sock', 'sk_socket'), 2n ** 64n - 1n),
    'points to the socket 0xffffffffffffffff',
  ],
  [
    'a page of zeros under a sock of the kernel’s own',
    () => ({ address: own.sock & ~0xfffn, bytes: new Uint8Array(4096) }),
    'points to the socket 0x0',
  ],
  [
    'an orphan without references',
    () => word(orphan + offsetOf('sock_common', 'skc_refcnt'), 0n, 4),
    'a sock without references has state 4',
  ],
  [
    'a protocol at an odd address',
    () => word(own.sock + offsetOf('sock_common', 'skc_prot'), named('NETLINK').address + 1n),
    'invalid protocol pointer 0x',
  ],
  [
    'a protocol of another family',
    () => word(own.sock + offsetOf('sock_common', 'skc_prot'), named('UNIX').address),
    'but its protocol 0x',
  ],
  ['a protocol without a name', () => word(named('NETLINK').address + offsetOf('proto', 'name'), 0n), 'has no name'],
  ['an invalid type', () => word((closed ?? 0n) + offsetOf('sock', 'sk_type'), 0n, 2), 'invalid type 0'],
  [
    'a process that is missing among its own threads',
    () => word(tasks[0]!.address + offsetOf('task_struct', 'signal'), tasks[1]!.signal),
    'is not among the threads of its process',
  ],
  ['a type that no unix socket has', () => word((closed ?? 0n) + offsetOf('sock', 'sk_type'), 4n, 2), 'invalid type 4'],
  ['two messages with one list of files', () => word(lists[0]!, pointer(lists[1]!)), 'share a list of files'],
  [
    'a socket that names the sock of another',
    () => word(socketOf(0) + offsetOf('socket', 'sk'), inet[1]!.socket.sock),
    'but that points to socket 0x',
  ],
  [
    'no possible CPU',
    () => ({ address: variable('__cpu_possible_mask') & ~0xfffn, bytes: new Uint8Array(4096) }),
    '__cpu_possible_mask is empty',
  ],
  [
    'the cache of skb pairs is the cache of single skbs',
    () => word(variable('skbuff_fclone_cache'), pointer(variable('skbuff_head_cache'))),
    'have one cache, which is not merged',
  ],
  [
    'a cache of skbs without a name',
    () => word(variable('skbuff_head_cache'), 0n),
    'skbuff_head_cache names no cache of skbs',
  ],
  [
    'a CPU missing from the mask',
    () => word(variable('__cpu_possible_mask'), 1n),
    '__cpu_possible_mask ends at CPU 0, but nr_cpu_ids is 2',
  ],
  [
    'a CPU missing from the mask before the last',
    () => word(variable('__cpu_possible_mask'), 2n),
    'CPU 0 is online, but not in __cpu_possible_mask',
  ],
  ['a pending connection that is invalid', () => word(waiting[0]!, 0n), 'has a duplicate or null entry'],
  [
    'an accept queue that loops',
    () =>
      word(
        waiting[0]! - offsetOf('request_sock', 'sk') + offsetOf('request_sock', 'dl_next'),
        waiting[0]! - offsetOf('request_sock', 'sk'),
      ),
    'does not terminate',
  ],
  [
    'a pending connection that occurs twice',
    () => word(waiting[0]!, pointer(waiting[1]!)),
    'has a duplicate or null entry',
  ],
  [
    'a protocol without its cache',
    () => word(named('TCP').address + offsetOf('proto', 'slab'), 0n),
    'the protocol TCP has no slab cache',
  ],
  [
    'a protocol with the cache of another',
    () => word(named('TCP').address + offsetOf('proto', 'slab'), named('UDP').cache),
    'open TCP sockets is in the slab cache of TCP',
  ],
  [
    'an address of a unix socket that is too short',
    () => word(pointer(held('AF_UNIX') + offsetOf('unix_sock', 'addr')) + offsetOf('unix_address', 'len'), 0n, 4),
    'invalid unix address length (0 bytes',
  ],
  [
    'an address of a unix socket that is too long',
    () => word(pointer(held('AF_UNIX') + offsetOf('unix_sock', 'addr')) + offsetOf('unix_address', 'len'), 300n, 4),
    'invalid unix address length (300 bytes',
  ],
  [
    'an inode of a socket without a number',
    () => {
      const inside = offsetOf('socket_alloc', 'vfs_inode') - offsetOf('socket_alloc', 'socket');
      return word(socketOf(0) + inside + offsetOf('inode', 'i_ino'), 0n);
    },
    'has an invalid number (0',
  ],
  [
    'an inode of the kernel’s own socket without a number',
    () => {
      const inside = offsetOf('socket_alloc', 'vfs_inode') - offsetOf('socket_alloc', 'socket');
      return word(own.socket + inside + offsetOf('inode', 'i_ino'), 0n);
    },
    'inode number 0',
  ],
  [
    'a sock without a pointer to its socket',
    () => word(held('AF_INET') + offsetOf('sock', 'sk_socket'), 0n),
    'has no socket',
  ],
])('reports %s', (_, damage, message) => {
  const answer = accountAll(damagedKernel(kernel, { patches: [damage()], denials: [] }));
  const said = [...answer.warnings, ...ledgerOf(answer).values()].map((one) => one.message).join('\n');
  expect(said).toContain(message);
});

test('reports an order that its frame number contradicts', () => {
  const head = compoundHead();
  const address = head + BigInt(orderOffset(kernel, kernel.struct('page')!));
  const order = { address, bytes: littleEndian(6n, 1) };
  const answer = accountAll(damagedKernel(kernel, { patches: [order], denials: [] }));
  expect(answer.complete).toBe(false);
  expect(answer.warnings.map(({ message }) => message).join()).toMatch(
    /claims order 6, and its frame \d+ is not a multiple of 64/,
  );
});

/** The first struct page of an allocation in a queue whose frame is not a multiple of 64. */
function compoundHead(): bigint {
  const pages = new PageReader(kernel);
  for (const { socket } of sockets) {
    const head = socket.sock + offsetOf('sock', 'sk_receive_queue');
    const skb = pointer(head);
    if (skb === head) continue;
    const end = kernel.read(skb + offsetOf('sk_buff', 'end'), 4).getUint32(0, true);
    const info = pointer(skb + offsetOf('sk_buff', 'head')) + BigInt(end);
    const count = kernel.read(info + offsetOf('skb_shared_info', 'nr_frags'), 1).getUint8(0);
    if (count === 0) continue;
    const page = pages.block(pointer(info + offsetOf('skb_shared_info', 'frags')));
    const compound = page.kind === 'page' && (page.order ?? 0) > 0;
    if (compound && page.frame % 64 !== 0) return kernel.pages.pageOfFrame(page.frame);
  }
  throw new Error('no queue has such a page');
}
