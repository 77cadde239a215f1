import { describe, expect, test } from 'vitest';
import { concluded, conclusionSentences } from '../../src/answers/triage/causes.js';
import { briefText } from '../../src/answers/triage/text.js';
import { findingSentences } from '../../src/answers/triage/words.js';
import { ranked } from '../../src/triage/answer.js';
import { type Causes, causesOf } from '../../src/triage/causes.js';
import { bySeverity, type Finding, withPast } from '../../src/triage/finding.js';

const MIB = 2 ** 20;

type Parts = Partial<Finding> & { readonly at?: number };

function finding(code: Finding['code'], figures: Finding['figures'], parts: Parts = {}): Finding {
  const { at, ...rest } = parts;
  const evidence =
    at === undefined ? [] : [{ kind: 'log' as const, seq: 1, timestamp: BigInt(at) * 1_000_000_000n, text: 'x' }];
  return { code, severity: 'warning', figures, evidence, ...rest };
}

/** The OOM report of a machine with 500 MiB, of which 120 MiB are in no counter. */
const oom = (figures: Finding['figures'] = {}, at = 64): Finding =>
  finding(
    'oom-kill',
    {
      scope: 'machine',
      reason: 'global',
      outcome: 'panic',
      managedBytes: 500 * MIB,
      unattributedBytes: 120 * MIB,
      anonBytes: 300 * MIB,
      largestPid: 231,
      largestComm: 'nightly-batch',
      largestRssBytes: 260 * MIB,
      node: 0,
      zone: 'DMA32',
      ...figures,
    },
    { severity: 'critical', at },
  );
const panic = (reason = 'Out of memory: system-wide panic_on_oom is enabled'): Finding =>
  finding('panic', { reason }, { severity: 'critical', at: 65 });
const queued = (figures: Finding['figures'] = {}): Finding =>
  finding(
    'queued-data-of-process',
    {
      pid: 177,
      comm: 'report-worker',
      pinnedBytes: 115 * MIB,
      share: 0.23,
      sockets: 16,
      skbs: 200,
      payloadBytes: MIB,
      ...figures,
    },
    { next: 'skb --pid 177' },
  );
const stalled = (figures: Finding['figures'] = {}): Finding =>
  finding(
    'stalled-reader',
    { pid: 177, comm: 'report-worker', fd: 4, pinnedBytes: 115 * MIB, ageSeconds: 46, ...figures },
    { severity: 'note', next: 'stacks --pid 177' },
  );
const lowZone = (zone = 'DMA32'): Finding => finding('low-memory', { node: 0, zone, freeBytes: 1, minBytes: 2 });

const FACTS = { uptimeSeconds: 66, complete: true };
const links = ({ links: all }: Causes) => all.map(({ effect, cause, relation }) => [effect, cause, relation]);

test('links a panic to the shortage, and the shortage to memory in unread sockets', () => {
  const findings = [panic(), oom(), queued(), lowZone(), stalled()];
  const causes = causesOf(findings, FACTS);
  expect(links(causes)).toEqual([
    [0, 1, 'panic-message'],
    [1, 2, 'share-of-shortfall'],
    [2, 4, 'same-process'],
    [3, 2, 'same-zone'],
  ]);
  expect(causes.conclusion).toMatchObject({
    confidence: 'likely',
    effect: 0,
    cause: 2,
    figures: { bytes: 115 * MIB, shortfallBytes: 120 * MIB, share: 115 / 120, unreadSockets: 1 },
  });
  const { sentences, trees, deciding, second } = concluded(findings, FACTS);
  expect(second).toBe('pid 231 (nightly-batch)');
  expect(sentences.join(' ')).toBe(
    'Probable cause: 16 sockets of pid 177 (report-worker) pin 115 MiB (23 % of memory), because the process does not read them. 120 MiB of memory is in no row of the OOM report: this cause explains 96 % of that. pid 231 (nightly-batch) is larger, RSS 260 MiB: if that is more than it normally uses, it is a second cause.',
  );
  expect(deciding?.next).toBe('skb --pid 177');
  const codes = ({ finding: one, below }: (typeof trees)[number]): unknown => [one.code, ...below.map(codes)];
  expect(trees.map(codes)).toEqual([
    ['queued-data-of-process', ['oom-kill', ['panic']], ['low-memory'], ['stalled-reader']],
  ]);
});

