import { describe, expect, test } from 'vitest';
import { accountFd } from '../../../src/account/skb.js';
import { type LabDump, labDump, ofRun, oracleSocket, role } from '../../support/lab.js';
import { dumpKernel } from '../../support/opened-kernel.js';

/**
 * No socket of the lab keeps an skb outside its queues: one is modified to keep another's first
 * skb.
 */
function withKept(
  { kernel, read, set, damagedBy }: ReturnType<typeof dumpKernel>,
  { truth, oracle }: LabDump,
  name: string,
  placeOf: (sock: bigint) => bigint,
) {
  const sockOf = (name: string) => {
    const { pid, fd } = role(truth, name);
    return { pid, fd, sock: BigInt(oracleSocket(oracle, pid, fd).sock) };
  };
  const { pid, fd, sock } = sockOf(name);
  const first = read(sockOf('loopback-large').sock, 'sock.sk_receive_queue');
  const before = accountFd(kernel, pid, fd);
  return { before, after: accountFd(damagedBy(set(placeOf(sock), 8, first)), pid, fd) };
}

describe.each(ofRun(['5.10', '6.1', '6.12', 'newest'] as const))(
  '%s: TCP memory outside its queues is counted',
  (version) => {
    const opened = dumpKernel(version);
    const { addressOf, read } = opened;
    const dump = labDump(version);

    if (version === '5.10')
      test.each(['sk_rx_skb_cache', 'sk_tx_skb_cache'])('%s', (member) => {
        const { before, after } = withKept(opened, dump, 'healthy', (sock) => addressOf(sock, `sock.${member}`));
        expect(before.queues).not.toHaveProperty('kept');
        expect(before.total).toMatchObject({ skbs: 0, pinnedBytes: 0, complete: true });
        expect(after.queues.kept).toMatchObject({ skbs: 1, complete: true });
        expect(after.queues.kept?.pinnedBytes).toBeGreaterThan(4096);
        expect(after.total).toEqual(after.queues.kept);
        // It was read or acknowledged before.
        expect(after.unreadBytes).toBe(before.unreadBytes);
      });

    test('the packet with options for IPv6', () => {
      const { before, after } = withKept(opened, dump, 'loopback-v6', (sock) =>
        addressOf(read(sock, 'inet_sock.pinet6'), 'ipv6_pinfo.pktoptions'),
      );
      expect(before.queues).not.toHaveProperty('kept');
      expect(after.queues.kept).toMatchObject({ skbs: 1, complete: true });
      const pinned = before.total.pinnedBytes + (after.queues.kept?.pinnedBytes ?? 0);
      expect(after.total.pinnedBytes).toBe(pinned);
      expect(after.unreadBytes).toBe(before.unreadBytes);
    });
  },
);
