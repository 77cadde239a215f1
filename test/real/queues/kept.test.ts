import { expect, test } from 'vitest';
import { damagedKernel } from '../../../scripts/fuzz-parts/damaged-kernel.js';
import { littleEndian } from '../../../scripts/fuzz-parts/values.js';
import { accountFd } from '../../../src/account/skb.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { labDump, oracleSocket, role } from '../../support/lab.js';

/** 5.10 has the two caches, and no socket of the lab's has anything in them: their sysctls are off. */
test.each(['sk_rx_skb_cache', 'sk_tx_skb_cache'])('what TCP keeps in %s is counted', (member) => {
  const { elf, truth, oracle } = labDump('5.10');
  const sound = openNative({ files: [elf] });
  const pointer = (address: bigint) => sound.read(address, 8).getBigUint64(0, true);
  const offset = (name: string) => BigInt(sound.struct('sock')?.member(name)?.offset ?? Number.NaN);
  const sockOf = (name: string) => {
    const { pid, fd } = role(truth, name);
    return { pid, fd, sock: BigInt(oracleSocket(oracle, pid, fd).sock) };
  };
  const healthy = sockOf('healthy');
  const first = pointer(sockOf('loopback-large').sock + offset('sk_receive_queue'));
  const before = accountFd(sound, healthy.pid, healthy.fd);
  expect(before.queues).not.toHaveProperty('kept');
  expect(before.total).toMatchObject({ skbs: 0, pinnedBytes: 0, complete: true });
  const bytes = littleEndian(first, 8);
  const patches = [{ address: healthy.sock + offset(member), bytes }];
  const kernel = damagedKernel(sound, { patches, denials: [] });
  const { queues, total, unreadBytes } = accountFd(kernel, healthy.pid, healthy.fd);
  sound.close();
  expect(queues.kept).toMatchObject({ skbs: 1, complete: true });
  expect(queues.kept?.pinnedBytes).toBeGreaterThan(4096);
  expect(total).toEqual(queues.kept);
  // It has been read, or acknowledged, before.
  expect(unreadBytes).toBe(before.unreadBytes);
});
