import { expect, test } from 'vitest';
import {
  leakReasons,
  reasonsOf,
  SKCHECK_REASON_CODES,
  type SkcheckReason,
  seenReason,
} from '../../../src/answers/skcheck/reasons.js';
import { because } from '../../../src/answers/skcheck/words.js';
import type { SocketRecord } from '../../../src/host/socket.js';
import type { Finding } from '../../../src/skcheck/finding.js';
import type { Evidence } from '../../../src/skcheck/verdict.js';
import { textOf } from '../../support/documents.js';

const watchedMs = 2345.6;
const EVIDENCE: { [Kind in Evidence['kind']]: Extract<Evidence, { kind: Kind }> } = {
  'consumed-nothing': { kind: 'consumed-nothing', watchedMs },
  consumed: { kind: 'consumed', bytes: 5120, watchedMs },
  'newest-data': { kind: 'newest-data', ageMs: 9876.5 },
  'came-since': { kind: 'came-since', watchedMs },
  'did-not-run': { kind: 'did-not-run', side: 'writer', watchedMs, holdersComplete: false },
  'partly-idle': { kind: 'partly-idle', idleMs: 1234.5, watchedMs },
  'queue-was-read': { kind: 'queue-was-read' },
  'consumed-part': { kind: 'consumed-part', bytes: 4096, received: 8192, watchedMs },
  'acknowledged-nothing': {
    ...({ kind: 'acknowledged-nothing', unsentBytes: 7168, probing: true } as const),
    expired: 3,
    watchedMs,
  },
  'accepted-nothing': { kind: 'accepted-nothing', waiting: 17, watchedMs },
  'backlog-full': { kind: 'backlog-full', waiting: 129, limit: 128, dropped: 42 },
  dropped: { kind: 'dropped', packets: 1001, queue: { bytes: 4160, limit: 5000 }, watchedMs },
  'waits-for-each-other': { kind: 'waits-for-each-other', peerInode: 77, peerPid: 4711, watchedMs },
  'both-ran': { kind: 'both-ran', watchedMs },
  'no-holder': { kind: 'no-holder' },
  'no-tcp-info': { kind: 'no-tcp-info' },
  raced: { kind: 'raced' },
  'first-sample-torn': { kind: 'first-sample-torn' },
  'one-sample': { kind: 'one-sample' },
};

const QUIET = {
  socket: { protocol: 'TCP', state: 'ESTAB' },
  dropped: 0,
  cpuShare: null,
  processes: [],
  acceptQueue: null,
  ownerless: null,
};
/** Input of reasons; other fields contain the remainder of a finding. */
const finding = (facts: object, verdict = 'stalled-reader') =>
  reasonsOf({ ...QUIET, verdict: { verdict, evidence: { kind: 'raced' } }, ...facts } as unknown as Finding);
const process = (threadStates: string, waitsIn: string | null = null, comm = 'a') => ({
  processes: [{ pid: 20, comm, threadStates, waitsIn }],
});
const busy = (used: number, waited: number) => ({ ...process('R'), cpuShare: { used, waited } });
const listener = { protocol: 'TCP', local: '10.0.0.1:80' };

const OWNERS: SkcheckReason[] = [
  finding({ dropped: 7 }),
  finding({ droppedBefore: { packets: 7, watchedMs: 2000 } }),
  finding({
    localPeer: {
      inode: 9,
      holder: { pid: 12, fds: [5] },
      process: null,
      unsent: 2048,
      charge: 4096,
      socket: {} as SocketRecord,
      pinned: { low: 1, likely: 4096, high: 4096, atMost: null },
    },
  }),
  finding(busy(0.95, 0)),
  finding(busy(0.75, 0.15), 'slow-reader'),
  finding(busy(0.15, 0.75), 'udp-dropping'),
  ...['TT', 'Tt', 'R', 'Z', 'Xq', 'q'].map((states) => finding(process(states))),
  finding(process('S', 'get_signal')),
  finding(process('SS', 'do_epoll_wait')),
  finding(process('D', null)),
  finding(process('')),
  finding({ ...process('', null, ''), ownerless: 'denied' }),
  finding({ acceptQueue: { listeners: [listener], holders: [{ pid: 1, fds: [3] }], processes: [] } }),
  ...['unaccepted', 'orphan', 'none'].map((ownerless) => finding({ ownerless })),
].flatMap((reasons) => reasons.slice(1));

