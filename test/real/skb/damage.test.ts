import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accountFd } from '../../../src/account/skb.js';
import { openCrash } from '../../../src/kernel/crash/open.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { DamagedDump } from '../../support/damaged-dump.js';
import { memoryOf } from '../../support/damaged-kernel.js';
import { kdumpMem } from '../../support/in-process.js';
import { labDump, labKernel, labTool, role } from '../../support/lab.js';

const { elf, truth, oracle } = labDump('6.1');
const { vmlinux } = labKernel('6.1');
const crash = labTool('crash');

/** The address of a role's sock, and of the head of its receive queue. */
function placeOf(name: string) {
  const { pid, fd } = role(truth, name);
  const holds = ({ holders }: (typeof oracle.sockets)[number]) =>
    holders.some((holder) => holder.pid === pid && holder.fd === fd);
  const socket = oracle.sockets.find(holds);
  if (!socket) throw new Error(`drgn knows no socket of role ${name}`);
  return { pid, fd, sock: BigInt(socket.sock), skbs: socket.queues.receive?.skbs ?? 0 };
}

let dump: DamagedDump;

beforeAll(() => {
  dump = new DamagedDump(elf);
  const kernel = openNative({ files: [elf] });
  const { addressOf, read, set } = memoryOf(kernel);
  const queueOf = (name: string) => addressOf(placeOf(name).sock, 'sock.sk_receive_queue');
  const firstOf = (name: string) => read(queueOf(name));
  const sharedOf = (skb: bigint) => read(skb, 'sk_buff.head') + read(skb, 'sk_buff.end');
  const second = read(firstOf('starving'));
  dump.apply(
    // A ring that never returns to its head: the third skb points to the second.
    set(read(second), 8, second),
    // A list with an invalid pointer.
    set(firstOf('loopback'), 8, 0xdead_0000_0000_0100n),
    // More frags than the array has room for.
    set(sharedOf(firstOf('sent-file')), 'skb_shared_info.nr_frags', 200n),
    // A frag with an invalid page pointer.
    set(sharedOf(firstOf('loopback-large')), 'skb_shared_info.frags', 0x1234_5678n),
    // A count that differs from the list.
    set(queueOf('linear'), 'sk_buff_head.qlen', 0xffff_ffffn),
  );
  kernel.close();
});

afterAll(() => dump.remove());

describe.each(['native', 'crash'] as const)('damage read through %s', (engine) => {
  let kernel: Kernel;
  beforeAll(() => {
    kernel =
      engine === 'native' ? openNative({ files: [dump.path] }) : openCrash({ vmcore: dump.path, vmlinux, crash });
  });
  afterAll(() => kernel.close());

  const ask = (name: string) => {
    const { pid, fd } = placeOf(name);
    return accountFd(kernel, pid, fd);
  };

  test('terminates on a ring that never returns to its head, and reports it as torn', () => {
    const answer = ask('starving');
    expect(answer.total.complete).toBe(false);
    expect(answer.queues.receive?.skbs).toBe(3);
    expect(answer.warnings.map(({ code }) => code)).toEqual(['torn-list']);
  });

  test('reports a list with an invalid pointer, and what was counted before', () => {
    const answer = ask('loopback');
    expect(answer.queues.receive).toMatchObject({ skbs: 1, complete: false });
    expect(answer.warnings[0]).toMatchObject({ code: 'unreadable' });
    expect(answer.warnings[0]?.message).toContain('0xdead000000000100');
  });

  test('refuses more frags than the array holds, and still counts the skb', () => {
    const answer = ask('sent-file');
    expect(answer.queues.receive).toMatchObject({ complete: false });
    expect(answer.queues.receive?.skbs).toBe(placeOf('sent-file').skbs);
    expect(answer.warnings[0]).toMatchObject({ code: 'corrupt' });
    expect(answer.warnings[0]?.message).toContain('nr_frags is 200, but the array has 17');
  });

  test('counts the other frags if one has an invalid page pointer', () => {
    const answer = ask('loopback-large');
    expect(answer.queues.receive).toMatchObject({ complete: false });
    expect(answer.queues.receive?.pages).toBeGreaterThan(0);
    expect(answer.warnings[0]).toMatchObject({ code: 'corrupt' });
    expect(answer.warnings[0]?.message).toContain('0x12345678 is not the address of a struct page');
  });

  test('reports a count that differs from the list', () => {
    const answer = ask('linear');
    expect(answer.queues.receive).toMatchObject({ skbs: 12, complete: false });
    expect(answer.warnings[0]?.message).toContain('counts 4294967295 skbs, the list has 12');
  });

  test('other sockets are complete', () => {
    expect(ask('unix-stream')).toMatchObject({ total: { complete: true }, warnings: [] });
  });
});

test('--strict exits with 5 on an incomplete answer, and still prints it', async () => {
  const { pid, fd } = placeOf('starving');
  const ran = await kdumpMem('skb', '--pid', `${pid}`, '--fd', `${fd}`, '--vmcore', dump.path, '--strict');
  expect(ran.status).toBe(5);
  expect(ran.stdout).toMatch(/holds at least .* in \d+ pages?/);
  expect(ran.stderr).toMatch(/^kdump-mem: warning: receive queue, after 3 skbs of the \d+ that/);
});
