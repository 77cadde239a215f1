import { describe, expect, test } from 'vitest';
import { type ChosenProcs, chosen } from '../../../src/account/processes/groups.js';
import { hostProcesses } from '../../../src/account/processes/host.js';
import { procsBlocks } from '../../../src/answers/procs/document.js';
import { blockTexts } from '../../../src/answers/text/blocks.js';
import { type ProcsAnswer, procsSchema } from '../../../src/contracts/procs.js';
import { placeOf } from '../../../src/records/cgroups.js';
import type { ProcessMemoryRecord } from '../../../src/records/processes.js';

const POD = '1cf7d7b5-0a2f-4ad2-8c3d-0ef6a1b2c3d4';

function record(pid: number, uss: number, more: Partial<ProcessMemoryRecord> = {}): ProcessMemoryRecord {
  return {
    pid,
    comm: 'worker',
    uid: 0,
    nsPids: [pid],
    cgroup: placeOf('/'),
    threads: 1,
    ageSeconds: 10,
    oomScore: 1,
    oomScoreAdj: 0,
    started: 100,
    readAt: 50,
    minorFaults: 7,
    majorFaults: 0,
    status: {
      rss: uss + 4096,
      anonymous: uss,
      file: 4096,
      shmem: 0,
      swap: 4096,
      pageTables: 8192,
      locked: 0,
      pinned: 0,
      hugetlb: 0,
    },
    sums: {
      rss: uss + 4096,
      pss: uss + 2048,
      uss,
      anonymous: uss,
      pssAnonymous: uss,
      pssShmem: 0,
      swap: 4096,
      swapPss: 4096,
      hugetlb: 0,
      locked: 0,
    },
    ...more,
  };
}

const SOCKETS = {
  of: (pid: number) => (pid === 9 ? { leastBytes: 1024, likelyBytes: 2048, mostBytes: null } : null),
  lost: [],
};
const COUNTS = { kernelThreads: 2, zombies: 0, gone: 0, hidden: false };
const ROWS = [
  record(1, 40_960),
  record(9, 81_920, {
    comm: '\u001b[31mred',
    cgroup: placeOf(`/kubepods/burstable/pod${POD}/${'ab'.repeat(32)}`),
    nsPids: [9, 1],
  }),
  record(12, 4096, { uid: 1000, sums: null }),
];
const answer = (rows = ROWS) => hostProcesses({ processes: rows, ...COUNTS });
const named = (uid: number) => (uid === 0 ? 'root' : String(uid));
const TEXT = { limit: 20, source: '--live', width: null };
const procsText = (
  found: ChosenProcs,
  { width, ...choice }: Parameters<typeof procsBlocks>[1] & { width: number | null },
) => blockTexts(procsBlocks(found, choice), width).join('\n\n');

test('the process that holds most comes first: USS, swap and page tables', () => {
  const found = chosen(answer(), {}, named);
  expect(found.answer.processes.map(({ pid, freedIfKilledBytes }) => [pid, freedIfKilledBytes])).toEqual([
    [9, 81_920 + 4096 + 8192],
    [1, 40_960 + 4096 + 8192],
    [12, null],
  ]);
});

test.each(['rssBytes', 'threads', 'ageSeconds', 'swapBytes'] as const)(
  'sorted by %s, the first line still names the process that holds most',
  (sort) => {
    const rows = [record(1, 4096, { threads: 9, ageSeconds: 99 }), record(9, 81_920)];
    const found = chosen(answer(rows), { sort }, named);
    expect(procsText(found, TEXT)).toContain('Largest process: pid 9 (worker), 92.0 KiB.');
  },
);

test('the largest process is said to be so by its socket queues, if they are most of it', () => {
  const first = (queues: number, shared = 0) => {
    const found = chosen(answer([record(9, 81_920)]), {}, named);
    const [row] = found.answer.processes;
    const sizes = { ussBytes: 1024, pageTableBytes: 512, swapBytes: 512, freedIfKilledBytes: 2048 + queues };
    const processes = [{ ...row!, ...sizes, networkPinnedBytes: queues + shared }];
    return procsText({ ...found, answer: { ...found.answer, processes } }, TEXT).split('\n')[0];
  };
  for (const shared of [0, 512, 1 << 20])
    expect(first(3072, shared)).toContain(
      'Largest process: pid 9 (worker), 5.00 KiB, 3.00 KiB of it in socket queues.',
    );
  // Queues that others share, and queues that are estimated, are no part of it.
  expect(first(0, 2000)).toContain('pid 9 (worker), 2.00 KiB.');
  expect(first(2048)).toContain('pid 9 (worker), 4.00 KiB.');
});

