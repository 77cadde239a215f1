import { describe, expect, test } from 'vitest';
import { chosen } from '../../../src/account/processes/groups.js';
import { hostProcesses } from '../../../src/account/processes/host.js';
import { procsBlocks } from '../../../src/answers/procs/document.js';
import { blockTexts } from '../../../src/answers/text/blocks.js';
import { HostError } from '../../../src/base/errors.js';
import { sumSmaps } from '../../../src/host/proc/memory.js';
import { readProcesses } from '../../../src/host/proc/process-memory.js';
import { FakeHost } from '../fake-host.js';

const ROLLUP = `55d0-7ffc ---p 00000000 00:00 0                          [rollup]
Rss:                 100 kB
Pss:                  60 kB
Pss_Dirty:            30 kB
Pss_Anon:             36 kB
Pss_Shmem:             2 kB
Shared_Clean:         48 kB
Shared_Dirty:          4 kB
Private_Clean:         8 kB
Private_Dirty:        40 kB
Anonymous:            40 kB
Shared_Hugetlb:     2048 kB
Private_Hugetlb:    4096 kB
Swap:                 12 kB
SwapPss:               6 kB
Locked:                4 kB
`;

const status = (name: string, ...more: string[]) =>
  [`Name:\t${name}`, 'Tgid:\t7', 'Uid:\t33\t0\t0\t0', ...more, 'Threads:\t3', ''].join('\n');
const stat = (pid: number, name: string, state = 'S', flags = 4194304, began = 5000) =>
  `${pid} (${name}) ${state} 1 1 1 0 -1 ${flags} 1 2 3 4 5 6 7 8 20 0 3 0 ${began} 1 2 3\n`;
const MEMORY = ['VmLck:\t       4 kB', 'VmRSS:\t     104 kB', 'RssAnon:\t      40 kB'];
const FILES = ['RssFile:\t      60 kB', 'RssShmem:\t       4 kB', 'VmPTE:\t      44 kB'];

/** Files of one process; files that are left out are missing. */
function add(host: FakeHost, pid: number, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) host.files.set(`/proc/${pid}/${name}`, text);
}

