import { isIPv6 } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatInet, inetContradiction, isNoState, miniSock, stateName } from '../../../src/walk/sockets/sock-words.js';

test.each([
  ['SOCK_STREAM', 6, 'TCP'],
  ['SOCK_STREAM', 262, 'MPTCP'],
  ['SOCK_DGRAM', 136, 'UDP-Lite'],
  ['SOCK_DGRAM', 115, 'L2TP/IP'],
  ['SOCK_SEQPACKET', 132, 'SCTP'],
  ['SOCK_RAW', 6, 'RAW'],
  // Unknown protocols of modules.
  ['SOCK_STREAM', 256, 'INET_SMC'],
  ['SOCK_DGRAM', 146, 'HOMA'],
])('accepts %s of protocol %i, named %s', (type, protocol, name) => {
  expect(inetContradiction(type, protocol, name)).toBeUndefined();
});

test.each([
  ['SOCK_STREAM', 17, 'TCP'],
  ['SOCK_RAW', 6, 'TCPv6'],
  ['SOCK_DGRAM', 17, 'UDP-Lite'],
  ['SOCK_DGRAM', 6, 'unknown'],
  ['SOCK_STREAM', 115, 'TCP'],
])('rejects %s of protocol %i, named %s', (type, protocol, name) => {
  expect(inetContradiction(type, protocol, name)).toMatch(/^its /);
});

test('names states as TCP does where the family uses them, otherwise by number', () => {
  expect(stateName('AF_INET', 1)).toBe('ESTABLISHED');
  expect(stateName('AF_SMC', 10)).toBe('LISTEN');
  expect(stateName('AF_SMC', 20)).toBe('STATE_20');
  expect(stateName('AF_BLUETOOTH', 8)).toBe('STATE_8');
  expect(isNoState('AF_INET', 0)).toBe(true);
  expect(isNoState('AF_UNIX', 99)).toBe(true);
  expect(isNoState('AF_RXRPC', 0)).toBe(false);
  expect(isNoState('AF_SMC', 27)).toBe(false);
});

test('recognizes TIME_WAIT and NEW_SYN_RECV as structs smaller than a sock', () => {
  expect(miniSock('AF_INET', 6)).toMatch(/TIME_WAIT/);
  expect(miniSock('AF_INET6', 12)).toMatch(/NEW_SYN_RECV/);
  expect(isNoState('AF_INET6', 12)).toBe(true);
  expect(miniSock('AF_INET', 5)).toBeUndefined();
  expect(miniSock('AF_UNIX', 6)).toBeUndefined();
});

const v6 = (...groups: number[]) => Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));

test.each([
  [Uint8Array.of(10, 0, 2, 15), 9000, '10.0.2.15:9000'],
  [v6(0, 0, 0, 0, 0, 0, 0, 1), 80, '[::1]:80'],
  [v6(0, 0, 0, 0, 0, 0, 0, 0), 0, '[::]:0'],
  [v6(0xfe80, 0, 0, 0, 1, 0, 0, 2), 1, '[fe80::1:0:0:2]:1'],
  [v6(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1), 443, '[2001:db8:0:1::1]:443'],
  [v6(1, 0, 2, 3, 4, 5, 6, 7), 2, '[1:0:2:3:4:5:6:7]:2'],
  [v6(0, 0, 0, 0, 0, 0xffff, 0x0a00, 0x020f), 9000, '[::ffff:10.0.2.15]:9000'],
])('formats %j port %d as %s', (address, port, text) => expect(formatInet(address, port)).toBe(text));

test('formats every IPv6 address as a valid one', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (address) => {
      const text = /^\[(.*)\]:7$/.exec(formatInet(address, 7))?.[1] ?? '';
      expect(isIPv6(text)).toBe(true);
    }),
  );
});
