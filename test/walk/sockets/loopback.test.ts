import { expect, test } from 'vitest';
import { accountAll } from '../../../src/account/sockets.js';
import { LoopbackConnections } from '../../../src/walk/sockets/loopback.js';
import { fixtureKernel } from '../../support/opened-kernel.js';

const { kernel, damagedBy, set } = fixtureKernel('6.1');

type Ends = readonly [state: string, local: string, peer: string, netns?: number, protocol?: string];

function contradictions(...ends: readonly Ends[]): string[] {
  const connections = new LoopbackConnections();
  for (const [index, [state, local, peer, netns = 1, protocol = 'TCP']] of ends.entries())
    connections.add(BigInt(index + 1), { family: 'AF_INET', type: 'SOCK_STREAM', protocol, state, local, peer, netns });
  return connections.contradictions(kernel);
}

const [A, B, C] = ['127.0.0.1:50000', '127.0.0.1:80', '127.0.0.1:50001'] as const;

test.each<[string, readonly Ends[], string[]]>([
  [
    'both ends are open',
    [
      ['ESTABLISHED', A, B],
      ['ESTABLISHED', B, A],
    ],
    [],
  ],
  [
    'one end closes',
    [
      ['FIN_WAIT1', A, B],
      ['ESTABLISHED', B, A],
    ],
    [],
  ],
  [
    'one end has closed',
    [
      ['FIN_WAIT2', A, B],
      ['CLOSE_WAIT', B, A],
    ],
    [],
  ],
  [
    'both ends close',
    [
      ['FIN_WAIT1', A, B],
      ['CLOSING', B, A],
    ],
    [],
  ],
  [
    'an end is closed',
    [
      ['CLOSE', A, B],
      ['CLOSE_WAIT', B, A],
    ],
    [],
  ],
  [
    'an end of IPv6',
    [
      ['CLOSE_WAIT', '[::ffff:127.0.0.1]:80', A],
      ['ESTABLISHED', A, B],
    ],
    ['ends are CLOSE_WAIT and ESTABLISHED'],
  ],
  [
    'neither end has closed first',
    [
      ['CLOSE_WAIT', A, B],
      ['CLOSE_WAIT', B, A],
    ],
    ['ends are CLOSE_WAIT and CLOSE_WAIT'],
  ],
  [
    'a port differs',
    [
      ['ESTABLISHED', A, B],
      ['ESTABLISHED', B, C],
    ],
    ['no other end'],
  ],
  [
    'an address differs',
    [
      ['ESTABLISHED', A, B],
      ['ESTABLISHED', '10.0.0.1:80', A],
    ],
    ['no other end'],
  ],
  [
    'the connection of another namespace',
    [
      ['ESTABLISHED', A, B],
      ['ESTABLISHED', B, C, 2],
    ],
    [],
  ],
  [
    'two connections to one port',
    [
      ['ESTABLISHED', A, B],
      ['ESTABLISHED', B, A],
      ['ESTABLISHED', C, B],
    ],
    [],
  ],
  [
    'one end alone',
    [
      ['ESTABLISHED', A, B],
      ['LISTEN', B, '*'],
    ],
    [],
  ],
  [
    'another protocol',
    [
      ['CLOSE_WAIT', A, B, 1, 'MPTCP'],
      ['ESTABLISHED', B, A, 1, 'MPTCP'],
    ],
    [],
  ],
])('ends of connections to the machine itself: %s', (_, ends, found) => {
  expect(contradictions(...ends)).toEqual(found.map((words) => expect.stringContaining(words)));
});

test.each([
  ['state', '__sk_common.skc_state', 8n, /one connection, but its ends are /],
  ['peer port', '__sk_common.skc_dport', 0x0700n, /have no other end/],
])('the %s of one end, which the other contradicts', (_, member, value, message) => {
  const { sockets, complete } = accountAll(kernel);
  expect(complete).toBe(true);
  const ends = new Map(sockets.map(({ socket }) => [`${socket.local} ${socket.peer}`, socket]));
  const one = sockets.find(
    ({ socket: { protocol, state, local, peer } }) =>
      protocol === 'TCP' && state === 'ESTABLISHED' && ends.get(`${peer} ${local}`)?.state === 'ESTABLISHED',
  );
  const { complete: isWhole, warnings } = accountAll(damagedBy(set(one!.socket.sock, `sock.${member}`, value)));
  expect(isWhole).toBe(false);
  expect(warnings.filter(({ message: text }) => message.test(text))).toHaveLength(1);
});