test('reports no probable cause of an incomplete answer', () => {
  const { conclusion } = causesOf([panic(), oom(), queued()], { ...FACTS, complete: false });
  expect(conclusion).toMatchObject({ confidence: 'possible', cause: 2 });
});

describe('links nothing without a supporting figure:', () => {
  test.each([
    ['the report is hours older than the data', oom({ outcome: 'killed' }, 64), queued(), stalled(), 9000],
    ['the sockets hold a small part', oom(), queued({ pinnedBytes: 50 * MIB }), stalled(), 66],
    ['the sockets hold more than is unattributed', oom(), queued({ pinnedBytes: 200 * MIB }), stalled(), 66],
    [
      'hardly anything is unattributed',
      oom({ unattributedBytes: 20 * MIB }),
      queued({ pinnedBytes: 20 * MIB }),
      stalled(),
      66,
    ],
    ['the report lacks its counters', oom({ unattributedBytes: null }), queued(), stalled(), 66],
    ['a memory cgroup was at its limit', oom({ scope: 'cgroup', reason: 'memcg' }), queued(), stalled(), 66],
    ['the report is of another boot', oom({ boot: -1 }), queued(), stalled(), 66],
    ['the report is from a log next to the dump', oom({ log: 'vmcore-dmesg.txt' }), queued(), stalled(), 66],
    ['the time of the dump is unknown', oom(), queued(), stalled(), undefined],
  ])('%s', (_, report, pinned, reader, uptimeSeconds) => {
    const causes = causesOf([report, pinned, reader], { uptimeSeconds, complete: true });
    expect(links(causes)).not.toContainEqual([0, 1, 'share-of-shortfall']);
    expect(causes.conclusion?.cause ?? null).toBeNull();
  });

  test('links data that existed before the report', () => {
    const findings = [oom({ outcome: 'killed' }), queued(), stalled({ ageSeconds: 3700 })];
    const causes = causesOf(findings, { uptimeSeconds: 3700, complete: true });
    expect(links(causes)).toContainEqual([0, 1, 'share-of-shortfall']);
  });

  test('does not link a stalled reader in another process, or of a small part', () => {
    for (const reader of [stalled({ pid: 9 }), stalled({ pinnedBytes: MIB })])
      expect(links(causesOf([oom(), queued(), reader], FACTS))).toEqual([[0, 1, 'share-of-shortfall']]);
  });

  test('does not link a watermark of another zone', () => {
    expect(links(causesOf([oom(), queued(), lowZone('Normal')], FACTS))).toEqual([[0, 1, 'share-of-shortfall']]);
  });

  test('does not link a panic to an earlier kill that the kernel survived', () => {
    const earlier = oom({ outcome: 'killed' }, 60);
    expect(links(causesOf([panic(), earlier], FACTS))).toEqual([]);
  });
});

test('a cause is as severe as what follows from it; a stalled reader keeps its own severity', () => {
  const host = { host: 'web', takenAt: null, isCaptured: true, release: '', uptimeSeconds: FACTS.uptimeSeconds };
  const findings = [panic(), oom(), queued(), stalled(), lowZone()];
  const lost = { overwritten: 0, noRoom: null };
  const answer = { host, findings, lost, memory: undefined, warnings: [], complete: true };
  expect(ranked(answer).findings.map(({ code, severity }) => `${severity} ${code}`)).toEqual([
    'critical panic',
    'critical oom-kill',
    'critical queued-data-of-process',
    'warning low-memory',
    'note stalled-reader',
  ]);
  // Without a link nothing is raised.
  expect(ranked({ ...answer, findings: [oom({ unattributedBytes: 0 }), queued()] }).findings[1]?.severity).toBe(
    'warning',
  );
});

