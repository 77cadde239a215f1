import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ALL_GROUPS, readSample } from '../../src/host/ss/read.js';
import { UnixScan } from '../../src/host/ss/unix.js';
import { FakeHost } from './fake-host.js';

const text = readFileSync(new URL('../../fixtures/host/unix.txt', import.meta.url), 'utf8');
/** All at once, or one byte at a time: the result must not depend on where the pieces end. */
function parseUnixRows(rows: string, piece = Number.POSITIVE_INFINITY) {
  const scan = new UnixScan(7);
  const bytes = Buffer.from(rows);
  for (let at = 0; at < bytes.length; at += piece) scan.push(bytes.subarray(at, at + piece));
  return scan.end();
}

const MEMORY = 'skmem:(r0,rb212992,t0,tb212992,f0,w0,o0,bl0,d0)';

function byInode(inode: number) {
  return parseUnixRows(text).sockets.find((socket) => socket.inode === inode);
}

describe('rows of a real ss', () => {
  test('keep data and peer of a path with spaces', () => {
    expect(byInode(58_371)).toMatchObject({
      family: 'AF_UNIX',
      type: 'SOCK_STREAM',
      state: 'ESTABLISHED',
      local: '/tmp/skcheck record 16730/feed.sock',
      peerInode: 58_370,
      recvQ: 176_000,
    });
    expect(byInode(58_370)?.skmem?.wmem).toBe(214_016);
  });

  test('are one row for a path with a number and a newline', () => {
    expect(byInode(58_374)).toMatchObject({
      local: '/tmp/skcheck record 16730/a 12 b\nc',
      peerInode: 58_373,
      recvQ: 10,
    });
    expect(byInode(12)).toBeUndefined();
  });

  test('include abstract names, datagrams and seqpackets', () => {
    expect(byInode(58_377)).toMatchObject({ local: '@abstract name', recvQ: 10 });
    expect(byInode(58_378)).toMatchObject({ type: 'SOCK_DGRAM', local: '@datagrams', recvQ: 300 });
    expect(byInode(58_381)).toMatchObject({ type: 'SOCK_SEQPACKET', recvQ: 50 });
  });

  test('count the forged row in a name as unreadable, since it has no inode', () => {
    const { sockets, unreadable, total } = parseUnixRows(text);
    expect(sockets.some((socket) => socket.recvQ === 987_654_321)).toBe(false);
    expect(unreadable).toBe(1);
    // 15 genuine rows, and the first half of the forged one under an inode that does not exist.
    expect(total).toBe(16);
  });
});

test.each([
  [4_294_967_295, 1, 0],
  [4_294_967_296, 0, 1],
])('a queue of %d bytes: the kernel has 32 bits for it', (bytes, read, unread) => {
  const { sockets, unreadable } = parseUnixRows(`u_str ESTAB ${bytes} 0 * 5 * 6 ${MEMORY} <->\n`);
  expect([sockets.length, unreadable]).toEqual([read, unread]);
});

test('counts idle sockets, but does not store them', () => {
  const { sockets, total } = parseUnixRows(text);
  expect(sockets.length).toBeLessThan(total);
  expect(sockets.every(({ recvQ, sendQ }) => recvQ + sendQ > 0)).toBe(true);
});

test('stores the pending clients of a listener, though they are idle', () => {
  const rows = [
    `u_str ESTAB 0 0 * 902 * 0 ${MEMORY} <->`,
    `u_str LISTEN 3 5 /x 900 * 0 ${MEMORY} <-> ino:7 dev:0/65024 peers: 901 902 0`,
    `u_str LISTEN 0 5 /y 910 * 0 ${MEMORY} <-> ino:8 dev:0/65024 peers:`,
    `u_str ESTAB 0 0 * 901 * 0 ${MEMORY} <->   `,
    `u_str ESTAB 0 0 * 903 * 0 ${MEMORY} <->`,
  ].join('\n');
  for (const piece of [1, 7, 4096]) {
    const { sockets, total, unreadable } = parseUnixRows(rows, piece);
    expect(sockets.map(({ inode }) => inode)).toEqual([900, 902, 901]);
    expect(sockets[0]?.waiting).toEqual([901, 902, 0]);
    expect(sockets[1]?.waiting).toBeUndefined();
    expect({ total, unreadable }).toEqual({ total: 5, unreadable: 0 });
  }
});

test('returns the same result for any pieces of the text', () => {
  for (const piece of [1, 7, 4096]) expect(parseUnixRows(text, piece)).toEqual(parseUnixRows(text));
});

