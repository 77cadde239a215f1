import { expect, test } from 'vitest';
import { accountAll } from '../../src/account/sockets.js';
import { PageReader } from '../../src/walk/pages/pages.js';
import { orderOffset } from '../../src/walk/pages/struct-page.js';
import { protocols } from '../../src/walk/sockets/sock-words.js';
import { TaskReader } from '../../src/walk/tasks/tasks.js';
import type { Damage } from '../support/damaged-kernel.js';
import { ledgerOf } from '../support/ledger.js';
import { fixtureKernel } from '../support/opened-kernel.js';

const { kernel, addressOf, offset, read, set, clear, damagedBy } = fixtureKernel('6.1');
const { sockets } = accountAll(kernel);

/** A listener with pending connections: the addresses of `request_sock.sk`. */
const waiting = (() => {
  const links = offset('request_sock.dl_next');
  const head = offset('inet_connection_sock.icsk_accept_queue.rskq_accept_head');
  const inet = sockets.find(({ socket, acceptedFrom }) => acceptedFrom !== null && socket.family === 'AF_INET');
  const places: bigint[] = [];
  for (let at = read((inet?.acceptedFrom ?? 0n) + head); at !== 0n; at = read(at + links))
    places.push(addressOf(at, 'request_sock.sk'));
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
  return { sock, socket: read(sock, 'sock.sk_socket') };
})();

/** A closed connection that still sends: only the slab leads to it. */
const orphan = sockets.find(({ socket }) => socket.state === 'FIN_WAIT1')?.socket.sock ?? 0n;

const closed = sockets.find(
  ({ socket, holders, acceptedFrom, carriedBy }) =>
    socket.family === 'AF_UNIX' && holders.length + carriedBy.length === 0 && acceptedFrom === null,
)?.socket.sock;

const tasks = [...new TaskReader(kernel).processes()];

/** Addresses of the file lists in messages that carry files (`UNIXCB(skb).fp`). */
const lists = (() => {
  const carriers = new Set(sockets.flatMap(({ carriedBy }) => carriedBy));
  const toList = addressOf(offset('sk_buff.cb'), 'unix_skb_parms.fp');
  return [...carriers].map((sock) => read(sock, 'sock.sk_receive_queue') + toList);
})();

const inet = sockets.filter(({ socket, holders }) => socket.type === 'SOCK_STREAM' && holders[0]);
const socketOf = (index: number) => read(inet[index]!.socket.sock, 'sock.sk_socket');