describe('a process of unknown PSS that may be the largest', () => {
  const big = record(30, 2 ** 30, { uid: 1000, sums: null, comm: 'big' });
  const found = (options: Parameters<typeof chosen>[1] = {}) => chosen(answer([...ROWS, big]), options, named);

  test.each(['freedIfKilledBytes', 'ussBytes', 'pssBytes'] as const)('comes first by its RSS, sorted by %s', (sort) => {
    expect(found({ sort }).answer.processes.map(({ pid }) => pid)).toEqual([30, 9, 1, 12]);
    expect(found({ sort, by: 'user' }).answer.groups?.map(({ key }) => key)).toEqual(['1000', 'root']);
  });

  test('the first line calls no other process the largest', () => {
    const text = procsText(found(), { ...TEXT, limit: 1 });
    expect(text).not.toContain('Largest process: ');
    expect(text).toContain('Largest by RSS: pid 30 (big), 1.00 GiB (some of it may be shared).');
    expect(text).toMatch(/^ *30 +≤ 1\.00 GiB +\? +8\.00 KiB +\? +1\.00 GiB/m);
  });
});

test('the next command shows the process that has most, or what processes do not have', () => {
  const next = (found: ReturnType<typeof answer>) =>
    procsText(chosen(found, {}, named), TEXT)
      .split('\n')
      .at(-1);
  expect(next(answer())).toBe('Next: kdump-mem memory --live');
  const large = record(30, 2 ** 30);
  expect(next(answer([...ROWS, record(30, 300 * 2 ** 20)]))).toBe('Next: kdump-mem procs --pid 30 --live');
  // smaps would block it.
  expect(next(answer([...ROWS, large]))).toBe('Next: kdump-mem procs --watch --live');
  expect(next(answer([large, { ...large, pid: 31 }, { ...large, pid: 32 }]))).toBe('Next: kdump-mem memory --live');
  const unknown = record(33, 2 ** 31, { sums: null });
  expect(next(answer([...ROWS, large, unknown, { ...unknown, pid: 34 }]))).toBe('Next: kdump-mem memory --live');
  // Its mappings are usually not captured.
  const captured = hostProcesses({ processes: [large], ...COUNTS }, undefined, {
    captured: { host: 'db1', takenAt: null },
    warnings: [],
  });
  expect(next(captured)).toBe('Next: kdump-mem memory --live');
  // Where memory is not short, what grows is the question, which a capture does not show.
  const machine = { totalBytes: 2 ** 34, availableBytes: 2 ** 33 };
  expect(next({ ...captured, machine })).toBe('On that machine: kdump-mem watch');
  const origin = { at: null, host: 'db1', bootId: null, uptimeSeconds: 5, oomKills: 3 };
  expect(next({ ...captured, machine, origin })).toBe('Next: kdump-mem triage --live');
});