test('rejects both of two rows that claim one inode', () => {
  const honest = `u_str ESTAB 3 0 * 562 * 561 ${MEMORY} <->`;
  const forged = `u_str LISTEN 1 1 @x 9 * 0 ${MEMORY} <->\nu_str ESTAB 4 0 * 562 * 561 ${MEMORY} <->`;
  const { sockets, contested } = parseUnixRows(`${honest}\n${forged}\n`);
  expect(sockets.map((socket) => socket.inode)).toEqual([9]);
  expect(contested).toBe(2);
});

test('matches ends with numbers in their names by the ends that name each other', () => {
  const rows = [
    `u_str ESTAB 7 0 /a 5 b 101 /c 6 d 102 ${MEMORY} <->`,
    `u_str ESTAB 0 9 /c 6 d 102 /a 5 b 101 ${MEMORY} <->`,
  ].join('\n');
  expect(parseUnixRows(rows).sockets).toMatchObject([
    { local: '/a 5 b', inode: 101, peer: '/c 6 d', peerInode: 102, recvQ: 7 },
    { local: '/c 6 d', inode: 102, peer: '/a 5 b', peerInode: 101, recvQ: 0 },
  ]);
});

test('reads any name of a listening socket, unless it imitates numbers', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', '/', ' ', '\n', '*', '5', '\u001b', ',', '"'), minLength: 1 }),
      (name) => {
        const path = `@${name}x`;
        const { sockets, unreadable } = parseUnixRows(
          `u_str LISTEN 2 5      ${path} 777 * 0     ${MEMORY} <-> peers: \n`,
        );
        expect(unreadable).toBe(0);
        expect(sockets.map(({ inode, recvQ }) => ({ inode, recvQ }))).toEqual([{ inode: 777, recvQ: 2 }]);
        expect(sockets[0]?.local).toBe(path);
      },
    ),
  );
});

test('never throws, and counts every line that it cannot read', () => {
  const pieces = ['u_str ', 'ESTAB ', '1 ', '2 ', '* ', `${MEMORY} `, '<->', '\n', 'x', ' peers:'];
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...pieces) })), (hostile) => {
      const { total, unreadable, contested } = parseUnixRows(hostile);
      const visible = hostile.split('\n').filter((line) => line.trim() !== '').length;
      if (total + contested === 0) expect(unreadable > 0).toBe(visible > 0);
    }),
  );
});

test('the pipe that ss prints to is no socket with unread data', async () => {
  const rows = [
    `u_str ESTAB 94208 0 * 31 * 32 ${MEMORY} <->`,
    `u_str ESTAB 0 43776 * 32 * 31 ${MEMORY} <->`,
    `u_str ESTAB 100 0 * 41 * 42 ${MEMORY} <->`,
  ];
  const host = new FakeHost((args) => (args.includes('-x') ? `${rows.join('\n')}\n` : ''));
  const own = { own: true, path: '/proc/self/ns/net', inode: 1, pid: 'self', name: null } as const;
  const kept = async () => (await readSample(host, [own], ALL_GROUPS)).sockets.map(({ inode }) => inode);
  expect(await kept()).toEqual([31, 32, 41]);
  host.ownPipes.add(31);
  expect(await kept()).toEqual([41]);
});

test('a row that is counted from its bytes gives what the parsed row gives', () => {
  const word = fc.constantFrom('*', 'a', '@x', '/run/a', '5', '12', 'a 5', 'b 12 * 5', 'é', '/a\\n');
  const inode = fc.constantFrom(0, 5, 12, 13, 100, 101);
  const queue = fc.constantFrom(0, 0, 0, 7);
  const row = fc.record({
    type: fc.constantFrom('u_str', 'u_dgr', 'u_seq', 'u_xyz'),
    state: fc.constantFrom('ESTAB', 'UNCONN', 'LISTEN', 'SYN-SENT', 'estab'),
    recvQ: queue,
    sendQ: queue,
    local: word,
    inode,
    peer: word,
    peerInode: inode,
  });
  const textOf = (rows: readonly (typeof row extends fc.Arbitrary<infer R> ? R : never)[], tail: string) =>
    rows
      .map(
        (r) =>
          `${r.type} ${r.state}  ${r.recvQ} ${r.sendQ} ${r.local} ${r.inode}  ${r.peer} ${r.peerInode} ${MEMORY} <->${tail}\n`,
      )
      .join('');
  fc.assert(
    fc.property(fc.array(row, { maxLength: 12 }), (rows) => {
      // Only rows without further fields are counted from their bytes.
      const [fast, slow] = ['', ' ino:5 dev:0/6'].map((tail) => parseUnixRows(textOf(rows, tail)));
      expect(fast).toEqual(slow);
    }),
    { numRuns: 2000 },
  );
});