describe('processes of /proc', () => {
  test('are reported with all data in their files', async () => {
    const host = new FakeHost();
    host.files.set('/proc/uptime', '90.25 100.00\n');
    add(host, 1, {
      stat: stat(1, 'a) S 2 (b'),
      status: status('a) S 2 (b', ...MEMORY, ...FILES, 'VmSwap:\t12 kB', 'NSpid:\t1\t9'),
      smaps_rollup: ROLLUP,
      cgroup: '0::/kubepods/pod0123\n',
      oom_score: '670\n',
      oom_score_adj: '-500\n',
    });
    const { processes, ...rest } = await readProcesses(host);
    expect(rest).toEqual({ kernelThreads: 0, zombies: 0, zombieParents: [], gone: 0, hidden: false });
    expect(processes).toEqual([
      {
        pid: 1,
        comm: 'a) S 2 (b',
        uid: 33,
        nsPids: [1, 9],
        cgroup: expect.objectContaining({ path: '/kubepods/pod0123' }),
        threads: 3,
        ageSeconds: 40,
        oomScore: 670,
        oomScoreAdj: -500,
        status: {
          rss: 104 * 1024,
          anonymous: 40 * 1024,
          file: 60 * 1024,
          shmem: 4096,
          swap: 12 * 1024,
          pageTables: 44 * 1024,
          locked: 4096,
          pinned: null,
          hugetlb: null,
        },
        sums: {
          rss: 100 * 1024,
          pss: 60 * 1024,
          uss: 48 * 1024,
          anonymous: 40 * 1024,
          pssAnonymous: 36 * 1024,
          pssShmem: 2048,
          swap: 12 * 1024,
          swapPss: 6 * 1024,
          hugetlb: 6 * 2 ** 20,
          locked: 4096,
        },
        started: 5000,
        readAt: 90.25,
        minorFaults: 1,
        majorFaults: 3,
      },
    ]);
  });

  test('have no age if the start time is in the future, since the clocks differ', async () => {
    const host = new FakeHost();
    host.files.set('/proc/uptime', '90.25 100.00\n');
    for (const [pid, began] of [
      [1, 9_000_000],
      [2, 9030],
    ] as const)
      add(host, pid, {
        stat: stat(pid, 'a', 'S', 4194304, began),
        status: status('a', ...MEMORY),
        smaps_rollup: ROLLUP,
      });
    expect((await readProcesses(host)).processes.map(({ ageSeconds }) => ageSeconds)).toEqual([null, 0]);
  });

  test('are each read at their own time', async () => {
    const host = new FakeHost();
    host.files.set('/proc/uptime', '90.25 100.00\n');
    for (const pid of [1, 2])
      add(host, pid, { stat: stat(pid, 'a'), status: status('a', ...MEMORY), smaps_rollup: ROLLUP });
    let answered = Promise.resolve('');
    host.readSlowText = (path) => {
      answered = answered.then(async () => {
        await new Promise((resolve) => setTimeout(resolve));
        host.clock += 1500;
        return host.readText(path);
      });
      return answered;
    };
    expect((await readProcesses(host)).processes.map(({ readAt }) => readAt)).toEqual([91.75, 93.25]);
  });

  test('have no memory if they are kernel threads, zombies, or exited during the scan', async () => {
    const host = new FakeHost();
    add(host, 1, { stat: stat(1, 'init'), status: status('init', ...MEMORY), smaps_rollup: ROLLUP });
    add(host, 2, { stat: stat(2, 'kthreadd', 'S', 0x20_0040), status: status('kthreadd') });
    add(host, 3, { stat: stat(3, 'dead', 'Z'), status: status('dead'), smaps_rollup: '' });
    add(host, 4, { stat: stat(4, 'ending') });
    add(host, 5, { stat: stat(5, 'ending'), status: status('ending'), smaps_rollup: '' });
    const { processes, ...rest } = await readProcesses(host);
    expect(processes.map(({ pid }) => pid)).toEqual([1]);
    expect(rest).toEqual({
      kernelThreads: 1,
      zombies: 1,
      zombieParents: [{ pid: 1, zombies: 1 }],
      gone: 2,
      hidden: false,
    });
  });

  test('are not changed by a name that looks like a field of status', async () => {
    const host = new FakeHost();
    const lying = 'x\\nVmRSS:\t9 kB';
    add(host, 1, { stat: stat(1, lying), status: status(lying, ...MEMORY), smaps_rollup: ROLLUP });
    expect((await readProcesses(host)).processes[0]?.status?.rss).toBe(104 * 1024);
  });

  test('have a size, but no parts, without permission', async () => {
    const host = new FakeHost();
    add(host, 1, { stat: stat(1, 'init'), status: status('init', ...MEMORY), smaps_rollup: 'denied' });
    const [process] = (await readProcesses(host)).processes;
    expect(process?.sums).toBeNull();
    expect(process?.status?.rss).toBe(104 * 1024);
  });

  test('have a size, and the reason, if nothing reads their mappings', async () => {
    const host = new FakeHost();
    add(host, 1, { stat: stat(1, 'init'), status: status('init', ...MEMORY) });
    host.readSlowText = async () => {
      throw new HostError('unreadable', 'the process that reads /proc exited (2)');
    };
    const seen = await readProcesses(host);
    expect(seen.processes).toMatchObject([{ sums: null, unread: 'the process that reads /proc exited (2)' }]);
    const { warnings, complete } = hostProcesses(seen);
    expect(warnings.map(({ message }) => message)).toEqual([
      'PSS and USS of pid 1 (init) are not available: the process that reads /proc exited (2)',
    ]);
    expect(complete).toBe(false);
  });

  test.each([
    ['RSS', ['VmRSS:\t  524292 kB', 'VmSwap:\t       0 kB']],
    ['swap', ['VmRSS:\t       8 kB', 'VmSwap:\t  524292 kB']],
  ])('have no PSS if their %s is above 512 MiB, unless it is requested', async (_, sizes) => {
    const host = new FakeHost();
    add(host, 1, { stat: stat(1, 'db'), status: status('db', ...sizes), smaps_rollup: ROLLUP });
    add(host, 2, { stat: stat(2, 'a'), status: status('a', 'VmRSS:\t  524288 kB'), smaps_rollup: ROLLUP });
    const { processes } = await readProcesses(host);
    expect(processes).toMatchObject([{ sums: null, isLarge: true }, { sums: { pss: 60 * 1024 } }]);
    const all = await readProcesses(host, { pss: 'all' });
    expect(all.processes.map(({ sums }) => sums?.pss)).toEqual([60 * 1024, 60 * 1024]);
    const none = await readProcesses(host, { pss: 'none' });
    expect(none.processes.map(({ sums, isLarge }) => [sums, isLarge])).toEqual([
      [null, undefined],
      [null, undefined],
    ]);
  });

  test('stay large in later samples: figures of two kinds are not compared', async () => {
    const host = new FakeHost();
    const large = new Set<string>();
    const sample = async (kilobytes: number, began = 5000) => {
      const files = { stat: stat(1, 'db', 'S', 4194304, began), status: status('db', `VmRSS:\t ${kilobytes} kB`) };
      add(host, 1, { ...files, smaps_rollup: ROLLUP });
      return (await readProcesses(host, { large })).processes.map(({ isLarge }) => isLarge);
    };
    expect(await sample(524_292)).toEqual([true]);
    expect(await sample(100)).toEqual([true]);
    expect(await sample(100, 6000)).toEqual([undefined]);
  });

  test('are in no sum of PSS if they are large; the answer says how many, and their RSS', async () => {
    const host = new FakeHost();
    const big = ['VmRSS:\t 2097152 kB', 'RssAnon:\t 2000000 kB', 'VmPTE:\t 44 kB', 'VmSwap:\t 0 kB'];
    add(host, 1, { stat: stat(1, 'init'), status: status('init', ...MEMORY, ...FILES), smaps_rollup: ROLLUP });
    add(host, 7, { stat: stat(7, 'db'), status: status('db', ...big), smaps_rollup: ROLLUP });
    const found = hostProcesses(await readProcesses(host));
    const json = chosen(found, { by: 'command' }, String).answer;
    const gib = 2 * 2 ** 30;
    expect(json.processes[0]).toMatchObject({
      pid: 7,
      rssBytes: gib,
      pssBytes: null,
      ussBytes: null,
      pssUnknown: 'large',
      freedIfKilledBytes: null,
      complete: false,
    });
    expect(json.processes[1]).toMatchObject({ pid: 1, pssBytes: 60 * 1024, pssUnknown: null });
    const withoutPss = { processes: 1, rssBytes: gib };
    expect(json.total).toMatchObject({ pssBytes: 60 * 1024, withoutPss, complete: false });
    expect(json.groups?.[0]).toMatchObject({ key: 'db', pssBytes: null, withoutPss, freedIfKilledMostBytes: null });
    expect(json).toMatchObject({ complete: false, warnings: [{ code: 'pss-not-read' }] });
    const blocks = procsBlocks(chosen(found, {}, String), { limit: 5, source: '--live' });
    const text = blockTexts(blocks, null).join('\n\n');
    expect(text).toContain(
      'The PSS of 1 process (RSS 2.00 GiB) is not known; the other process uses 60.0 KiB of memory (PSS)',
    );
    expect(text).toMatch(/^ *7 +≤ 2\.00 GiB +not read +44\.0 KiB +not read +2\.00 GiB/m);
    expect(text).toContain('(some of it may be shared: PSS of large processes is not read, since reading blocks them)');
  });

  test('have the sum of all mappings in smaps if smaps_rollup does not exist', async () => {
    const host = new FakeHost();
    const mapping = (rss: number) =>
      ROLLUP.replace('Rss:                 100', `Rss: ${rss}`).replace('[rollup]', '/Pss:  9 kB');
    add(host, 1, { stat: stat(1, 'init'), status: status('init', ...MEMORY), smaps: mapping(100) + mapping(50) });
    const [process] = (await readProcesses(host)).processes;
    expect(process?.sums).toMatchObject({ rss: 150 * 1024, pss: 120 * 1024, uss: 96 * 1024 });
  });

  test('are reported as hidden if /proc hides those of other users', async () => {
    const host = new FakeHost();
    add(host, 77, { stat: stat(77, 'own'), status: status('own', ...MEMORY), smaps_rollup: ROLLUP });
    expect((await readProcesses(host)).hidden).toBe(true);
  });
});