test('the headline says OOM kills since boot', () => {
  const origin = { at: null, host: 'web1', bootId: null, uptimeSeconds: 5, oomKills: 3 };
  const machine = { totalBytes: 2 ** 34, availableBytes: 2 ** 33 };
  const text = procsText(chosen({ ...answer(), machine, origin }, {}, named), TEXT);
  expect(text).toMatch(/^Memory is not short: .* Earlier: 3 OOM kills since boot \(/);
});

test('without --sockets, what sockets are charged with leads to it, if it is much', () => {
  const of = (chargedSocketBytes: number, networkPinnedBytes: number | null = null) => {
    const machine = { totalBytes: 2 ** 34, availableBytes: 2 ** 33, chargedSocketBytes };
    const picked = chosen({ ...answer(), machine }, {}, named);
    const total = { ...picked.answer.total, networkPinnedBytes };
    const text = procsText({ ...picked, answer: { ...picked.answer, total } }, TEXT);
    return { words: /TCP and UDP sockets of .*?\.(?= |$)/m.exec(text)?.[0], last: text.trimEnd().split('\n').at(-1) };
  };
  expect(of(2 ** 28)).toEqual({
    words:
      'TCP and UDP sockets of the machine are charged with 256 MiB, which no row includes: --sockets estimates those of the listed processes.',
    last: 'Next: kdump-mem procs --sockets --live',
  });
  // Less than 1 % of memory.
  expect(of(2 ** 27).words).toBeUndefined();
  // The list has sockets.
  expect(of(2 ** 28, 0).words).toBeUndefined();
});

test('the headline has what the machine has left, and whether that is little', () => {
  const of = (machine?: ProcsAnswer['machine']) =>
    procsText(chosen({ ...answer(), ...(machine && { machine }) }, {}, named), TEXT);
  const all = 2 ** 34;
  expect(of({ totalBytes: all, availableBytes: 2 ** 33 })).toMatch(
    /^Memory is not short: 8\.00 GiB of 16\.0 GiB \(MemTotal\) is available \(free or reclaimable\)\. Largest/,
  );
  expect(of({ totalBytes: all, availableBytes: 0 })).toMatch(
    /^Memory is short: 0 of 16\.0 GiB \(MemTotal\) is available \(free or reclaimable\)\. Largest/,
  );
  // They contradict each other.
  expect(of({ totalBytes: all, availableBytes: 2 ** 35 })).toMatch(
    /^Largest.* 32\.0 GiB of 16\.0 GiB \(MemTotal\) is available/,
  );
  for (const machine of [undefined, { totalBytes: all, availableBytes: null }, { totalBytes: null, availableBytes: 1 }])
    expect(of(machine)).not.toMatch(/ is (available|free)/);
  // A dump has no MemAvailable: it may be short only if what can be reclaimed is little too.
  const dump = { totalBytes: all, availableBytes: null };
  expect(of({ ...dump, freeBytes: 2 ** 33, reclaimableBytes: 0 })).toMatch(
    /^Memory is not short: 8\.00 GiB of 16\.0 GiB is free\. Largest/,
  );
  expect(of({ ...dump, freeBytes: 2 ** 28, reclaimableBytes: 2 ** 28 })).toMatch(
    /^Memory is short: 256 MiB of 16\.0 GiB is free\. Largest/,
  );
  for (const more of [{ reclaimableBytes: 2 ** 33 }, {}])
    expect(of({ ...dump, freeBytes: 2 ** 28, ...more })).toMatch(/^Largest.* 256 MiB of 16\.0 GiB is free\./);
});

test('an unreadable process makes the answer incomplete, and is not zero', () => {
  const found = chosen(answer(), {}, named);
  expect(found.answer.complete).toBe(false);
  expect(found.answer.omitted).toBe(1);
  expect(procsText(found, TEXT)).toMatch(/^ *12 +≤ 20\.0 KiB +\? +8\.00 KiB +\? +8\.00 KiB/m);
  expect(chosen(answer(ROWS.slice(0, 2)), {}, named).answer.complete).toBe(true);
});

test('names what the figure includes, and with -v what else a kill frees', () => {
  const included = 'OWN MEMORY: the sum of USS, swap, page tables (TABLES)';
  const verbose = { ...TEXT, verbose: true };
  const kill = ' A kill frees at least that, its sockets, and memfds that only the process has open';
  expect(procsText(chosen(answer(), {}, named), TEXT)).toContain(
    `${included}. Not included: sockets (--sockets estimates them), and files in tmpfs that the process only has open (memory --live lists them).\n`,
  );
  expect(procsText(chosen(answer(), {}, named), TEXT)).not.toContain('kill');
  expect(procsText(chosen(answer(), {}, named), verbose)).toContain(`${kill} (memory --live lists them);`);
  const withSockets = hostProcesses({ processes: ROWS, ...COUNTS }, SOCKETS);
  expect(procsText(chosen(withSockets, {}, named), TEXT)).toContain(
    `${included}, and SOCKETS (~: estimated). Not included: files in tmpfs that the process only has open (memory --live lists them).\n`,
  );
  // Of these processes: memory and sockets also count sockets of other processes and of no process.
  expect(procsText(chosen(withSockets, {}, named), verbose)).toMatch(/, sockets of these processes ~/);
  const captured = { host: 'db1', takenAt: null };
  const from = hostProcesses({ processes: ROWS, ...COUNTS }, undefined, { captured, warnings: [] });
  expect(procsText(chosen(from, {}, named), verbose)).toContain(`${kill};`);
});

test('names the process whose sockets pin much, which no other figure shows', () => {
  const likely = 64 * 2 ** 20;
  const of = (pid: number) => (pid === 9 ? { leastBytes: likely, likelyBytes: likely, mostBytes: null } : null);
  const found = hostProcesses({ processes: ROWS, ...COUNTS }, { of, lost: [] });
  expect(
    procsText(chosen(found, {}, named), TEXT)
      .split('\n')
      .at(-1),
  ).toBe('Next: skcheck --pid 9');
  expect(procsText(chosen(found, {}, named), TEXT)).toContain(
    'Unusual, so check it first: sockets of pid 9 (\\x1b[31mred) pin about 64.0 MiB; PSS (82.0 KiB) does not include that.',
  );
  // Little of a machine whose memory is not short.
  const words = (totalBytes: number, availableBytes: number) =>
    /Unusual[^:]*: /.exec(
      procsText(chosen({ ...found, machine: { totalBytes, availableBytes } }, {}, named), TEXT),
    )?.[0];
  expect(words(2 ** 32, 2 ** 31)).toBe('Unusual, but not urgent: ');
  expect(words(2 ** 30, 2 ** 29)).toBe('Unusual, so check it first: ');
  expect(words(2 ** 32, 2 ** 20)).toBe('Unusual, so check it first: ');
});

test('reports sums with unknown parts as lower bounds', () => {
  const part = chosen(answer(), { by: 'cgroup' }, named);
  expect(procsText(part, TEXT)).toMatch(
    / the other 2 processes use 124 KiB of memory \(PSS\)\. Together they have 12\.0 KiB of swap and 24\.0 KiB of page tables\./,
  );
  // Page tables that explain nothing are left to their column.
  const large = chosen(answer([record(1, 81_920 * 100), ROWS[2]!]), {}, named);
  expect(procsText(large, TEXT)).toMatch(
    / the other process uses 7\.81 MiB of memory \(PSS\)\. Together they have 8\.00 KiB of swap\./,
  );
  expect(procsText(part, TEXT)).toMatch(/^\/ +2 +≥ 52\.0 KiB +\? +≥ 40\.0 KiB/m);
  expect(procsText(part, TEXT)).toContain(
    'AT MOST: the most that the end of the whole group frees. ≥: at least, and ?:',
  );
  // All of it would be unknown.
  expect(procsText(part, TEXT)).not.toContain('SOCKETS');
  const whole = chosen(answer(ROWS.slice(0, 2)), { by: 'cgroup' }, named);
  expect(procsText(whole, TEXT)).not.toMatch(/≥|use at least/);
});

test('JSON conforms to its schema', () => {
  const json = procsSchema.parse(chosen(answer(), { by: 'user' }, named).answer);
  expect(json.source).toBe('proc');
  expect(json.processes[0]).toMatchObject({ pid: 9, pod: POD, nsPids: [9, 1], complete: true });
  expect(json.total).toMatchObject({ processes: 3, ussBytes: 122_880, complete: false });
  expect(json.groups).toEqual([
    expect.objectContaining({ key: 'root', processes: 2, ussBytes: 122_880 }),
    expect.objectContaining({ key: '1000', processes: 1, ussBytes: null }),
  ]);
});

test('escapes names', () => {
  const text = procsText(chosen(answer(), {}, named), TEXT);
  expect(text).not.toContain('\u001b');
  expect(text).toContain(`pod ${POD} (pid 1 inside)`);
});

test.each(['pod', 'container', 'cgroup', 'command'] as const)('groups by %s add up to the total', (by) => {
  const { groups = [] } = chosen(answer(), { by }, named).answer;
  expect(groups.reduce((sum, { processes }) => sum + processes, 0)).toBe(ROWS.length);
  expect(groups.reduce((sum, { ussBytes }) => sum + (ussBytes ?? 0), 0)).toBe(122_880);
});

test.each([40, 80, 132])('fits %i columns', (width) => {
  const text = procsText(chosen(answer(), {}, named), { ...TEXT, width });
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(width);
});

test('counts the rows beyond the limit', () => {
  expect(procsText(chosen(answer(), {}, named), { ...TEXT, limit: 1 })).toContain('2 more rows:');
});

test('memory pinned by sockets is an estimate from ss, and unknown without it', () => {
  const found = hostProcesses({ ...COUNTS, processes: ROWS.slice(0, 2) }, SOCKETS);
  const json = procsSchema.parse(chosen(found, { by: 'user' }, String).answer);
  const of = (pid: number) => json.processes.find((process) => process.pid === pid);
  expect(of(9)).toMatchObject({
    networkPinnedBytes: 2048,
    networkEstimate: { leastBytes: 1024, likelyBytes: 2048, mostBytes: null },
    complete: true,
  });
  // An estimate does not promise that the memory is freed. But no limit hides its process.
  expect(of(9)?.freedIfKilledBytes).toBe(81_920 + 4096 + 8192);
  const networkEstimate = { leastBytes: 0, likelyBytes: 2 ** 30, mostBytes: null };
  const processes = found.processes.map((process) =>
    process.pid === 1 ? { ...process, networkEstimate, networkPinnedBytes: 2 ** 30 } : process,
  );
  const order = (sort?: 'ussBytes') =>
    chosen({ ...found, processes }, sort ? { sort } : {}, String).answer.processes.map(({ pid }) => pid);
  expect([order(), order('ussBytes')]).toEqual([
    [1, 9],
    [9, 1],
  ]);
  const text = procsText(chosen({ ...found, processes }, {}, String), TEXT);
  expect(text).toContain('Largest process: pid 1 (worker), ~1.00 GiB, 1.00 GiB of it in socket queues.');
  expect(text).toMatch(/^ *1 +~1\.00 GiB /m);
  // The sockets of a process that could not be read are no zero.
  expect(procsText(chosen(found, {}, String), TEXT)).toMatch(/^ *1 +≥ 52\.0 KiB /m);
  expect(of(1)).toMatchObject({ networkPinnedBytes: null, networkEstimate: null, complete: false });
  expect(json).toMatchObject({ complete: false, omitted: 0 });
  expect(json.total.networkEstimated).toBe(true);
  expect(json.warnings.map(({ message }) => message)).toEqual([
    'sockets of 1 process are not available: requires CAP_SYS_PTRACE',
  ]);
  const options = { limit: 20, width: null, source: '--live' };
  expect(procsText(chosen(found, {}, String), options)).toMatch(/~2\.00 KiB/);
  expect(procsText(chosen(found, { by: 'user' }, String), options)).toMatch(/≥ ~2\.00 KiB/);
});

test.each([
  ['user without it', { root: false, capabilities: [] }, /: requires root, or CAP_SYS_PTRACE$/],
  ['root without it', { root: true, capabilities: ['syslog'] }, /: root lacks CAP_SYS_PTRACE here/],
  ['root with it', { root: true, capabilities: ['sys_ptrace'] }, /: permission denied, also to CAP_SYS_PTRACE/],
])('names what hides PSS from a user that is %s', (_who, reader, words) => {
  const { warnings } = hostProcesses({ processes: ROWS, ...COUNTS, reader });
  expect(warnings.map(({ message }) => message)).toEqual([expect.stringMatching(words)]);
  if (reader.root) expect(warnings[0]?.message).not.toContain('requires root');
});

test('pinned pages are a column of the list that is sorted by them, and of -v', () => {
  const { status } = record(9, 81_920);
  const pinning = record(9, 81_920, { status: { ...status!, pinned: 5 * 2 ** 30 } });
  const rows = [record(1, 40_960), pinning];
  const table = (sort: 'pinnedBytes' | undefined, verbose = false) =>
    procsText(chosen(answer(rows), sort ? { sort } : {}, named), { ...TEXT, verbose });
  expect(table('pinnedBytes')).toMatch(/ PINNED .*\n *9 .* 5\.00 GiB /);
  expect(table(undefined, true)).toMatch(/ PINNED /);
  expect(table(undefined)).not.toMatch(/ PINNED /);
});
