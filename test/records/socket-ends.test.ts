import { expect, test } from 'vitest';
import { socketEnds } from '../../src/records/socket-ends.js';

test.each([
  ['10.0.2.15:9001', '10.0.2.15', 9001],
  ['[::1]:80', '::1', 80],
  ['[::ffff:10.0.0.1]:80', '::ffff:10.0.0.1', 80],
  ['[fe80::1]%eth0:443', 'fe80::1', 443],
  ['[fe80::1%eth0]:443', 'fe80::1', 443],
  ['10.0.0.1%vlan.7:22', '10.0.0.1', 22],
  ['*:22', '*', 22],
  ['0.0.0.0:*', '0.0.0.0', null],
  ['*:*', '*', null],
  // A vsock: CID and port, which has 32 bits.
  ['2:4294967295', '2', 4294967295],
  ['', null, null],
  [null, null, null],
  ['/run/x:80', null, null],
  ['(left-out)', null, null],
  ['10.0.0.1', null, null],
  ['a\u001b[31m:80', null, null],
] as const)('splits %s', (end, address, port) => {
  expect(socketEnds({ family: 'AF_INET' }, end, end)).toEqual({
    localAddress: address,
    localPort: port,
    peerAddress: address,
    peerPort: port,
  });
});

test.each([{ family: 'AF_UNIX' }, { protocol: 'UNIX' }, { protocol: 'NETLINK' }])(
  'does not split a name that looks like an address: %j',
  (kind) => {
    expect(socketEnds(kind, '10.0.0.1:80', null)).toEqual({
      localAddress: null,
      localPort: null,
      peerAddress: null,
      peerPort: null,
    });
  },
);
