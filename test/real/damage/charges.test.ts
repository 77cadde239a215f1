import { describe, expect, test } from 'vitest';
import { accountFd } from '../../../src/account/skb.js';
import { accountAll } from '../../../src/account/sockets.js';
import type { Damage } from '../../support/damaged-kernel.js';
import { KERNELS } from '../../support/lab.js';
import { dumpKernel } from '../../support/opened-kernel.js';

/** Queues that are trees, and the paths of their roots. */
const TREES = { retransmit: 'sock.tcp_rtx_queue', outOfOrder: 'tcp_sock.out_of_order_queue' } as const;

describe.each(KERNELS)('memory charged to a TCP sock of %s', (version) => {
  const { kernel, addressOf, read, set, damagedBy } = dumpKernel(version);

  /** Address of the link to a red node without children: without it every path keeps its number of black nodes. */
  function redLeaf(root: bigint): bigint | undefined {
    const children = (node: bigint) => [node + 8n, node + 16n];
    for (let links = [root]; links.length > 0; ) {
      const next: bigint[] = [];
      for (const link of links) {
        const node = read(link);
        if (node === 0n) continue;
        const isRed = (read(node) & 1n) === 0n;
        if (isRed && children(node).every((child) => read(child) === 0n)) return link;
        next.push(...children(node));
      }
      links = next;
    }
    return undefined;
  }

  const census = accountAll(kernel);
  const rootOf = (name: keyof typeof TREES, sock: bigint) => addressOf(sock, TREES[name]);
  const ask = (name: keyof typeof TREES) => {
    // After skbs were removed, all nodes of a tree may be black.
    const found = census.sockets.find(
      ({ holders, socket, queues }) =>
        holders.length > 0 && (queues[name]?.skbs ?? 0) > 1 && redLeaf(rootOf(name, socket.sock)) !== undefined,
    );
    const [holder] = found?.holders ?? [];
    if (!found || !holder) throw new Error(`no sock has a ${name} queue with a red leaf`);
    const ask = (...damages: readonly Damage[]) => accountFd(damagedBy(...damages), holder.pid, holder.fd);
    return { sock: found.socket.sock, before: found.queues[name], ask };
  };
  const charges = ({ warnings }: { warnings: readonly { message: string }[] }) =>
    warnings.map(({ message }) => message).filter((message) => message.includes('is charged'));

  test('equals the sum of the skbs in its queues, for every sock', () => {
    expect(census.warnings).toEqual([]);
  });

  test.each([
    ['retransmit', 'write'],
    ['outOfOrder', 'receive'],
  ] as const)('reveals a missing branch in the %s queue that leaves a valid tree', (name, beside) => {
    const { sock, before, ask: look } = ask(name);
    const address = redLeaf(rootOf(name, sock)) ?? 0n;
    const answer = look(set(address, 8, 0n));
    expect(answer.queues[name]).toMatchObject({ skbs: (before?.skbs ?? 0) - 1, complete: false });
    expect(answer.queues[beside]?.complete).toBe(false);
    expect(answer.queues.error?.complete).toBe(true);
    expect(answer.total.complete).toBe(false);
    expect(charges(answer)).toHaveLength(1);
    expect(answer.warnings[0]?.code).toBe('corrupt');
  });

  test('is not compared while the sock is locked or its queues are being processed', () => {
    const { sock, ask: look } = ask('retransmit');
    const wrong = set(sock, 'sock.sk_wmem_queued', 12_345n);
    expect(charges(look(wrong))).toHaveLength(1);
    expect(charges(look(set(sock, 'sock.sk_backlog.rmem_alloc.counter', 1n)))).toHaveLength(1);
    for (const excuse of [
      set(sock, 'sock.sk_lock.owned', 1n),
      set(sock, 'sock.sk_lock.slock.rlock.raw_lock.val.counter', 1n),
      set(sock, 'sock.sk_user_data', sock),
    ]) {
      const answer = look(wrong, excuse);
      expect(charges(answer)).toEqual([]);
    }
  });
});
