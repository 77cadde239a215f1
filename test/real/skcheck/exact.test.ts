import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { SocketRecord } from '../../../src/host/socket.js';
import { openNative } from '../../../src/kernel/native/open.js';
import type { Diagnosis } from '../../../src/skcheck/diagnose.js';
import { countExactly, withCounts } from '../../../src/skcheck/exact.js';
import type { Finding } from '../../../src/skcheck/finding.js';
import { NOTHING_PINNED } from '../../../src/skcheck/pinned.js';
import { VERDICT_CODES } from '../../../src/skcheck/verdict.js';
import { KERNELS, labDump } from '../../support/lab.js';
import { skcheck } from './stage.js';

/**
 * A finding that skcheck would have made in the guest: the sockets of its roles, by pid, fd and
 * inode.
 */
function finding(pid: number, fd: number, inode: number, more: Partial<SocketRecord> = {}): Finding {
  const socket: SocketRecord = {
    family: 'AF_INET',
    type: 'SOCK_STREAM',
    protocol: 'TCP',
    netns: 1,
    state: 'ESTABLISHED',
    local: '',
    peer: '',
    inode,
    peerInode: 0,
    cookie: '',
    recvQ: 1,
    sendQ: 0,
    cgroup: null,
    skmem: null,
    tcp: null,
    timer: null,
    ...more,
  };
  return {
    socket,
    holders: [{ pid, fds: [fd] }],
    processes: [],
    ownerless: null,
    acceptQueue: null,
    otherEnd: null,
    localPeer: null,
    waiting: [],
    unread: 1,
    unsent: 0,
    verdict: {
      verdict: 'stalled-reader',
      certainty: 'proved',
      waitedMs: 1,
      evidence: { kind: 'consumed-nothing', watchedMs: 1 },
    },
    also: [],
    dropped: 0,
    droppedBefore: null,
    grew: 0,
    cpuShare: null,
    charge: 0,
    pinned: { low: 1, likely: 2, high: 3, atMost: null },
  };
}