test('attributes unattributed memory to sockets if kernel memory is not available', () => {
  const open = finding('unattributed-memory', { bytes: 120 * MIB, share: 0.2 });
  const findings = [open, queued()];
  const facts = { uptimeSeconds: undefined, complete: true, socketsUncounted: true };
  expect(links(causesOf(findings, facts))).toEqual([[0, 1, 'share-of-shortfall']]);
  expect(concluded(findings, facts).sentences.join(' ')).toBe(
    'Probable cause: 16 sockets of pid 177 (report-worker) pin 115 MiB (23 % of memory). 120 MiB of memory is in no counter of the kernel: this cause explains 96 % of that.',
  );
  // With kernel memory, the memory that sockets pin is not in that category.
  expect(causesOf(findings, FACTS).links).toEqual([]);
  const small = [open, queued({ pinnedBytes: 20 * MIB })];
  expect(causesOf(small, facts).links).toEqual([]);
});

test('links a queue to a process that does not read, without a conclusion', () => {
  const causes = causesOf([queued(), stalled()], FACTS);
  expect(links(causes)).toEqual([[0, 1, 'same-process']]);
  expect(causes.conclusion).toBeUndefined();
});

test('links a shortage to the largest owner, not to the first', () => {
  const leak = finding('unattributed-memory', { bytes: 118 * MIB, share: 0.2 });
  const small = queued({ pinnedBytes: 70 * MIB });
  expect(links(causesOf([oom(), small, leak], FACTS))).toEqual([[0, 2, 'share-of-shortfall']]);
});

test('counts the stalled readers that a long list omits', () => {
  const readers = [stalled({ pinnedBytes: MIB }), stalled({ pinnedBytes: MIB, fd: 5, others: 98 })];
  const [, reading] = causesOf([oom(), queued({ sockets: 100 }), ...readers], FACTS).links;
  expect(reading).toMatchObject({ effect: 1, cause: 2, figures: { sockets: 100 } });
});

test.each([
  ['Fatal exception', 'oops'],
  ['hung_task: blocked tasks', 'hung-task'],
  ['softlockup: hung tasks', 'soft-lockup'],
  ['Hard LOCKUP', 'hard-lockup'],
  ['RCU Stall', 'rcu-stall'],
] as const)('links panic %s to the last %s', (reason, code) => {
  const [first, last] = [60, 64].map((at) => finding(code, {}, { severity: 'critical', at }));
  const findings = [first!, panic(reason), last!];
  const causes = causesOf(findings, FACTS);
  expect(links(causes)).toEqual([[1, 2, 'panic-message']]);
});

test('a cause that the kernel states is certain, one of figures probable, and one of several says so', () => {
  const words = (findings: readonly Finding[]) => concluded(findings, FACTS).sentences.join(' ');
  const stall = finding('rcu-stall', {}, { severity: 'critical', at: 60 });
  expect(words([panic('RCU Stall'), stall])).toMatch(/^Cause of the kernel panic: RCU stall: /);
  const stopped = finding('hard-lockup', { cpu: 2 }, { severity: 'critical', at: 50 });
  const soft = [55, 58].map((at) => finding('soft-lockup', { cpu: 1, seconds: 22 }, { severity: 'critical', at }));
  const links = [1, 2].map((effect) => ({ effect, cause: 0, relation: 'waits-for-cpu' as const, figures: {} }));
  const conclusion = { confidence: 'likely', effect: 1, cause: 0, figures: {} } as const;
  expect(conclusionSentences(conclusion, [stopped, ...soft], links)[0]).toMatch(
    /^Probable cause of 2 findings: CPU 2 /,
  );
});

