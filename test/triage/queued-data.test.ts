import { expect, test } from 'vitest';
import type { CensusEntry, Group } from '../../src/account/owners.js';
import { queuedData } from '../../src/triage/queued-data.js';

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

/** Sockets by what they pin in MiB, and who holds them; each process's sum beside them. */
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
    total: figures(sockets.reduce((sum, [mib]) => sum + mib * MIB, 0)),
    count: sockets.length,
  };
}

const told = (...sockets: readonly Made[]) =>
  queuedData(census(...sockets), MEMORY).map(({ code, severity, figures }) => [
    ...[code, severity, figures.pid, Number(figures.pinnedBytes) / MIB],
  ]);

test('one socket from 5 % on, and severe from 25 % on', () => {
  expect(told([49, 1])).toEqual([]);
  expect(told([50, 1])).toEqual([['queued-data', 'warning', 1, 50]]);
  expect(told([250, 1], [3, 2])).toEqual([['queued-data', 'critical', 1, 250]]);
});

test('a process with many sockets, none of which tells by itself', () => {
  const ten = Array.from({ length: 10 }, () => [8, 7] as const);
  expect(told(...ten)).toEqual([['queued-data-of-process', 'warning', 7, 80]]);
  const [finding] = queuedData(census(...ten), MEMORY);
  expect(finding?.figures).toMatchObject({ sockets: 10, comm: 'c7', freedIfKilledBytes: 80 * MIB });
  expect(finding?.next).toBe('skb --pid 7');
});

test('a process whose one socket is told is told again only for its others', () => {
  expect(told([60, 7], [20, 7])).toEqual([['queued-data', 'warning', 7, 60]]);
  const others = Array.from({ length: 9 }, () => [8, 7] as const);
  expect(told([60, 7], ...others)).toEqual([
    ['queued-data', 'warning', 7, 60],
    ['queued-data-of-process', 'warning', 7, 132],
  ]);
});

test('many processes with little each, and sockets that nobody has open', () => {
  const workers = Array.from({ length: 40 }, (_, index) => [8, 100 + index] as const);
  expect(told(...workers)).toEqual([['queued-data-of-machine', 'critical', 100, 320]]);
  const unaccepted = Array.from({ length: 40 }, () => [2] as const);
  expect(told(...unaccepted)).toEqual([['queued-data-of-machine', 'warning', null, 80]]);
  // What was told is not told again.
  expect(told([100, 1], [8, 2], [8, 3])).toEqual([['queued-data', 'warning', 1, 100]]);
  expect(told([100, 1], ...workers).map(([code]) => code)).toEqual([
    'queued-data',
    'queued-data-of-machine',
  ]);
});

test('what two processes hold is told of each, and once of the machine', () => {
  const shared = Array.from({ length: 10 }, () => [8, 7, 8] as const);
  expect(told(...shared)).toEqual([
    ['queued-data-of-process', 'warning', 7, 80],
    ['queued-data-of-process', 'warning', 8, 80],
  ]);
});

test('what is told of two that share it hides nothing of others', () => {
  const shared = Array.from({ length: 25 }, () => [8, 7, 8] as const);
  const unaccepted = Array.from({ length: 60 }, () => [3] as const);
  expect(told(...shared, ...unaccepted).map(([code]) => code)).toEqual([
    'queued-data-of-process',
    'queued-data-of-process',
    'queued-data-of-machine',
  ]);
});

test('on a small machine little is nobody’s trouble', () => {
  expect(queuedData(census([20, 1]), 100 * MIB)).toEqual([]);
});
