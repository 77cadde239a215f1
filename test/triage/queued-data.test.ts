import { describe, expect, test } from 'vitest';
import type { CensusEntry } from '../../src/account/owners.js';
import { findingWords } from '../../src/answers/triage/words.js';
import type { Group } from '../../src/contracts/sockets.js';
import { censusFindings, queuedData } from '../../src/triage/queued-data.js';

const MIB = 2 ** 20;
const MEMORY = 1000 * MIB;

const figures = (pinnedBytes: number) => ({
  pinnedBytes,
  payloadBytes: pinnedBytes / 100,
  skbs: 1,
  truesizeBytes: pinnedBytes,
  frags: 0,
  maxFragsPerSkb: 0,
  pages: 0,
  orders: {},
  pageBytes: pinnedBytes,
  slabBytes: 0,
  complete: true,
});

type Made = readonly [mib: number, ...pids: number[]];

/** Sockets by the MiB that they pin and by holder, plus the sum of each process. */
function census(...sockets: readonly Made[]) {
  const entries = sockets.map(([mib, ...pids], index) => ({
    socket: { sock: BigInt(index), family: 'AF_INET', protocol: 'TCP' },
    mappedBy: [],
    connectionHolders: [],
    holders: pids.map((pid) => ({ pid, comm: `c${pid}`, cgroup: null, fd: index })),
    total: figures(mib * MIB),
    queues: { receive: figures(mib * MIB), write: figures(0) },
  }));
  const pids = [...new Set(sockets.flatMap(([, ...held]) => held))];
  const groups = pids.map((pid) => {
    const own = sockets.filter(([, ...held]) => held.includes(pid));
    const bytes = own.reduce((sum, [mib]) => sum + mib * MIB, 0);
    return {
      key: `${pid} c${pid}`,
      pid,
      comm: `c${pid}`,
      sockets: own.length,
      total: figures(bytes),
      freedIfKilled: { low: bytes },
    };
  });
  const nobody = sockets.filter(([, ...held]) => held.length === 0);
  const free = nobody.reduce((sum, [mib]) => sum + mib * MIB, 0);
  if (nobody.length > 0)
    groups.push({
      key: '(unaccepted)',
      pid: null,
      comm: null,
      sockets: nobody.length,
      total: figures(free),
      freedIfKilled: null,
    } as never);
  groups.sort((a, b) => b.total.pinnedBytes - a.total.pinnedBytes);
  return {
    sockets: entries as unknown as CensusEntry[],
    processes: groups as unknown as Group[],
    totals: { sockets: sockets.length, ...figures(sockets.reduce((sum, [mib]) => sum + mib * MIB, 0)) },
  };
}

const findingsOf = (...sockets: readonly Made[]) =>
  queuedData(census(...sockets), MEMORY).map(({ code, severity, figures }) => [
    code,
    severity,
    figures.pid,
    Number(figures.pinnedBytes) / MIB,
  ]);

test('reports one socket from 5 % on, and as critical from 25 % on', () => {
  expect(findingsOf([49, 1])).toEqual([]);
  expect(findingsOf([50, 1])).toEqual([['queued-data', 'warning', 1, 50]]);
  expect(findingsOf([250, 1], [3, 2])).toEqual([['queued-data', 'critical', 1, 250]]);
});

test('reports a process with many sockets, each of which is too small', () => {
  const ten = Array.from({ length: 10 }, () => [8, 7] as const);
  expect(findingsOf(...ten)).toEqual([['queued-data-of-process', 'warning', 7, 80]]);
  const [finding] = queuedData(census(...ten), MEMORY);
  expect(finding?.figures).toMatchObject({ sockets: 10, comm: 'c7', freedIfKilledBytes: 80 * MIB });
  expect(finding?.next).toBe('skb --pid 7');
});

test('reports a process again only for sockets that are not reported yet', () => {
  expect(findingsOf([60, 7], [20, 7])).toEqual([['queued-data', 'warning', 7, 60]]);
  const others = Array.from({ length: 9 }, () => [8, 7] as const);
  expect(findingsOf([60, 7], ...others)).toEqual([
    ['queued-data', 'warning', 7, 60],
    ['queued-data-of-process', 'warning', 7, 132],
  ]);
});

test('reports the machine for many small processes, and for sockets without an owner', () => {
  const workers = Array.from({ length: 40 }, (_, index) => [8, 100 + index] as const);
  expect(findingsOf(...workers)).toEqual([['queued-data-of-machine', 'critical', 100, 320]]);
  const unaccepted = Array.from({ length: 40 }, () => [2] as const);
  expect(findingsOf(...unaccepted)).toEqual([['queued-data-of-machine', 'warning', null, 80]]);
  // Sockets that are reported already are not counted again.
  expect(findingsOf([100, 1], [8, 2], [8, 3])).toEqual([['queued-data', 'warning', 1, 100]]);
  expect(findingsOf([100, 1], ...workers).map(([code]) => code)).toEqual(['queued-data', 'queued-data-of-machine']);
});