describe('without a finding, the largest counter of the report is the cause:', () => {
  const sentences = (report: Finding) => {
    const { conclusion } = causesOf([report], FACTS);
    return conclusion && conclusionSentences(conclusion, [report]).join(' ');
  };
  test('anonymous memory of one process', () => {
    expect(sentences(oom({ unattributedBytes: 0 }))).toBe(
      'Largest use when memory ran out: anonymous memory, 300 MiB (60 % of 500 MiB); largest process: pid 231 (nightly-batch), RSS 260 MiB. The log does not show what grew: compare with normal use.',
    );
  });
  test('anonymous memory of many', () => {
    expect(sentences(oom({ unattributedBytes: 0, largestRssBytes: 20 * MIB }))).toBe(
      'Largest use when memory ran out: anonymous memory, 300 MiB (60 % of 500 MiB). The log does not show what grew: compare with normal use.',
    );
  });
  test('slab', () => {
    expect(sentences(oom({ slabUnreclaimableBytes: 400 * MIB, anonBytes: 20 * MIB }))).toBe(
      'Largest use when memory ran out: unreclaimable slab, 400 MiB (80 % of 500 MiB). The log does not show what grew: compare with normal use.',
    );
  });
  test('memory in no counter, without an owner', () => {
    expect(sentences(oom({ unattributedBytes: 400 * MIB, anonBytes: 20 * MIB }))).toBe(
      'Cause not found: when memory ran out, 400 MiB (80 % of 500 MiB) was in no kernel counter (socket buffers and pages of drivers are in none), and no finding explains it.',
    );
  });
  test('a report that lacks its counters', () => {
    expect(sentences(oom({ managedBytes: null, unattributedBytes: null }))).toBe(
      'Cause unknown: the log contains no memory counters of that time.',
    );
  });
  test('shared memory, which is on the anonymous lists, is not anonymous', () => {
    expect(sentences(oom({ unattributedBytes: 0, anonBytes: 900 * MIB, sharedBytes: 880 * MIB }))).toMatch(
      /memory ran out: shared memory and tmpfs, /,
    );
  });
  test('unevictable memory', () => {
    expect(sentences(oom({ unattributedBytes: 0, anonBytes: 0, unevictableBytes: 900 * MIB }))).toMatch(
      /memory ran out: unevictable memory \(ramfs, /,
    );
  });
  test('free memory that the request could not use', () => {
    const figures = { shortage: 'watermark', freeBytes: 510 * MIB, unusable: 'CMA', unusableFreeBytes: 500 * MIB };
    expect(sentences(oom({ unattributedBytes: 0, ...figures }))).toMatch(
      /^Possible cause: when memory ran out, 500 MiB \(.*\) was free in CMA, which this request cannot use\. A smaller CMA/,
    );
    expect(sentences(oom({ unattributedBytes: 0, ...figures, shortage: null }))).not.toMatch(/CMA/);
  });
  test('without counters, the score of the chosen process or the largest slab cache', () => {
    const bare = { managedBytes: null, unattributedBytes: null, chosenPid: 7, chosenComm: 'node', score: 786 };
    expect(sentences(oom(bare))).toBe(
      'Possible cause: pid 7 (node) used about 79 % of memory and swap, by its OOM score of 786.',
    );
    expect(sentences(oom({ ...bare, oomScoreAdj: 500 }))).toMatch(/^Cause unknown/);
    expect(sentences(oom({ ...bare, score: 71_000 }))).toMatch(/^Cause unknown/);
    expect(sentences(oom({ ...bare, slabCache: 'btrfs_extent_map', slabCacheBytes: 3 * MIB }))).toMatch(
      /^Possible cause: slab cache btrfs_extent_map had 3.00 MiB\./,
    );
  });
});

test('escapes a name from the dump', () => {
  const report = oom({ unattributedBytes: 0, largestComm: 'a\u001b[31m\nb' });
  const { conclusion } = causesOf([report], FACTS);
  const words = conclusion ? conclusionSentences(conclusion, [report]) : [];
  expect(words.join(' ')).toContain('a\\x1b[31m\\x0ab');
});

test('links findings by rules, never in a cycle', () => {
  const rule = (causes: readonly string[]) => ({ message: 'x', advice: undefined, causes });
  const nic = finding('acme/nic', {}, { rule: rule(['oom-kill']) });
  expect(links(causesOf([oom(), queued(), nic], FACTS))).toContainEqual([0, 2, 'rule']);
  const back = finding('acme/back', {}, { rule: rule(['acme/nic']) });
  const round = finding('acme/nic', {}, { rule: rule(['acme/back']) });
  expect(links(causesOf([back, round], FACTS))).toEqual([[1, 0, 'rule']]);
});

test('draws no conclusion without findings', () => {
  expect(causesOf([], FACTS)).toEqual({ links: [], conclusion: undefined });
  expect(causesOf([lowZone(), queued()], FACTS).conclusion).toBeUndefined();
});

test('attributes memory in no counter of the report to vmalloc and pipes', () => {
  const maps = finding('vmalloc', {
    bytes: 110 * MIB,
    share: 0.22,
    caller: 'htab_map_alloc',
    callerBytes: 100 * MIB,
    pid: 9,
    comm: 'agent',
    mapBytes: 100 * MIB,
  });
  const findings = [oom(), maps];
  expect(links(causesOf(findings, FACTS))).toEqual([[0, 1, 'share-of-shortfall']]);
  expect(concluded(findings, FACTS).sentences[0]).toBe(
    'Probable cause: vmalloc: 110 MiB (22 % of memory); pid 9 (agent) has BPF maps of 100 MiB open.',
  );
  const pipes = finding('pipes', { bytes: 100 * MIB, share: 0.2, pid: 7, comm: 'log', mostBytes: MIB });
  expect(links(causesOf([oom(), pipes], FACTS))).toEqual([[0, 1, 'share-of-shortfall']]);
});

test('lists small unread queues below the memory that their process pins', () => {
  const unread = finding(
    'unread-sockets',
    { pid: 177, sockets: 60, pinnedBytes: 8 * MIB, peersBytes: 90 * MIB, ageSeconds: 9 },
    { severity: 'note' },
  );
  const { trees } = concluded([queued({ sockets: 64 }), unread], FACTS);
  expect(trees.map(({ below }) => below.map(({ finding: one }) => one.code))).toEqual([['unread-sockets']]);
});

/** A cgroup at its limit of 64 MiB, of which 60 MiB are anonymous. */
const groupOom = (figures: Finding['figures'] = {}, counters: Record<string, number> = {}) =>
  ({
    ...finding(
      'oom-kill',
      {
        scope: 'cgroup',
        reason: 'memcg',
        outcome: 'killed',
        cgroup: '/web\n',
        limitBytes: 64 * MIB,
        usageBytes: 64 * MIB,
        largestPid: 7,
        largestComm: 'java',
        largestRssBytes: 59 * MIB,
        ...figures,
      },
      { at: 64 },
    ),
    oom: { memcgs: [{ path: '/web\n', counters: { anon: 60 * MIB, file: MIB, ...counters } }] },
  }) as unknown as Finding;

describe('a cgroup that reached its limit', () => {
  const conclusionOf = (...findings: Finding[]) => concluded(findings, FACTS).sentences.join(' ');
  test('is attributed to its largest category and process', () => {
    expect(conclusionOf(groupOom())).toBe(
      'Probable cause: cgroup /web\\x0a was at its limit of 64.0 MiB with 60.0 MiB of anonymous memory; most of it belonged to pid 7 (java), RSS 59.0 MiB. Before you raise the limit, check whether the process grew: this log does not show it.',
    );
    expect(conclusionOf(groupOom({ largestRssBytes: 5 * MIB }))).toBe(
      'Largest use when cgroup /web\\x0a reached its limit: anonymous memory, 60.0 MiB (94 % of its limit). The log does not show what grew: compare with normal use.',
    );
    expect(conclusionOf(groupOom({}, { anon: MIB, sock: 50 * MIB }))).toMatch(/: socket buffers, .*78 %/);
    expect(conclusionOf(groupOom({}, { anon: MIB }))).toMatch(/^Cause not found/);
    expect(conclusionOf(groupOom({ limitBytes: 'unlimited', usageBytes: null }))).toMatch(/^Cause not/);
  });
  test('is linked to its current usage and its kills', () => {
    const now = ['cgroup-near-limit', 'oom-kills'].map((code) =>
      finding(code as Finding['code'], { cgroup: '/web\n', kills: 1 }),
    );
    const other = finding('cgroup-near-limit', { cgroup: '/web' });
    expect(links(causesOf([groupOom(), ...now, other], FACTS))).toEqual([
      [1, 0, 'same-cgroup'],
      [2, 0, 'same-cgroup'],
    ]);
  });
});

test('send queues follow from the local process that does not read them, if they are the larger part', () => {
  const unread = (peersBytes: number, peerPid: number | null) =>
    finding('unread-sockets', { pid: 5, comm: 'reader', sockets: 3, peersBytes, peerPid, pinnedBytes: MIB });
  const writer = queued({ leastBytes: 0 });
  expect(links(causesOf([writer, unread(60 * MIB, 177)], FACTS))).toEqual([[0, 1, 'local-peer']]);
  expect(links(causesOf([writer, unread(50 * MIB, 177)], FACTS))).toEqual([]);
  expect(links(causesOf([writer, unread(60 * MIB, 178)], FACTS))).toEqual([]);
  const orphans = finding('orphaned-sockets', { pid: null, comm: null, pinnedBytes: 115 * MIB, sockets: 3 });
  expect(links(causesOf([orphans, unread(60 * MIB, null)], FACTS))).toEqual([[0, 1, 'local-peer']]);
});

describe('low available memory', () => {
  const little = (figures: Finding['figures'] = {}) =>
    finding('low-available', {
      availableBytes: 20 * MIB,
      totalBytes: 500 * MIB,
      share: 0.04,
      use: 'anonymous',
      useBytes: 300 * MIB,
      pid: 8,
      comm: 'db',
      anonBytes: 260 * MIB,
      ...figures,
    });
  const memfd = (bytes: number, parts: Parts = {}) =>
    finding(
      'shared-memory',
      { kind: 'file', name: 'memfd:x', bytes, share: bytes / (500 * MIB), pid: 9, comm: 'hoard' },
      parts,
    );
  test('is attributed to memory that a healthy machine does not have, and names a large process', () => {
    const { sentences } = concluded([little(), memfd(100 * MIB)], FACTS);
    expect(sentences.join(' ')).toBe(
      'Probable cause: Shared memory: memfd:x holds 100 MiB (20 % of memory), open in pid 9 (hoard). Without it, 120 MiB would be available; now it is 20.0 MiB. Check pid 8 (db) too: it has 260 MiB of anonymous memory.',
    );
  });
  test('is not attributed to a small part, nor to a note', () => {
    for (const other of [memfd(29 * MIB), memfd(100 * MIB, { severity: 'note' })])
      expect(links(causesOf([little(), other], FACTS))).toEqual([]);
  });
  test('is attributed to the largest process, or left open, without such memory', () => {
    expect(concluded([little()], FACTS).sentences).toEqual([
      'Possible cause: pid 8 (db) has 260 MiB of anonymous memory (52 % of 500 MiB). If it normally needs that much, the machine is too small.',
    ]);
    expect(concluded([little({ anonBytes: 20 * MIB })], FACTS).sentences).toEqual([
      'Cause not found: 300 MiB (60 % of memory) is anonymous memory, and no finding explains it.',
    ]);
  });
  test('is attributed to memory in no counter, if most memory is, and not to a smaller excess', () => {
    const uncounted = little({ use: 'uncounted', useBytes: 400 * MIB });
    const slab = finding('unreclaimable-slab', { bytes: 60 * MIB, share: 0.12 });
    const missing = finding('unattributed-memory', { bytes: 0, mostBytes: 380 * MIB, share: 0 }, { severity: 'note' });
    expect(links(causesOf([uncounted, slab], FACTS))).toEqual([]);
    const { conclusion } = causesOf([uncounted, slab, missing], FACTS);
    expect(conclusion).toMatchObject({ confidence: 'possible', cause: 2 });
    expect(links(causesOf([little(), slab, missing], FACTS))).toEqual([[0, 1, 'frees-enough']]);
  });
  test('explains low zones and stalled tasks; otherwise a stalled cgroup does', () => {
    const stalls = (cgroup: string | null, fullAvg60: number) =>
      finding('memory-pressure', { cgroup, fullAvg10: 30, fullAvg60 });
    expect(links(causesOf([lowZone(), stalls(null, 20), little()], FACTS))).toEqual([
      [0, 2, 'same-moment'],
      [1, 2, 'same-moment'],
    ]);
    expect(links(causesOf([stalls(null, 20), stalls('/web', 18)], FACTS))).toEqual([[0, 1, 'same-moment']]);
    expect(links(causesOf([stalls(null, 20), stalls('/web', 6)], FACTS))).toEqual([]);
    const limit = finding('cgroup-near-limit', { cgroup: '/web', limit: 'memory.max' });
    expect(links(causesOf([stalls('/web', 18), stalls('/db', 18), limit], FACTS))).toEqual([[0, 2, 'same-cgroup']]);
  });
});

test('a limit that is reached comes before what is only large', () => {
  const of = (used: number) =>
    bySeverity([finding('unreclaimable-slab', {}), finding('limit-near', { used, most: 10 })]);
  expect(of(10).map(({ code }) => code)).toEqual(['limit-near', 'unreclaimable-slab']);
  expect(of(9).map(({ code }) => code)).toEqual(['unreclaimable-slab', 'limit-near']);
});

describe('a past shortage', () => {
  const now = 64 + 3 * 3600;
  test('becomes a note, without a conclusion', () => {
    const [past] = withPast([oom({ outcome: 'killed' }, 64)], now);
    expect(past).toMatchObject({ severity: 'note', figures: { secondsAgo: 3 * 3600 } });
    expect(findingSentences(past!)).toContain('That was about 3 h ago; the machine continued to run.');
    const unread = finding('shared-memory', { bytes: 200 * MIB });
    expect(causesOf([unread, past!], FACTS).conclusion).toBeUndefined();
  });
  test('stands below what a dump shows, without a lower severity for an hour', () => {
    const found = withPast([oom({ outcome: 'killed' }, now - 3000), lowZone()], now);
    expect(found[0]).toMatchObject({ severity: 'critical', past: true, figures: { secondsAgo: 3000 } });
    expect(bySeverity(found).map(({ code }) => code)).toEqual(['low-memory', 'oom-kill']);
    const { trees, earlier } = concluded(found, FACTS);
    expect([trees, earlier].map((each) => each.map((tree) => tree.finding.code))).toEqual([
      ['low-memory'],
      ['oom-kill'],
    ]);
  });
  test('has the next command unless it is a note, and all else is notes', () => {
    const [kill] = withPast([{ ...oom({ outcome: 'killed' }, now - 300), next: 'procs --live' }], now);
    const unread = finding('unread-sockets', {}, { severity: 'note', next: 'skcheck' });
    expect(concluded([unread, kill!], FACTS).deciding?.next).toBe('procs --live');
    expect(concluded([{ ...unread, severity: 'critical' }, kill!], FACTS).deciding?.next).toBe('skcheck');
    expect(concluded([unread, { ...kill!, severity: 'warning' }], FACTS).deciding?.next).toBe('procs --live');
    expect(concluded([unread, { ...kill!, severity: 'note' }], FACTS).deciding?.next).toBe('skcheck');
  });
  test('stays if it was fatal, is recent, or has an unknown time', () => {
    const untimed = finding('oom-kill', { outcome: 'killed' }, { severity: 'critical' });
    for (const [one, uptime] of [
      [oom({}, 64), now],
      [oom({ outcome: 'killed' }, now - 30), now],
      [oom({ outcome: 'killed' }, 64), undefined],
      [untimed, now],
      [finding('oops', {}, { severity: 'critical', at: 64 }), now],
    ] as const)
      expect(withPast([one], uptime)).toEqual([one]);
  });
});

test('--brief prints the conclusion below the headline', () => {
  const answer = (...findings: Finding[]) => ({
    host: { host: 'web-7', takenAt: null, isCaptured: false, release: '', uptimeSeconds: FACTS.uptimeSeconds },
    findings,
    lost: { overwritten: 0, noRoom: null },
    memory: undefined,
    warnings: [],
    complete: true,
  });
  const [headline, conclusion, first] = briefText(answer(oom(), queued())).split('\n');
  expect(headline).toBe('web-7, Linux. 1 critical, 1 warning.');
  expect(conclusion).toMatch(/^Probable cause: 16 sockets of pid 177/);
  expect(first).toMatch(/^CRITICAL {2}OOM killer/);
  expect(briefText(answer(queued())).split('\n')).toHaveLength(2);
});