const leak = { pid: 1, from: 3, to: 40, samples: 3, watchedMs };
const ALL = [...Object.values(EVIDENCE).map((each) => seenReason(each, 'UDP')), ...OWNERS, ...leakReasons(leak, false)];

test('every code is produced by a finding of skcheck', () => {
  expect([...new Set(ALL.map(({ code }) => code))].toSorted()).toEqual(SKCHECK_REASON_CODES.toSorted());
});

test('docs/skcheck.md lists exactly the figures of each code', () => {
  const words = (cell = '') => Array.from(cell.matchAll(/`([^`]+)`/g), ([, word]) => word);
  const [, section = ''] = textOf('docs/skcheck.md').split('## Reason codes');
  const documentedFigures = [...section.matchAll(/^\| (`.*) \| ?(.*?) ?\|$/gm)].flatMap(([, codes, figures]) =>
    words(codes).map((code) => [code, words(figures)]),
  );
  const made = new Map(ALL.map(({ code, figures }) => [code as string, Object.keys(figures)]));
  expect(new Map(documentedFigures as [string, string[]][])).toEqual(made);
});

test.each(ALL)('$code: names include units, and figures are integers except for shares', ({ figures }) => {
  for (const [name, figure] of Object.entries(figures))
    if (typeof figure === 'number' && !name.endsWith('Share'))
      expect([name, Number.isSafeInteger(figure)]).toEqual([name, true]);
});

const FULL = { queueBytes: 212_000, limitBytes: 212_992 };

test.each<[SkcheckReason, string]>([
  [
    { code: 'dropped', figures: { packets: 2, ...FULL, watchedMs: 3000 } },
    '2 packets dropped in 3.0 s: its queue is full (207 KiB of 208 KiB), the reader is too slow or stopped',
  ],
  [
    { code: 'dropped', figures: { packets: 1, ...FULL, queueBytes: 4096, watchedMs: 999 } },
    '1 packet dropped in 0.9 s; its queue has room now (4.00 KiB of 208 KiB): it overflowed earlier, or packets were invalid',
  ],
  [
    { code: 'dropped', figures: { packets: 1, queueBytes: null, limitBytes: null, watchedMs: 999 } },
    '1 packet dropped in 0.9 s',
  ],
  [
    { code: 'dropped-before', figures: { packets: 7, watchedMs: 2000 } },
    '7 packets dropped before the first sample, none in the 2.0 s since',
  ],
  [
    { code: 'dropped-before', figures: { packets: 1, watchedMs: null } },
    '1 packet dropped since it was opened, at an unknown time',
  ],
])('formats the figures %j', (reason, words) => {
  expect(because([reason], null)).toBe(words);
});

test('reports reasons of an exited process in the order of the text', () => {
  const reasons = leakReasons(leak, false);
  expect(because(reasons, null)).toBe(
    'its open descriptors grew in each of 3 samples, from 3 to 40 in 2.3 s; it has exited, so its name is unknown',
  );
  expect(reasons.map(({ code }) => code)).toEqual(['descriptors-grew', 'exited']);
});

test('code and text contain the function that a thread sleeps in', () => {
  const [, reason] = finding(process('SS', 'do_epoll_wait'));
  expect(reason).toEqual({ code: 'owner-sleeps', figures: { threads: 2, waitsIn: 'do_epoll_wait' } });
  expect(because([reason!], null)).toBe('its main thread is sleeping in do_epoll_wait (2 threads)');
});