test('have no sums if a field that every kernel reports is missing', () => {
  expect(sumSmaps('')).toBeUndefined();
  expect(sumSmaps(ROLLUP.replace(/^Private_Dirty.*\n/m, ''))).toBeUndefined();
  expect(sumSmaps(ROLLUP.replace(/^SwapPss.*\n/m, ''))?.swapPss).toBeNull();
});

describe('memory that is easily missed', () => {
  test('counts a process whose main thread has exited, from its other threads', async () => {
    const host = new FakeHost();
    const ended = status('worker', 'State:\tZ (zombie)');
    add(host, 7, { stat: stat(7, 'worker', 'Z'), status: ended });
    add(host, 7, {
      'task/7/status': ended,
      'task/8/status': status('worker', ...MEMORY, ...FILES),
      'task/8/smaps_rollup': ROLLUP,
    });
    add(host, 1, { stat: stat(1, 'init'), status: status('init') });
    const { processes, zombies } = await readProcesses(host);
    expect(zombies).toBe(0);
    expect(processes).toMatchObject([{ pid: 7, threads: 3, sums: { rss: 100 * 1024 }, status: { rss: 104 * 1024 } }]);
  });

  test('ignores paths in sizes, whatever line ends they contain', () => {
    const path = '/tmp/a\rRss:    999999 kB\r\u2028Pss:    999999 kB\u2028x';
    const mapping = `55d0-7ffc rw-p 00000000 00:00 0     ${path}\n`;
    const text = `${mapping}${ROLLUP.split('\n').slice(1).join('\n')}`;
    expect(sumSmaps(text + text)).toMatchObject({ rss: 200 * 1024, pss: 120 * 1024 });
  });

  test('refuses a /proc without processes', async () => {
    const host = new FakeHost();
    host.files.set('/proc/uptime', '90.25 100.00\n');
    await expect(readProcesses(host)).rejects.toThrow(/lists no process/);
  });
});

