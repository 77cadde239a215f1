import type { SkcheckReport, SkcheckSocket } from '../../../src/answers/skcheck/schema.js';
import { VERDICT_CODES } from '../../../src/skcheck/verdict.js';

/** Bounds of a host that reports none. */
export const NO_BOUNDS = {
  unplacedBytes: 0,
  census: null,
  theoreticalWorstBytes: null,
  orphanRetries: null,
  maxOrphans: null,
};

/** A stalled socket of a process. */
export function socket(comm: string, over: Partial<SkcheckSocket> = {}): SkcheckSocket {
  return {
    pid: 10,
    comm,
    fds: [3],
    via: 'descriptor',
    holders: [],
    listeners: [],
    family: 'AF_INET',
    type: 'SOCK_STREAM',
    protocol: 'TCP',
    state: 'ESTABLISHED',
    local: '10.0.0.1:80',
    peer: '10.0.0.2:9',
    localAddress: '10.0.0.1',
    localPort: 80,
    peerAddress: '10.0.0.2',
    peerPort: 9,
    inode: 5,
    netns: 1,
    netnsName: null,
    cgroup: null,
    container: null,
    pod: null,
    waiting: [],
    otherEnd: null,
    localPeer: null,
    recvQ: 5,
    sendQ: 0,
    skmem: null,
    unreadBytes: 5,
    unsentBytes: 0,
    stalled: {
      verdict: 'stalled-reader',
      certainty: 'proved',
      forMs: 1500,
      because: '',
      reasons: [{ code: 'consumed-nothing', figures: { watchedMs: 2000 } }],
    },
    also: [],
    pinned: { low: 1, likely: 1000, high: 3000, atMost: 3000 },
    counted: null,
    ...over,
  };
}

/** Result of a scan. */
export function report(sockets: SkcheckSocket[]): SkcheckReport {
  return {
    schema: 'skcheck/1',
    host: {
      name: 'h',
      release: 'r',
      netns: 1,
      takenAt: new Date(1_700_000_000_000).toISOString(),
      takenAtKnown: true,
      bootId: null,
      uptimeSeconds: null,
      memoryBytes: null,
      memoryAvailableBytes: null,
      samples: 2,
      namespaces: 1,
      source: 'ss',
      watchedMs: 2000,
    },
    sockets,
    groups: null,
    totals: {
      sockets: 50,
      stalled: sockets.length,
      undecided: 0,
      verdicts: Object.fromEntries(VERDICT_CODES.map((code) => [code, 0])) as SkcheckReport['totals']['verdicts'],
      unreadBytes: 5,
      unbounded: 0,
      pinned: { low: 1, likely: 2, high: 3, atMost: 3 },
      localPeers: { sockets: 0, unsentBytes: 0, stalledSenders: 0, pinned: { low: 0, likely: 0, high: 0, atMost: 0 } },
      listeners: 0,
      worstOwner: null,
      mptcp: 0,
      countedBy: 'row',
    },
    owners: [],
    processes: [],
    bounds: NO_BOUNDS,
    complete: true,
    warnings: [{ code: 'undecided', count: 3, message: '' }],
  };
}
