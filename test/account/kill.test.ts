import { describe, expect, test } from 'vitest';
import type { CountedQueue, Holdings } from '../../src/account/holdings.js';
import { holdingsOf } from '../../src/account/holdings.js';
import { KillImpact } from '../../src/account/kill-impact.js';
import { Tally } from '../../src/account/tally.js';
import type { QueueName } from '../../src/records/queues.js';
import type { CountedSocket } from '../../src/walk/sockets/found-sockets.js';
import type { Task } from '../../src/walk/tasks/tasks.js';
import { Warnings } from '../../src/walk/warnings.js';

const PAGE = 4096;
const newTally = () => new Tally(PAGE, new Warnings());
const task = (pid: number): Task => ({
  address: BigInt(pid),
  pid,
  comm: 'x',
  files: 1n,
  signal: 1n,
  kernelThread: false,
});
const open = (...pids: number[]) => pids.map((pid) => ({ task: task(pid), fd: 3 }));

function socketAt(sock: bigint, more: Partial<CountedSocket> = {}): CountedSocket {
  return {
    sock,
    file: sock + 1n,
    inode: Number(sock),
    foundBy: ['fd'],
    fileReferences: more.holders?.length ?? 0,
    holders: [],
    mappedBy: [],
    carriedBy: [],
    registeredWith: [],
    acceptedFrom: undefined,
    subflowOf: undefined,
    ...more,
  };
}

let frames = 1;
/** This many pages without other holders, with one byte of payload each. */
function pages(count: number): Tally {
  const tally = newTally();
  for (let page = 0; page < count; page++) {
    tally.page(frames++, 0, 1, undefined);
    tally.payload(1);
  }
  return tally;
}

const TCP = { family: 'AF_INET', type: 'SOCK_STREAM', protocol: 'TCP', state: 'ESTABLISHED' };
const UNIX = { family: 'AF_UNIX', type: 'SOCK_STREAM', protocol: 'UNIX-STREAM', state: 'CLOSE' };

function held(
  identity: { family: string; type: string; protocol: string; state: string },
  queues: Partial<Record<QueueName, number>>,
  [local, peer, netns]: readonly [string, string, number] = ['a:1', 'b:2', 1],
): Holdings {
  const all = newTally();
  const counted = Object.entries(queues).map(([name, count]): CountedQueue => {
    const tally = pages(count);
    all.add(tally);
    return { name: name as QueueName, tally, figures: tally.figures() };
  });
  return holdingsOf({ ...identity, local, peer, netns }, all, counted, newTally, () => true);
}

function freed(pid: number, ...sockets: readonly (readonly [CountedSocket, Holdings])[]) {
  const impact = new KillImpact(newTally);
  for (const [socket, what] of sockets) impact.add(socket, what);
  const { low, high } = impact.freed(pid);
  return [low / PAGE, high === null ? null : high / PAGE];
}

describe('one end of a local TCP connection', () => {
  const reader = () => socketAt(100n, { holders: open(1) });
  const writer = () => socketAt(200n, { holders: open(2) });
  const unread = () => held(TCP, { receive: 3 }, ['a:1', 'b:2', 1]);
  const unsent = (netns = 1) => held(TCP, { write: 5, retransmit: 2 }, ['b:2', 'a:1', netns]);

  test('leaves unacknowledged data behind if the sender is killed', () => {
    expect(freed(2, [reader(), unread()], [writer(), unsent()])).toEqual([0, 7]);
  });
  test('leaves unsent data of kTLS behind, too', () => {
    expect(freed(2, [writer(), held(TCP, { tlsSend: 4 })])).toEqual([0, 4]);
  });
  test('resets the connection and leaves nothing if it has unread data', () => {
    expect(freed(2, [writer(), held(TCP, { receive: 1, write: 4 })])).toEqual([5, 5]);
  });
  test('frees the send queue of the other end by its reset, in any namespace', () => {
    expect(freed(1, [reader(), unread()], [writer(), unsent()])).toEqual([3, 10]);
    expect(freed(1, [reader(), unread()], [writer(), unsent(2)])).toEqual([3, 10]);
  });
  test('frees both ends if one process has both', () => {
    const twoEnds = socketAt(200n, { holders: open(1) });
    expect(freed(1, [reader(), unread()], [twoEnds, unsent()])).toEqual([10, 10]);
  });
});

describe('a reference to the file beyond the descriptors', () => {
  const two = () => held(UNIX, { receive: 2 });
  test('may belong to any process if its origin is unknown', () => {
    expect(freed(1, [socketAt(1n, { holders: open(1), fileReferences: 2 }), two()])).toEqual([0, 2]);
  });
  test('is freed with the process if it is a mapping of it', () => {
    const mapped = socketAt(1n, { holders: open(1), mappedBy: [task(1)], fileReferences: 2 });
    expect(freed(1, [mapped, two()])).toEqual([2, 2]);
  });
  test('keeps the socket if it is a mapping of another process', () => {
    const mapped = socketAt(1n, { holders: open(1), mappedBy: [task(2)], fileReferences: 2 });
    expect(freed(1, [mapped, two()])).toEqual([0, 0]);
  });
  test('counts two processes with one file table as two', () => {
    const shared = socketAt(1n, { holders: open(1, 2), fileReferences: 1 });
    expect(freed(1, [shared, two()])).toEqual([0, 0]);
    expect(freed(2, [shared, two()])).toEqual([0, 0]);
  });
});

describe('objects that depend on a socket are freed with it:', () => {
  test('a connection pending at a listener', () => {
    const listener = socketAt(1n, { holders: open(1) });
    const child = socketAt(2n, { acceptedFrom: 1n });
    const all = [
      [listener, held({ ...TCP, state: 'LISTEN' }, {})],
      [child, held(TCP, { receive: 2 })],
    ] as const;
    expect(freed(1, ...all)).toEqual([2, 2]);
    expect(freed(2, ...all)).toEqual([0, 0]);
  });
  test('a message, and the contents of its own messages', () => {
    const carrier = socketAt(1n, { holders: open(1) });
    const carried = socketAt(2n, { carriedBy: [1n], fileReferences: 1 });
    const nested = socketAt(3n, { carriedBy: [2n], fileReferences: 1 });
    const one = () => held(UNIX, { receive: 1 });
    expect(freed(1, [carrier, one()], [carried, one()], [nested, one()])).toEqual([3, 3]);
  });
  test('an MPTCP subflow, with its connection', () => {
    const whole = socketAt(1n, { holders: open(1) });
    const subflow = socketAt(2n, { subflowOf: 1n });
    const mptcp = { ...TCP, protocol: 'MPTCP' };
    expect(freed(1, [whole, held(mptcp, { receive: 2 })], [subflow, held(TCP, { receive: 3 })])).toEqual([5, 5]);
  });
});

test('sockets that are partly unreadable have no upper bound', () => {
  const what = held(UNIX, { receive: 2 });
  what.all.incomplete('unreadable', 'something');
  expect(freed(1, [socketAt(1n, { holders: open(1) }), what])).toEqual([2, null]);
});