describe('processes whose stacks start at the same address', () => {
  const [PRESENT, ALONE] = [1n << 63n, 1n << 56n];
  const STACK = 0x7fff_0000_1000;

  /** @param entries page map entries of one page for pid 1 and 2, and for pid 1 when it is read again */
  async function sharedWith(...entries: readonly [bigint, bigint, bigint?]) {
    const host = new FakeHost();
    const auxv = Buffer.alloc(32);
    auxv.writeBigUInt64LE(6n, 0);
    auxv.writeBigUInt64LE(4096n, 8);
    host.files.set('/proc/self/auxv', auxv.toString('latin1'));
    for (const pid of [1, 2])
      add(host, pid, {
        stat: stat(pid, 'a').replace('\n', ` 4 5 ${STACK}\n`),
        status: status('a', ...MEMORY),
        smaps_rollup: ROLLUP,
      });
    const answers = new Map([
      ['/proc/1/pagemap', [entries[0], entries[2] ?? entries[0]]],
      ['/proc/2/pagemap', [entries[1]]],
    ]);
    const readSlowBytes = async (path: string, from: number, length: number) => {
      expect([from % 8, length % 8]).toEqual([0, 0]);
      const bytes = Buffer.alloc(length);
      bytes.writeBigUInt64LE(answers.get(path)?.shift() ?? 0n, length - 8);
      return bytes;
    };
    const { processes } = await readProcesses(Object.assign(host, { readSlowBytes }));
    return processes.map(({ pid, sharedWith }) => [pid, sharedWith]);
  }

  const own = PRESENT | ALONE | 77n;
  const apart = [
    [1, undefined],
    [2, undefined],
  ];
  test('share their memory if both map an anonymous page that is mapped once', async () => {
    expect(await sharedWith(own, own)).toEqual([[1, [2]]]);
  });

  test.each<[string, readonly [bigint, bigint, bigint?]]>([
    ['a page that is mapped twice', [PRESENT | 77n, PRESENT | 77n]],
    ['a page of a file', [own | (1n << 61n), own | (1n << 61n)]],
    ['frames that are hidden', [PRESENT | ALONE, PRESENT | ALONE]],
    ['different pages', [own, PRESENT | ALONE | 78n]],
    ['a page that the first process had before', [own, own, PRESENT | ALONE | 79n]],
  ])('have separate memory: %s', async (_, entries) => {
    expect(await sharedWith(...entries)).toEqual(apart);
  });
});
