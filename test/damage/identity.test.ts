import { describe, expect, test } from 'vitest';
import { accountFd } from '../../src/account/skb.js';
import { accountAll } from '../../src/account/sockets.js';
import { runningTask } from '../../src/walk/cpus.js';
import { Census } from '../../src/walk/sockets/census.js';
import { TaskReader } from '../../src/walk/tasks/tasks.js';
import { Warnings } from '../../src/walk/warnings.js';
import type { Damage } from '../support/damaged-kernel.js';
import { ledgerOf } from '../support/ledger.js';
import { fixtureKernel } from '../support/opened-kernel.js';

const { kernel, offset, read, set, clear, damagedBy } = fixtureKernel('6.1');

const truth = accountAll(kernel);
const holders = truth.sockets.flatMap((one) =>
  one.holders.length === 1 ? [{ ...one.holders[0]!, pinned: one.total.pinnedBytes }] : [],
);
const [victim] = holders.toSorted((a, b) => b.pinned - a.pinned);
const other = holders.find(({ pid }) => pid !== victim!.pid);
const tasks = new Map([...new TaskReader(kernel).processes()].map((task) => [task.pid, task]));

const all = (damage: Damage) => accountAll(damagedBy(damage));
const messages = ({ warnings }: { warnings: readonly { message: string }[] }) => warnings.map(({ message }) => message);

describe('a process', () => {
  const task = tasks.get(victim!.pid)!.address;
  const setPid = (pid: number) => set(task, 'task_struct.pid', pid);

  test('with the pid of another is reported, and identified by its struct pid', () => {
    const damage = setPid(other!.pid);
    const answer = all(damage);
    expect(answer.totals).toEqual({ ...truth.totals, complete: false });
    expect(messages(answer)).toContainEqual(
      expect.stringMatching(`has pid ${other!.pid}, but its struct pid has number ${victim!.pid}`),
    );
    for (const { pid, fd, comm } of [victim!, other!])
      expect(accountFd(damagedBy(damage), pid, fd)).toMatchObject({
        process: { pid, comm },
        total: { complete: false },
      });
  });

  test.each([-16, 0, 2 ** 22, 2 ** 31 - 1])('with pid %i is identified by its struct pid', (pid) => {
    const answer = all(setPid(pid));
    expect(answer.sockets.map(({ holders }) => holders)).toEqual(truth.sockets.map(({ holders }) => holders));
    expect(answer.totals.complete).toBe(false);
    expect(messages(answer)).toContainEqual(
      `task 0x${task.toString(16)} has an invalid pid or tgid (${pid}, ${victim!.pid})`,
    );
    const own = accountFd(damagedBy(setPid(pid)), victim!.pid, victim!.fd);
    expect([own.process?.comm, own.total.complete]).toEqual([victim!.comm, false]);
  });

  test('with a free pid is identified by its struct pid', () => {
    const answer = all(setPid(77_777));
    expect(answer.totals.complete).toBe(false);
    expect(messages(answer).join()).toMatch(`has pid 77777, but its struct pid has number ${victim!.pid}`);
  });

  test('running on a CPU, with a negative pid, is refused', () => {
    const cpu = [0, 1].find((number) => runningTask(kernel, number).pid >= 0)!;
    const { address } = runningTask(kernel, cpu);
    const damaged = damagedBy(set(address, 'task_struct.pid', 2n ** 32n - 16n));
    expect(() => runningTask(damaged, cpu)).toThrow(`has an invalid pid (-16)`);
  });
});

describe('a network namespace', () => {
  const { sock, netns } = truth.sockets[0]!.socket;
  const net = read(sock, 'sock.__sk_common.skc_net.net');

  test.each([0n, 1n, 2n ** 31n])('with the invalid number %i is reported', (number) => {
    const answer = all(set(net, 'net.ns.inum', number));
    const shown = answer.sockets.filter(({ socket }) => socket.netns === Number(number));
    expect([shown, answer.totals.complete]).toEqual([[], false]);
    expect(messages(answer).join()).toMatch(new RegExp(`namespace at 0x\\w+ has number ${number}`));
  });

  test('with the number of another is reported', () => {
    const apart = truth.sockets.find(({ socket }) => socket.netns !== netns)!.socket;
    const second = read(apart.sock, 'sock.__sk_common.skc_net.net');
    const answer = all(set(second, 'net.ns.inum', BigInt(netns!)));
    expect(answer.totals.complete).toBe(false);
    expect(messages(answer).join()).toMatch(/has number \d+, like another one/);
  });
});

describe('a socket', () => {
  const sockets = truth.sockets.filter(({ socket }) => read(socket.sock, 'sock.sk_socket'));
  const socketOf = (sock: bigint) => read(sock, 'sock.sk_socket');

  const kinds = new Map(
    sockets
      .filter(({ socket }) => socket.inode !== 0)
      .map((one) => [`${one.socket.protocol}, found by ${one.foundBy.join(', ')}`, one.socket.sock]),
  );

  test.each([...kinds])('without its sock is reported: %s', (_, sock) => {
    const warnings = new Warnings();
    const damaged = damagedBy(set(socketOf(sock), 'socket.sk', 0n));
    new Census(damaged, warnings).take();
    expect(warnings.list()).toContainEqual(expect.objectContaining({ code: 'corrupt' }));
  });

  test('is reported if it is zeros but its file is open', () => {
    const { socket } = sockets.find(({ holders }) => holders.length > 0)!;
    const answer = all(clear(socketOf(socket.sock), 'socket'));
    expect(answer.totals.complete).toBe(false);
    expect(messages(answer).join()).toMatch(/has no sock, but its file 0x\w+ is open/);
  });

  test.each([-1n, 0n, 2n ** 62n])('with %i references of its file is reported', (count) => {
    const { socket } = sockets.find(({ holders }) => holders.length === 1)!;
    const damage = set(socket.file, 'file.f_count', count);
    expect(all(damage).totals.complete).toBe(false);
    expect(messages(all(damage)).join()).toMatch(/file 0x\w+ counts \d+ references/);
  });

  test('with fewer file references than descriptors is reported', () => {
    const { socket, holders } = sockets.find(({ holders }) => holders.length > 1)!;
    const answer = all(set(socket.file, 'file.f_count', 1n));
    expect(answer.totals.complete).toBe(false);
    expect(messages(answer).join()).toMatch(`counts 1 references, but ${holders.length} descriptors refer to it`);
  });
});

test('an uncounted row outside queues makes the answer incomplete', () => {
  expect(truth.complete).toBe(true);
  const net = read('net_namespace_list') - offset('net.list');
  const answer = all(set(net, 'net.dev_base_head', 8n));
  expect([answer.totals.complete, answer.complete]).toEqual([true, false]);
  const uncounted = [...ledgerOf(answer).values()].filter(({ message }) => message.includes('not counted'));
  expect(uncounted.length).toBeGreaterThan(0);
  for (const { complete } of uncounted) expect(complete).toBe(false);
});
