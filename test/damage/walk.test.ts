import { describe, expect, test } from 'vitest';
import { accountFd, accountProcess } from '../../src/account/skb.js';
import { accountAll } from '../../src/account/sockets.js';
import { findFile, openFiles } from '../../src/walk/tasks/files.js';
import { findTask } from '../../src/walk/tasks/task-table.js';
import { type Damage, kernelWith, UNDAMAGED } from '../support/damaged-kernel.js';
import { fixtureKernel } from '../support/opened-kernel.js';

const { kernel, addressOf, read, set, clear, lose, damagedBy } = fixtureKernel('6.1');

const census = accountAll(kernel);

/** A socket with a single owner and frags in its receive queue: each test damages it. */
const victim = (() => {
  const found = census.sockets.find(
    ({ socket, queues, holders }) =>
      socket.protocol === 'TCP' && (queues.receive?.frags ?? 0) > 10 && holders.length === 1,
  );
  const [holder] = found?.holders ?? [];
  if (!found || !holder) throw new Error('the fixture has no such socket');
  return { pid: holder.pid, fd: holder.fd, socket: found.socket };
})();

const ask = (damage: Damage) => accountFd(damagedBy(damage), victim.pid, victim.fd);

const { sock, file } = victim.socket;
const socketAt = read(sock, 'sock.sk_socket');
const files = findTask(kernel, victim.pid).files;
const table = read(files, 'files_struct.fdt');
const other = census.sockets.find((one) => one.socket.file > 0n && one.socket.file !== file);
const otherInode = read(other?.socket.file ?? 0n, 'file.f_inode');
/** The first skb with frags, and its shared info. */
const [skb, shared] = (() => {
  const head = addressOf(sock, 'sock.sk_receive_queue');
  for (let at = read(head, 'sk_buff_head.next'); at !== head; at = read(at, 'sk_buff.next')) {
    const info = read(at, 'sk_buff.head') + read(at, 'sk_buff.end');
    if (read(info, 'skb_shared_info.nr_frags') > 1n) return [at, info] as const;
  }
  throw new Error('the fixture has no such skb');
})();

test('undamaged, the answer is complete', () => {
  expect(ask(UNDAMAGED)).toMatchObject({ total: { complete: true }, warnings: [] });
});

describe('reports an impossible value, and answers the rest', () => {
  test.each([
    ['a length that the skb has no bytes for', set(skb, 'sk_buff.len', 1_000_000n)],
    ['paged bytes that no frag holds', set(skb, 'sk_buff.data_len', 0n)],
    ['fewer frags than bytes need', set(shared, 'skb_shared_info.nr_frags', 1n)],
    ['more frags than fit', set(shared, 'skb_shared_info.nr_frags', 255n)],
    ['a frag_list that leads to the skb itself', set(shared, 'skb_shared_info.frag_list', skb)],
    ['a shared info at an invalid address', set(skb, 'sk_buff.end', 3n)],
    ['a family that the operations contradict', set(sock, 'sock.__sk_common.skc_family', 16n)],
    ['a type that the socket contradicts', set(sock, 'sock.sk_type', 2n)],
    ['a protocol that the operations contradict', set(sock, 'sock.sk_protocol', 132n)],
    ['an invalid state', set(sock, 'sock.__sk_common.skc_state', 200n)],
  ])('%s', (_, damage) => {
    const answer = ask(damage);
    expect(answer.total.complete).toBe(false);
    expect(answer.total.skbs).toBeGreaterThan(0);
    expect(answer.warnings.map(({ code }) => code)).toContain('corrupt');
  });
});

describe('a broken path to the socket is one error', () => {
  test.each([
    ['a sock of another socket', set(sock, 'sock.sk_socket', socketAt + 64n)],
    ['a socket without a sock', set(socketAt, 'socket.sk', 0n)],
    ['operations that hide the socket', set(file, 'file.f_op', 0xffffffff81000000n)],
    ['operations outside the kernel', set(file, 'file.f_op', 0x3636363636363636n)],
    ['an inode that belongs to another socket', set(file, 'file.f_inode', otherInode)],
    ['an inode number of 64 bits', set(read(file, 'file.f_inode'), 'inode.i_ino', 2n ** 60n)],
    ['a table that is not a multiple of words', set(table, 'fdtable.max_fds', 65n)],
    ['a table of 2³² − 1', set(table, 'fdtable.max_fds', 2n ** 32n - 1n)],
  ])('%s', (_, damage) => {
    expect(() => ask(damage)).toThrow(expect.objectContaining({ code: 'damaged' }));
  });
});