test('reports shared sockets for each process, but once for the machine', () => {
  const shared = Array.from({ length: 10 }, () => [8, 7, 8] as const);
  expect(findingsOf(...shared)).toEqual([
    ['queued-data-of-process', 'warning', 7, 80],
    ['queued-data-of-process', 'warning', 8, 80],
  ]);
});

test('hides no other sockets behind those that two processes share', () => {
  const shared = Array.from({ length: 25 }, () => [8, 7, 8] as const);
  const unaccepted = Array.from({ length: 60 }, () => [3] as const);
  expect(findingsOf(...shared, ...unaccepted).map(([code]) => code)).toEqual([
    'queued-data-of-process',
    'queued-data-of-process',
    'queued-data-of-machine',
  ]);
});

test('ignores a small amount on a small machine', () => {
  expect(queuedData(census([20, 1]), 100 * MIB)).toEqual([]);
});

describe('sockets that ss does not list', () => {
  /** Each holder has so many sockets of a kind, each of which pins so many bytes. */
  const unlistedOf = (
    each: readonly { pid: number; comm: string; sockets: number; socket: object; bytes?: number }[],
    memory = MEMORY,
  ) => {
    const sockets = each.flatMap(({ pid, comm, sockets: count, socket, bytes = 0 }) =>
      Array.from({ length: count }, (_, fd) => ({
        socket: { sock: BigInt(fd), family: 'AF_INET', localPort: null, ...socket },
        holders: [{ pid, comm, cgroup: null, fd }],
        mappedBy: [],
        connectionHolders: [],
        total: figures(bytes),
        queues: {},
      })),
    );
    const processes = each.map(({ pid, comm, sockets: count, bytes = 0 }) => ({
      key: `${pid} ${comm}`,
      pid,
      comm,
      sockets: count,
      total: figures(bytes * count),
      freedIfKilled: null,
    }));
    const totals = {
      sockets: sockets.length,
      ...figures(sockets.reduce((sum, { total }) => sum + total.pinnedBytes, 0)),
    };
    return censusFindings(
      { sockets, processes, totals } as unknown as Parameters<typeof censusFindings>[0],
      memory,
    ).filter(({ code }) => code === 'unlisted-sockets');
  };
  const CLOSED = { protocol: 'TCP', state: 'CLOSE' };

  test.each([
    ['TCP in CLOSE', CLOSED, 1],
    ['TCP in CLOSE that is bound', { ...CLOSED, localPort: 80 }, 1],
    ['MPTCP in CLOSE', { ...CLOSED, protocol: 'MPTCP' }, 1],
    ['UDP without a port', { protocol: 'UDP', state: 'CLOSE' }, 1],
    ['UDP with port 0', { protocol: 'UDP', state: 'CLOSE', localPort: 0 }, 1],
    ['UDP that is bound', { protocol: 'UDP', state: 'CLOSE', localPort: 53 }, 0],
    ['TCP that listens', { protocol: 'TCP', state: 'LISTEN', localPort: 80 }, 0],
    ['unix', { family: 'AF_UNIX', protocol: 'UNIX', state: 'CLOSE' }, 0],
  ])('%s', (_, socket, count) => {
    expect(unlistedOf([{ pid: 7, comm: 'leaky', sockets: 500, socket }])).toHaveLength(count);
  });

  test('from 500 of a program on, with the command that lists them', () => {
    expect(unlistedOf([{ pid: 7, comm: 'leaky', sockets: 499, socket: CLOSED }])).toEqual([]);
    const [found] = unlistedOf([
      { pid: 7, comm: 'leaky', sockets: 300, socket: CLOSED },
      { pid: 8, comm: 'leaky', sockets: 200, socket: CLOSED },
      { pid: 9, comm: 'other', sockets: 499, socket: CLOSED },
    ]);
    expect(found).toMatchObject({
      severity: 'note',
      figures: {
        pid: 7,
        comm: 'leaky',
        processes: 2,
        sockets: 500,
        openSockets: null,
        allSockets: 999,
        pinnedBytes: 0,
      },
      next: 'sockets --by process --state UNCONN',
    });
    expect(unlistedOf([{ pid: 7, comm: 'leaky', sockets: 500, socket: CLOSED }])).toMatchObject([
      { figures: { openSockets: 500 }, next: 'sockets --pid 7 --all --state UNCONN' },
    ]);
  });

  test('a warning from 5 % of memory on, with what their queues pin', () => {
    const made = [{ pid: 7, comm: 'leaky', sockets: 800, socket: CLOSED, bytes: MIB / 16 }];
    const [found] = unlistedOf(made);
    expect(found).toMatchObject({ severity: 'warning', figures: { pinnedBytes: 50 * MIB, openSockets: 800 } });
    expect(findingWords(found!)).toContain('The queues of these sockets pin 50.0 MiB.');
    expect(unlistedOf(made, 1001 * MIB)).toMatchObject([{ severity: 'note' }]);
  });
});
