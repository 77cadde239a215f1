import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { accountFd, accountSock } from '../../../src/account/skb.js';
import { skbBlocks } from '../../../src/answers/skb/document.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { memoryOf } from '../../support/damaged-kernel.js';
import { KERNELS, LAB, LabMissing, labDump, ofRun, role } from '../../support/lab.js';

const SOCK_STREAM = 1;

describe.each(KERNELS)('unread data of %s', (version) => {
  const { elf, truth } = labDump(version);

  test('matches FIONREAD in the process, for every stream', () => {
    const kernel = openNative({ files: [elf] });
    let compared = 0;
    for (const { name, pid, fd, kind, socket } of truth.roles) {
      if (kind !== 'socket' || socket?.type !== SOCK_STREAM || socket.unread === null) continue;
      const { unreadBytes, queues } = accountFd(kernel, pid, fd);
      const outOfOrder = queues.outOfOrder?.payloadBytes ?? 0;
      expect((unreadBytes ?? -1) - outOfOrder, name).toBe(socket.unread);
      compared++;
    }
    kernel.close();
    expect(compared).toBeGreaterThan(15);
  });

  test.each([
    ['one-skb', 'tcp_sock', 'copied_seq'],
    ['unix-stream', 'unix_skb_parms', 'consumed'],
  ] as const)('excludes what %s has read of its first skb', (name, struct, member) => {
    const kernel = openNative({ files: [elf] });
    const { pid, fd } = role(truth, name);
    const whole = accountFd(kernel, pid, fd, true);
    const { addressOf, add, lose, damagedBy } = memoryOf(kernel);
    const first = whole.skbs?.receive?.[0]?.address ?? 0n;
    const object = struct === 'tcp_sock' ? whole.socket.sock : addressOf(first, 'sk_buff.cb');
    const consumed = `${struct}.${member}`;
    const partly = accountFd(damagedBy(add(object, consumed, 10n)), pid, fd);
    expect(partly.unreadBytes).toBe((whole.unreadBytes ?? 0) - 10);
    expect(partly.queues).toEqual(whole.queues);
    if (struct !== 'tcp_sock') return kernel.close();
    const unknown = accountFd(damagedBy(lose(object, consumed)), pid, fd);
    expect(unknown.unreadBytes).toBeNull();
    expect(skbBlocks(unknown, 'vmcore')[0]).toContain('in skbs that are not fully read');
    kernel.close();
  });
});

test.each(ofRun(['6.1', 'newest'] as const))('the MPTCP reader of %s has read 10 bytes', (version) => {
  const folder = join(LAB, 'dumps', `${version}-families`);
  if (!existsSync(folder)) throw new LabMissing(folder, `dump ${version}-families`);
  const { roles } = JSON.parse(readFileSync(join(folder, 'truth.json'), 'utf8'));
  const reader = roles.find(({ role }: { role: string }) => role === 'mptcp-reader');
  const kernel = openNative({ files: [join(folder, 'elf.vmcore')] });
  const { unreadBytes, socket } = accountFd(kernel, reader.pid, reader.fd);
  expect(unreadBytes).toBe(reader.unread);
  expect(accountSock(kernel, socket.sock).unreadBytes).toBe(reader.unread);
  kernel.close();
});
