import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SocketRecord } from '../../src/host/socket.js';
import { judge, type Moment, type TrackWindow, unreadBytes } from '../../src/skcheck/judge.js';

function tcp(recvQ: number, bytesReceived: number | null, lastReceivedMs = 0): SocketRecord {
  return {
    family: 'AF_INET',
    type: 'SOCK_STREAM',
    protocol: 'TCP',
    state: 'ESTABLISHED',
    local: '10.0.0.1:80',
    peer: '10.0.0.2:5000',
    inode: 7,
    peerInode: 0,
    cookie: '1',
    recvQ,
    sendQ: 0,
    cgroup: null,
    skmem: null,
    netns: 1,
    timer: null,
    tcp: {
      bytesReceived,
      lastReceivedMs,
      dataSegments: 1,
      rcvMss: 536,
      outOfOrder: 0,
      bytesAcked: 0,
      lastSentMs: 0,
      notSent: 0,
    },
  };
}
const unix = (recvQ: number, type: SocketRecord['type'] = 'SOCK_STREAM'): SocketRecord => ({
  ...tcp(recvQ, 0),
  family: 'AF_UNIX',
  protocol: 'UNIX',
  type,
  tcp: null,
});
const at = (ms: number, socket: SocketRecord): Moment => ({ startedMs: ms, endedMs: ms + 5, socket });
const twice = (first: SocketRecord | null, last: SocketRecord, windows: TrackWindow[] = []) =>
  judge({ first: first && at(100, first), last: at(2105, last), windows });
const once = (socket: SocketRecord) => judge({ first: at(100, socket), last: null, windows: [] });

describe('TCP, two samples', () => {
  test('is proved stalled if nothing was consumed, with waiting data from before the first sample', () => {
    expect(twice(tcp(500, 1500, 60_000), tcp(500, 1500, 62_000))).toEqual({
      verdict: 'stalled-reader',
      certainty: 'proved',
      waitedMs: 62_000,
      evidence: { kind: 'consumed-nothing', watchedMs: 2000 },
    });
  });

  test('is stalled, with the full time, even if data arrived meanwhile', () => {
    expect(twice(tcp(500, 1500, 60_000), tcp(700, 1700, 3))).toMatchObject({
      verdict: 'stalled-reader',
      waitedMs: 62_000,
    });
  });

  test('is slow if only one byte was consumed: the others have waited all the time', () => {
    expect(twice(tcp(500, 1500), tcp(499, 1500))).toMatchObject({
      verdict: 'slow-reader',
      certainty: 'proved',
      waitedMs: 2000,
      evidence: { kind: 'consumed-part', bytes: 1, received: 0 },
    });
  });

  test('is not slow if all initially queued data was consumed, however full the queue is', () => {
    expect(twice(tcp(500, 1500), tcp(90_000, 91_500))).toMatchObject({
      verdict: 'reading',
      evidence: { kind: 'consumed', bytes: 500 },
    });
  });

  test('is not slow within a short interval', () => {
    const soon = judge({ first: at(0, tcp(500, 1500)), last: at(600, tcp(499, 1500)), windows: [] });
    expect(soon.verdict).toBe('reading');
  });

  test('is not stalled if a full queue was read and filled again', () => {
    expect(twice(tcp(500, 1500), tcp(500, 9500)).verdict).toBe('reading');
  });

  test('is not stalled if the socket is missing in the first sample', () => {
    expect(twice(null, tcp(500, 500)).verdict).toBe('reading');
  });

  test('is not stalled if the data arrived after the first sample', () => {
    expect(twice(tcp(0, 1000), tcp(500, 1500)).verdict).toBe('reading');
  });

  test.each([
    ['no figures', tcp(5, null), tcp(5, null), 'no-tcp-info'],
    ['no tcp_info', { ...tcp(5, 0), tcp: null }, tcp(5, 5), 'no-tcp-info'],
    ['figures that contradict each other', tcp(500, 1600), tcp(500, 1500), 'raced'],
  ])('is undecided: %s', (_, first, last, kind) => {
    expect(twice(first, last)).toMatchObject({ verdict: 'undecided', evidence: { kind } });
  });

  test('is judged by the age of the newest data if the kernel does not count bytes', () => {
    const uncounted = (recvQ: number, ageMs: number) => tcp(recvQ, null, ageMs);
    expect(twice(uncounted(500, 3000), uncounted(500, 5005))).toMatchObject({
      verdict: 'stalled-reader',
      certainty: 'proved',
      waitedMs: 5000,
    });
    expect(twice(uncounted(500, 3000), uncounted(400, 5005))).toMatchObject({
      verdict: 'slow-reader',
      evidence: { bytes: 100, received: 0 },
    });
    // Data arrived: the same length may be other bytes.
    expect(twice(uncounted(500, 3000), uncounted(500, 2009))).toMatchObject({
      verdict: 'undecided',
      evidence: { kind: 'no-tcp-info' },
    });
  });

  test('is judged by processes that did not run if received bytes are unknown', () => {
    const window = { startMs: 105, endMs: 2105, recvQ: { from: 500, to: 500 }, hiddenStill: true };
    const judged = (readersStill: boolean) =>
      twice(tcp(500, null), tcp(500, null), [{ ...window, readersStill, writersStill: null }]);
    expect(judged(true)).toMatchObject({ verdict: 'stalled-reader', certainty: 'proved' });
    expect(judged(false)).toMatchObject({ verdict: 'undecided', evidence: { kind: 'both-ran' } });
  });

  test('is stalled exactly if the application read nothing', () => {
    const amount = fc.nat(2 ** 40);
    fc.assert(
      fc.property(amount, amount, amount, fc.nat(), (consumed, waiting, read, came) => {
        const first = tcp(waiting + 1, consumed + waiting + 1);
        const left = waiting + 1 + came - Math.min(read, waiting + 1 + came);
        const last = tcp(left, consumed + waiting + 1 + came);
        if (left === 0) return;
        const slow = read < waiting + 1;
        expect(twice(first, last).verdict).toBe(read === 0 ? 'stalled-reader' : slow ? 'slow-reader' : 'reading');
      }),
    );
  });
});

