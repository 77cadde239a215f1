import { describe, expect, test } from 'vitest';
import { estimatePinned } from '../../../src/stale/pinned.js';
import { LAB_KERNELS, labDump, type OracleSocket } from '../../support/lab.js';

const RECEIVING = ['receive', 'outOfOrder', 'backlog', 'reader', 'error'];

/** Sockets of the lab's scenario with something in a receive queue: what drgn counts there. */
function received(socket: OracleSocket) {
  const queues = RECEIVING.flatMap((name) => socket.queues[name] ?? []);
  const sum = (field: 'skbs' | 'payloadBytes' | 'truesizeBytes' | 'pinnedBytes') =>
    queues.reduce((total, queue) => total + queue[field], 0);
  return {
    skbs: sum('skbs'),
    payload: sum('payloadBytes'),
    truesize: sum('truesizeBytes'),
    pinned: sum('pinnedBytes'),
  };
}

describe.each(LAB_KERNELS)('the estimate against what drgn counts, %s', (kernel) => {
  const { oracle, truth } = labDump(kernel);
  const roles = new Map(
    truth.roles.flatMap((role) => (role.socket ? [[role.socket.inode, role] as const] : [])),
  );
  const cases = oracle.sockets
    .filter((socket) => socket.state !== 'LISTEN' && received(socket).skbs > 0)
    .map((socket) => {
      const role = roles.get(socket.inode);
      return { name: role?.name ?? `inode ${socket.inode}`, socket, unread: role?.socket?.unread };
    })
    .filter(({ name }) => name !== 'unix-datagrams');

  test('there is something to compare', () => {
    expect(cases.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['starving', 'starving-large', 'loopback', 'udp-fed', 'unix-stream']),
    );
  });

  test.each(cases)('$name', ({ name, socket, unread }) => {
    const found = received(socket);
    const unix = socket.family === 'AF_UNIX';
    const udp = socket.protocol === 'UDP';
    const { low, likely, high } = estimatePinned({
      protocol: unix ? 'UNIX' : udp ? 'UDP' : 'TCP',
      payload: udp ? 0 : (unread ?? found.payload),
      // A unix stream's sender is charged the truesize of what it sent.
      charge: unix ? found.truesize : socket.meminfo.rmemAlloc + socket.meminfo.backlog,
      segments: 0,
      payloadIsPart: (socket.queues.outOfOrder?.skbs ?? 0) > 0,
      maxSkbFrags: 17,
      unplacedMemory: 512 * 1024 * 1024,
    });
    expect(low).toBeLessThanOrEqual(found.pinned);
    expect(high).toBeGreaterThanOrEqual(found.pinned);
    const off = Math.abs(likely / found.pinned - 1);
    // Of 10-byte messages how many share a page varies: each is charged for less than its share.
    expect(off).toBeLessThan(name === 'starving' ? 0.45 : 0.3);
  });
});