test.each<[string, () => Damage, string]>([
  [
    'a socket of the kernel’s own without operations',
    () => set(own.socket, 'socket.ops', 0n),
    'it has no operations, but its sock',
  ],
  [
    'a socket of the kernel’s own whose sock names none',
    () => set(own.sock, 'sock.sk_socket', 0n),
    'points to the socket 0x0',
  ],
  [
    'a socket of the kernel’s own whose sock names another',
    () => set(own.sock, 'sock.sk_socket', 2n ** 64n - 1n),
    'points to the socket 0xffffffffffffffff',
  ],
  [
    'a page of zeros under a sock of the kernel’s own',
    () => clear(own.sock & ~0xfffn, 4096),
    'points to the socket 0x0',
  ],
  [
    'an orphan without references',
    () => set(orphan, 'sock_common.skc_refcnt', 0n),
    'a sock without references has state 4',
  ],
  [
    'a protocol at an odd address',
    () => set(own.sock, 'sock_common.skc_prot', named('NETLINK').address + 1n),
    'invalid protocol pointer 0x',
  ],
  [
    'a protocol of another family',
    () => set(own.sock, 'sock_common.skc_prot', named('UNIX').address),
    'but its protocol 0x',
  ],
  ['a protocol without a name', () => set(named('NETLINK').address, 'proto.name', 0n), 'has no name'],
  ['an invalid type', () => set(closed ?? 0n, 'sock.sk_type', 0n), 'invalid type 0'],
  [
    'a process that is missing among its own threads',
    () => set(tasks[0]!.address, 'task_struct.signal', tasks[1]!.signal),
    'is not among the threads of its process',
  ],
  ['a type that no unix socket has', () => set(closed ?? 0n, 'sock.sk_type', 4n), 'invalid type 4'],
  ['two messages with one list of files', () => set(lists[0]!, 8, read(lists[1]!)), 'share a list of files'],
  [
    'a socket that names the sock of another',
    () => set(socketOf(0), 'socket.sk', inet[1]!.socket.sock),
    'but that points to socket 0x',
  ],
  [
    'no possible CPU',
    () => clear(kernel.symbol('__cpu_possible_mask')! & ~0xfffn, 4096),
    '__cpu_possible_mask is empty',
  ],
  [
    'the cache of skb pairs is the cache of single skbs',
    () => set('skbuff_fclone_cache', 8, read('skbuff_head_cache')),
    'have one cache, which is not merged',
  ],
  ['a cache of skbs without a name', () => set('skbuff_head_cache', 8, 0n), 'skbuff_head_cache names no cache of skbs'],
  [
    'a CPU missing from the mask',
    () => set('__cpu_possible_mask', 8, 1n),
    '__cpu_possible_mask ends at CPU 0, but nr_cpu_ids is 2',
  ],
  [
    'a CPU missing from the mask before the last',
    () => set('__cpu_possible_mask', 8, 2n),
    'CPU 0 is online, but not in __cpu_possible_mask',
  ],
  ['a pending connection that is invalid', () => set(waiting[0]!, 8, 0n), 'has a duplicate or null entry'],
  [
    'an accept queue that loops',
    () => set(waiting[0]! - offset('request_sock.sk'), 'request_sock.dl_next', waiting[0]! - offset('request_sock.sk')),
    'does not terminate',
  ],
  [
    'a pending connection that occurs twice',
    () => set(waiting[0]!, 8, read(waiting[1]!)),
    'has a duplicate or null entry',
  ],
  [
    'a protocol without its cache',
    () => set(named('TCP').address, 'proto.slab', 0n),
    'the protocol TCP has no slab cache',
  ],
  [
    'a protocol with the cache of another',
    () => set(named('TCP').address, 'proto.slab', named('UDP').cache),
    'open TCP sockets is in the slab cache of TCP',
  ],
  [
    'an address of a unix socket that is too short',
    () => set(read(held('AF_UNIX'), 'unix_sock.addr'), 'unix_address.len', 0n),
    'invalid unix address length (0 bytes',
  ],
  [
    'an address of a unix socket that is too long',
    () => set(read(held('AF_UNIX'), 'unix_sock.addr'), 'unix_address.len', 300n),
    'invalid unix address length (300 bytes',
  ],
  [
    'an inode of a socket without a number',
    () => {
      const inside = offset('socket_alloc.vfs_inode') - offset('socket_alloc.socket');
      return set(socketOf(0) + inside, 'inode.i_ino', 0n);
    },
    'has an invalid number (0',
  ],
  [
    'an inode of the kernel’s own socket without a number',
    () => {
      const inside = offset('socket_alloc.vfs_inode') - offset('socket_alloc.socket');
      return set(own.socket + inside, 'inode.i_ino', 0n);
    },
    'inode number 0',
  ],
  ['a sock without a pointer to its socket', () => set(held('AF_INET'), 'sock.sk_socket', 0n), 'has no socket'],
])('reports %s', (_, damage, message) => {
  const answer = accountAll(damagedBy(damage()));
  const said = [...answer.warnings, ...ledgerOf(answer).values()].map((one) => one.message).join('\n');
  expect(said).toContain(message);
});

test('reports an order that its frame number contradicts', () => {
  const address = compoundHead() + BigInt(orderOffset(kernel, kernel.struct('page')!));
  const answer = accountAll(damagedBy(set(address, 1, 6n)));
  expect(answer.complete).toBe(false);
  expect(answer.warnings.map(({ message }) => message).join()).toMatch(
    /claims order 6, and its frame \d+ is not a multiple of 64/,
  );
});

/** The first struct page of an allocation in a queue whose frame is not a multiple of 64. */
function compoundHead(): bigint {
  const pages = new PageReader(kernel);
  for (const { socket } of sockets) {
    const head = addressOf(socket.sock, 'sock.sk_receive_queue');
    const skb = read(head);
    if (skb === head) continue;
    const info = read(skb, 'sk_buff.head') + read(skb, 'sk_buff.end');
    if (read(info, 'skb_shared_info.nr_frags') === 0n) continue;
    const page = pages.block(read(info, 'skb_shared_info.frags'));
    const compound = page.kind === 'page' && (page.order ?? 0) > 0;
    if (compound && page.frame % 64 !== 0) return kernel.pages.pageOfFrame(page.frame);
  }
  throw new Error('no queue has such a page');
}