describe('TCP, one sample', () => {
  test('is likely stalled by old data, with its age', () => {
    expect(once(tcp(500, 1500, 4000))).toMatchObject({
      verdict: 'stalled-reader',
      certainty: 'likely',
      waitedMs: 4000,
    });
  });
  test('is undecided for recent data', () => {
    expect(once(tcp(500, 1500, 999)).verdict).toBe('undecided');
  });
});

describe('UDP and unix', () => {
  const window = (over: Partial<TrackWindow> = {}, index = 0): TrackWindow => ({
    startMs: index * 500,
    endMs: index * 500 + 495,
    recvQ: { from: 80, to: 80 },
    readersStill: false,
    writersStill: false,
    hiddenStill: true,
    ...over,
  });
  const four = (...over: Partial<TrackWindow>[]) =>
    twice(
      unix(80),
      unix(80),
      [0, 1, 2, 3].map((index) => window(over[index] ?? over.at(-1), index)),
    );

  test('a reader that did not run has read nothing, even if data arrived', () => {
    expect(four({ readersStill: true, recvQ: { from: 80, to: 90 } })).toMatchObject({
      verdict: 'stalled-reader',
      certainty: 'proved',
      waitedMs: 1995,
      evidence: { kind: 'did-not-run', side: 'reader' },
    });
  });
  test('an unchanged queue was not read if no writer ran', () => {
    expect(four({ writersStill: true })).toMatchObject({ certainty: 'proved', evidence: { side: 'writer' } });
  });
  test('an idle writer proves nothing if the queue grew', () => {
    expect(four({ writersStill: true, recvQ: { from: 80, to: 90 } }).verdict).toBe('undecided');
  });
  test('partial idleness makes a stall likely, and bounds its duration', () => {
    expect(four({}, { readersStill: true }, {}, {})).toMatchObject({
      verdict: 'stalled-reader',
      certainty: 'likely',
      waitedMs: 495,
      evidence: { kind: 'partly-idle', idleMs: 495, watchedMs: 1995 },
    });
  });
  test('the result is undecided if both sides always ran', () => {
    expect(four({})).toMatchObject({ verdict: 'undecided', evidence: { kind: 'both-ran' } });
  });
  test('a queue that shrank was read, whichever process was idle', () => {
    expect(four({ readersStill: true }, { recvQ: { from: 80, to: 79 } }, {}).verdict).toBe('reading');
  });
  test('Recv-Q of datagrams is the first one: another length is another datagram', () => {
    const windows = [window({ recvQ: { from: 80, to: 90 } })];
    expect(twice(unix(80, 'SOCK_DGRAM'), unix(90, 'SOCK_DGRAM'), windows).verdict).toBe('reading');
    expect(twice(unix(80), unix(90), windows).verdict).toBe('undecided');
  });
  test('an initially empty queue proves nothing for that window', () => {
    expect(four({ readersStill: true, recvQ: { from: 0, to: 80 } }).verdict).toBe('undecided');
  });
  test('a hidden possible holder that ran makes a stall likely, of unknown duration', () => {
    expect(four({ readersStill: true }, { readersStill: true, hiddenStill: false })).toMatchObject({
      verdict: 'stalled-reader',
      certainty: 'likely',
      waitedMs: null,
    });
  });
  test('the result is undecided without a known holder', () => {
    expect(four({ readersStill: null, writersStill: null })).toMatchObject({
      verdict: 'undecided',
      evidence: { kind: 'no-holder' },
    });
  });
  test('one sample is inconclusive', () => {
    expect(once(unix(80)).verdict).toBe('undecided');
  });
});

describe('unread bytes', () => {
  test.each<[string, Partial<SocketRecord>, number]>([
    ['TCP: Recv-Q', {}, 101],
    ["after the peer's FIN, which counts as one byte", { state: 'CLOSE-WAIT' }, 100],
    ["a listener's Recv-Q counts connections", { state: 'LISTEN' }, 0],
    ['Recv-Q of a unix listener, too', { protocol: 'UNIX', state: 'LISTEN' }, 0],
    ['UDP: truesize', { protocol: 'UDP', state: 'UNCONN' }, 101],
  ])('%s', (_, over, bytes) => {
    expect(unreadBytes({ ...tcp(101, 200), ...over })).toBe(bytes);
  });
  test('a FIN alone is not data', () => {
    expect(unreadBytes({ ...tcp(1, 1), state: 'CLOSE-WAIT' })).toBe(0);
  });
});
