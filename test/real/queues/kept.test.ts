import { describe, expect, test } from 'vitest';
import { accountFd } from '../../../src/account/skb.js';
import type { NativeKernel } from '../../../src/kernel/native/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { damagedKernel } from '../../support/damaged-kernel.js';
import { type LabDumpName, labDump, ofRun, oracleSocket, role } from '../../support/lab.js';
import { littleEndian } from '../../support/little-endian.js';

/**
 * No socket of the lab keeps an skb outside its queues: one is modified to keep another's first
 * skb.
 */
function withKept(dump: LabDumpName, name: string, placeOf: (sound: NativeKernel, sock: bigint) => bigint) {
  const { elf, truth, oracle } = labDump(dump);
  const sound = openNative({ files: [elf] });
  const sockOf = (name: string) => {
    const { pid, fd } = role(truth, name);
    return { pid, fd, sock: BigInt(oracleSocket(oracle, pid, fd).sock) };
  };
  const { pid, fd, sock } = sockOf(name);
  const other = sockOf('loopback-large').sock + offset(sound, 'sock', 'sk_receive_queue');
  const bytes = littleEndian(pointer(sound, other), 8);
  const patches = [{ address: placeOf(sound, sock), bytes }];
  const before = accountFd(sound, pid, fd);
  const after = accountFd(damagedKernel(sound, { patches, denials: [] }), pid, fd);
  sound.close();
  return { before, after };
}

function pointer(kernel: NativeKernel, address: bigint): bigint {
  return kernel.read(address, 8).getBigUint64(0, true);
}

function offset(kernel: NativeKernel, type: string, member: string): bigint {
  return BigInt(kernel.struct(type)?.member(member)?.offset ?? Number.NaN);
}

describe('TCP memory outside its queues is counted', () => {
  test.each(
    ofRun(['5.10'] as const).flatMap(
      (dump) =>
        [
          [dump, 'sk_rx_skb_cache'],
          [dump, 'sk_tx_skb_cache'],
        ] as const,
    ),
  )('%s: %s', (dump, member) => {
    const { before, after } = withKept(dump, 'healthy', (sound, sock) => sock + offset(sound, 'sock', member));
    expect(before.queues).not.toHaveProperty('kept');
    expect(before.total).toMatchObject({ skbs: 0, pinnedBytes: 0, complete: true });
    expect(after.queues.kept).toMatchObject({ skbs: 1, complete: true });
    expect(after.queues.kept?.pinnedBytes).toBeGreaterThan(4096);
    expect(after.total).toEqual(after.queues.kept);
    // It was read or acknowledged before.
    expect(after.unreadBytes).toBe(before.unreadBytes);
  });

  test.each(ofRun(['5.10', '6.1', '6.12', 'newest'] as const))('%s: the packet with options for IPv6', (dump) => {
    const { before, after } = withKept(dump, 'loopback-v6', (sound, sock) => {
      const part = pointer(sound, sock + offset(sound, 'inet_sock', 'pinet6'));
      return part + offset(sound, 'ipv6_pinfo', 'pktoptions');
    });
    expect(before.queues).not.toHaveProperty('kept');
    expect(after.queues.kept).toMatchObject({ skbs: 1, complete: true });
    const pinned = before.total.pinnedBytes + (after.queues.kept?.pinnedBytes ?? 0);
    expect(after.total.pinnedBytes).toBe(pinned);
    expect(after.unreadBytes).toBe(before.unreadBytes);
  });
});