type Read = (address: bigint, length: number) => DataView;

/** Reads junk where data cannot be read: values that are not pointers. */
function readOrJunk(read: Read): Read {
  return (address, length) => {
    try {
      return read(address, length);
    } catch (error) {
      if (length <= 8) return new DataView(new Uint8Array(length).fill(0x5a).buffer);
      if (length > 4096) throw error;
    }
    const words = Array.from({ length: Math.ceil(length / 8) }, (_, index) =>
      readOrJunk(read)(address + BigInt(index * 8), 8).getBigUint64(0, true),
    );
    return new DataView(BigUint64Array.from(words).buffer, 0, length);
  };
}

test('stops soon if a table of 2³⁰ descriptors runs into unmapped memory', () => {
  const damaged = damagedBy(set(table, 'fdtable.max_fds', 2n ** 30n));
  // A dump with all its memory: other data follows the table.
  const full = kernelWith(damaged, { read: readOrJunk(damaged.read) });
  const answer = accountProcess(full, victim.pid);
  expect(answer.total.complete).toBe(false);
  expect(answer.sockets.length).toBeGreaterThan(0);
  expect(answer.warnings.map(({ message }) => message).join()).toContain('but are not in open_fds');
});

test('reports a bitmap that marks open descriptors as closed', () => {
  const task = findTask(kernel, victim.pid);
  const bitmap = read(table, 'fdtable.open_fds');
  const damaged = damagedBy(clear(bitmap, 8));
  expect(() => [...openFiles(damaged, task)]).toThrow('but are not in open_fds');
  expect(findFile(damaged, task, victim.fd).file).toBe(file);
});

test('reports an accept queue without its start by its count', () => {
  const child = census.sockets.find(({ socket, acceptedFrom }) => acceptedFrom !== null && socket.protocol === 'TCP');
  const listener = child?.acceptedFrom;
  if (typeof listener !== 'bigint') throw new Error('the fixture has no connection to accept');
  const damage = set(listener, 'inet_connection_sock.icsk_accept_queue.rskq_accept_head', 0n);
  const answer = accountAll(damagedBy(damage));
  expect(answer.totals.complete).toBe(false);
  expect(answer.warnings.map(({ message }) => message).join()).toContain('contains 0 connections, but counts 3');
});

test('an unreadable file in a message does not hide the files of other messages', () => {
  const carried = census.sockets.filter(({ carriedBy }) => carriedBy.length > 0);
  expect(carried.length).toBeGreaterThan(2);
  for (const { socket } of carried) {
    const answer = accountAll(damagedBy(lose(socket.file, 256)));
    const carriers = new Map(answer.sockets.map((one) => [one.socket.sock, one.carriedBy]));
    for (const other of carried)
      if (other.socket.file !== socket.file) expect(carriers.get(other.socket.sock)).toEqual(other.carriedBy);
    expect(answer.warnings.map(({ message }) => message).join()).toMatch(
      /a file in a message queued at sock 0x[0-9a-f]+: 0x[0-9a-f]+ was filtered out of the dump \(part of struct file at 0x/,
    );
  }
});

test('a census that missed a part is incomplete', () => {
  const answer = accountAll(damagedBy(set('init_task', 'task_struct.tasks', 0x1234n)));
  expect(answer.totals.complete).toBe(false);
  expect(answer.warnings.length).toBeGreaterThan(0);
});

test('without the descriptor table, memory freed if killed is unknown, and that is reported', () => {
  expect(ask(UNDAMAGED).freedIfKilled).not.toBeNull();
  const answer = ask(lose(read(table, 'fdtable.open_fds'), 8));
  expect(answer.freedIfKilled).toBeNull();
  expect(answer.warnings.map(({ message }) => message).join()).toMatch(
    new RegExp(`files of pid ${victim.pid}: .*what a kill frees is unknown`),
  );
});
