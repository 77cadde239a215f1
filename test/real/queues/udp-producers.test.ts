import { expect, test } from 'vitest';
import { accountFd } from '../../../src/account/skb.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { memoryOf } from '../../support/damaged-kernel.js';
import { drgnJson } from '../../support/drgn.js';
import { labDump, oracleSocket, role } from '../../support/lab.js';

// CPUs remove datagrams at once: no dump of an idle guest has any there.
test('finds per-CPU UDP datagrams where drgn finds them', () => {
  const { elf, truth, oracle } = labDump('newest');
  const sound = openNative({ files: [elf] });
  const { set, damagedBy } = memoryOf(sound);
  const { pid, fd } = role(truth, 'udp-fed');
  const { sock } = oracleSocket(oracle, pid, fd);
  const script = new URL('udp-producers.py', import.meta.url);
  const lists = drgnJson<[string, string][]>(elf, 'newest', script, sock);
  expect(lists.map(([, first]) => first)).toEqual(['0x0']);
  const before = accountFd(sound, pid, fd, true);
  expect(before.queues.producing).toMatchObject({ skbs: 0, pinnedBytes: 0, complete: true });

  // An skb of another socket, and the one after it.
  const other = role(truth, 'unix-stream');
  const [first, second] = accountFd(sound, other.pid, other.fd, true).skbs?.receive ?? [];
  if (!first || !second) throw new Error('the other socket has no two skbs');
  const patches = [
    set(BigInt(lists[0]?.[0] ?? 0), 8, first.address),
    set(first.address, 8, second.address),
    set(second.address, 8, 0n),
  ];
  const after = accountFd(damagedBy(...patches), pid, fd);
  sound.close();
  expect(after.queues.producing).toMatchObject({ skbs: 2, payloadBytes: first.length + second.length, complete: true });
  expect(after.total.skbs).toBe(before.total.skbs + 2);
});
