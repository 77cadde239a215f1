import { describe, expect, test } from 'vitest';
import { AcceptQueues, isUnaccepted, type SocketRecord } from '../../src/host/socket.js';
import { parseInetRow } from '../../src/host/ss/inet.js';

const row = (text: string, netns = 1): SocketRecord => {
  const socket = parseInetRow(text, netns);
  if (!socket) throw new Error(`no row: ${text}`);
  return socket;
};
const listener = (local: string, inode: number, protocol = 'tcp', recvQ = 1) =>
  row(`${protocol} LISTEN ${recvQ} 5 ${local} *:* ino:${inode} sk:${inode} <->`);
const waiting = (local: string, { protocol = 'tcp', state = 'ESTAB', inode = 0, netns = 1 } = {}) =>
  row(`${protocol} ${state} 5 0 ${local} 10.9.9.9:40000 ino:${inode} sk:99 <->`, netns);
const inodes = (listeners: SocketRecord[], connection: SocketRecord) =>
  new AcceptQueues(listeners).of(connection).map(({ inode }) => inode);

describe('the listener of a connection that is not accepted', () => {
  test.each([
    ['10.0.0.1:80', '10.0.0.1:80'],
    ['0.0.0.0:80', '10.0.0.1:80'],
    ['0.0.0.0%eth0:80', '10.0.0.1:80'],
    ['*:80', '10.0.0.1:80'],
    ['*:80', '[::ffff:10.0.0.1]:80'],
    ['[::]:80', '[2001:db8::1]:80'],
    ['[fe80::1]%eth0:80', '[fe80::1%eth0]:80'],
  ])('bound to %s accepts a connection to %s', (bound, local) => {
    expect(inodes([listener(bound, 7)], waiting(local))).toEqual([7]);
  });

  test.each([
    ['another port', '0.0.0.0:81', {}],
    ['another address', '10.0.0.2:80', {}],
    ['another family', '[::]:80', {}],
    ['another network namespace', '0.0.0.0:80', { netns: 2 }],
    ['another protocol', '0.0.0.0:80', { protocol: 'mptcp' }],
    ['a socket of a process', '0.0.0.0:80', { inode: 5 }],
    ['an orphan', '0.0.0.0:80', { state: 'FIN-WAIT-1' }],
  ])('is not found for %s', (_, bound, connection) => {
    expect(inodes([listener(bound, 7)], waiting('10.0.0.1:80', connection))).toEqual([]);
  });

  test('is the one bound to the address rather than to all addresses', () => {
    const pair = [listener('0.0.0.0:80', 7), listener('10.0.0.1:80', 8)];
    expect(inodes(pair, waiting('10.0.0.1:80'))).toEqual([8]);
    expect(inodes(pair, waiting('10.0.0.2:80'))).toEqual([7]);
  });

  test('is each one that shares the port and has a connection in its queue', () => {
    const several = [7, 8, 9].map((inode) => listener('0.0.0.0:80', inode, 'tcp', inode === 9 ? 0 : 2));
    expect(inodes(several, waiting('10.0.0.1:80'))).toEqual([7, 8]);
  });

  test('is separate for MPTCP', () => {
    const pair = [listener('0.0.0.0:80', 7), listener('0.0.0.0:80', 8, 'mptcp')];
    expect(inodes(pair, waiting('10.0.0.1:80', { protocol: 'mptcp' }))).toEqual([8]);
  });
});

test('is not searched for a datagram socket without an inode', () => {
  expect(isUnaccepted(waiting('10.0.0.1:53', { protocol: 'udp' }))).toBe(false);
  expect(isUnaccepted(waiting('10.0.0.1:53'))).toBe(true);
});