describe.each(KERNELS)('counted in the memory of %s', (name) => {
  const { elf, truth, oracle } = labDump(name);
  const wanted = truth.roles.flatMap((role) =>
    role.kind === 'socket' && role.socket ? [{ role, inode: role.socket.inode }] : [],
  );
  const kernel = openNative({ files: [elf] });

  test('the figures of the found sockets match drgn, also for an inode alone', () => {
    const findings = wanted.map(({ role, inode }) => finding(role.pid, role.fd, inode));
    const exact = countExactly(kernel, findings);
    let compared = 0;
    findings.forEach((each) => {
      const truths = oracle.sockets.filter(({ inode }) => inode === each.socket.inode);
      const count = exact.counts.get(each);
      if (truths.length !== 1 || !count?.complete) return;
      expect(count.pinnedBytes).toBe(truths[0]?.total.pinnedBytes);
      compared++;
    });
    expect(compared).toBeGreaterThan(5);
  });

  test('does not count a descriptor that has become another socket', () => {
    const [first] = wanted;
    const wrong = finding(first?.role.pid ?? 0, first?.role.fd ?? 0, 4_000_000_000);
    const exact = countExactly(kernel, [wrong, finding(999_999, 3, 5)]);
    expect(exact.counts.size).toBe(0);
    expect(exact.failed).toMatchObject({ count: 2 });
    expect(exact.failed?.because).toMatch(/is now another file/);
    expect(exact.stalePinnedBytes).toBeNull();
  });

  test('finds sockets that no process has open by their inode, or by their addresses', () => {
    const { socket } = truth.roles.find((role) => role.name === 'starving') ?? {};
    const hidden = { ...finding(0, 0, socket?.inode ?? 0), holders: [] };
    const listener = truth.roles.find((role) => role.name === 'listener')?.socket;
    // Three connections that were not accepted, each with its client's end; another namespace may
    // use the same port.
    const clients = oracle.sockets.filter(({ peer, netns }) => peer === listener?.local && netns === listener?.netns);
    expect(clients.length).toBe(3);
    const waiting = clients.map(({ local, peer, netns }) => ({
      ...finding(0, 0, 0, { netns, local: peer ?? '', peer: local ?? '' }),
      holders: [],
    }));
    const strangers = waiting.map((each) => ({ ...each, socket: { ...each.socket, netns: 1 } }));
    const exact = countExactly(kernel, [hidden, ...waiting, ...strangers]);
    const starving = oracle.sockets.find(({ inode }) => inode === socket?.inode);
    expect(exact.counts.get(hidden)).toMatchObject({
      skbs: starving?.total.skbs,
      pinnedBytes: starving?.total.pinnedBytes,
      complete: true,
    });
    for (const each of waiting) {
      expect(exact.counts.get(each)).toMatchObject({ skbs: 1, complete: true });
      expect(exact.counts.get(each)?.pinnedBytes).toBeGreaterThan(1000);
    }
    expect(exact.failed).toMatchObject({ count: 3 });
    expect(exact.failed?.because).toMatch(/no process holds it, and no sock in kernel/);
  });

  test('finds sockets in messages and rings, and those without a process', () => {
    // counts replace estimates, and the total counts shared memory once
    const hidden = truth.hidden.filter(({ inode, how }) => inode !== null || how === 'orphan');
    expect(hidden.map(({ how }) => how)).toEqual(expect.arrayContaining(['scm', 'orphan']));
    const findings = hidden.map(({ inode, local, peer }) => ({
      ...finding(0, 0, inode ?? 0, {
        netns: truth.roles.find(({ name }) => name === 'starving')?.socket?.netns ?? 0,
        local: local ?? '',
        peer: peer ?? '',
      }),
      holders: [],
    }));
    const exact = countExactly(kernel, findings);
    expect(exact.failed).toBeNull();
    for (const [index, { name, bytes, unsent }] of hidden.entries()) {
      const count = exact.counts.get(findings[index]!);
      const least = Math.max(bytes ?? 0, unsent ?? 0);
      expect(count?.pinnedBytes, name).toBeGreaterThan(least);
      expect(count?.complete, name).toBe(true);
    }
  });

  test('A unix connection that was not accepted is in no list of ss.', () => {
    const findings = wanted
      .filter(({ role }) => ['starving', 'loopback'].includes(role.name))
      .map(({ role, inode }) => finding(role.pid, role.fd, inode));
    expect(findings.length).toBe(2);
    const exact = countExactly(kernel, findings);
    const each = findings.map((one) => exact.counts.get(one)?.pinnedBytes ?? 0);
    const total = exact.stalePinnedBytes ?? 0;
    expect(Math.min(...each)).toBeGreaterThan(0);
    expect(total).toBeGreaterThan(Math.max(...each));
    expect(total).toBeLessThanOrEqual(each[0]! + each[1]!);
    const diagnosis: Diagnosis = {
      findings,
      fdLeaks: [],
      examined: 2,
      stalled: 2,
      undecided: 0,
      counts: Object.fromEntries(VERDICT_CODES.map((code) => [code, 0])) as Diagnosis['counts'],
      totals: {
        unread: 2,
        unbounded: 2,
        stalledSenders: 0,
        listeners: 0,
        pinned: { low: 2, likely: 4, high: 6, atMost: null },
        localPeers: { sockets: 0, unsent: 0, pinned: NOTHING_PINNED },
      },
    };
    const { diagnosis: counted, counts } = withCounts(diagnosis, exact);
    const [first = 0] = each;
    expect(counted.findings[0]?.pinned).toEqual({ low: first, likely: first, high: first, atMost: first });
    expect(counted.totals.pinned).toEqual({ low: total, likely: total, high: total, atMost: total });
    expect(counted.totals.unbounded).toBe(0);
    // Findings with counts are new objects, which still map to their counts.
    expect(counted.findings.map((one) => counts.get(one)?.pinnedBytes)).toEqual(each);
  });
});

test('--exact without readable memory reports that, and keeps the estimates', () => {
  const { status, stderr } = skcheck(['--exact', '--interval', '0']);
  expect([0, 1]).toContain(status);
  const said = /note: (?:--exact is not available|\d+ sockets could not be counted)/;
  if (existsSync('/proc/kcore')) expect(stderr).not.toMatch(/--exact is not available/);
  else expect(stderr).toMatch(said);
  expect(stderr).not.toMatch(/at .*\.js:/);
});
