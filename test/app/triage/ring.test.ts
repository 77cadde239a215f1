import { copyFileSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { storedRecordedHolders, watchSampleLine } from '../../../src/answers/watch/sample.js';
import { RingRecorder } from '../../../src/app/watch/ring.js';
import { ExhaustedError, HostError } from '../../../src/base/errors.js';
import { MAX_COPIED, MAX_RECORD, Ring, ringRecords } from '../../../src/base/ring.js';
import { formatJson } from '../../../src/base/util.js';
import { readCapture } from '../../../src/capture/read/files.js';
import { takeSnapshot } from '../../../src/capture/write/snapshot.js';
import type { RecordedHolder, RecordedHolders } from '../../../src/contracts/recorded-holders.js';
import type { HostSource } from '../../../src/host/host-source.js';
import { look } from '../../growth/made-up-machine.js';
import { fixture } from '../../support/fixtures.js';
import { kdumpMem } from '../../support/in-process.js';
import { type MadeHost, madeSource, WEB_HOST } from '../../support/made-host.js';
import { scratchFolder } from '../../support/scratch.js';

const MIB = 2 ** 20;
const folder = scratchFolder('triage-ring-');
let made = 0;
let at: string;
beforeEach(() => {
  at = join(folder, `${++made}`);
  mkdirSync(at);
});

const holder = (bytes: number): RecordedHolder => ({
  category: 'anonymous',
  scan: 'processes',
  key: '7 100',
  name: 'grows\n\u001b[31m',
  pid: 7,
  bytes,
  beganSeconds: 1,
  bound: false,
});

/** An earlier record of the same boot. */
const recordAt = (uptime: number) => record('this', uptime, 50 * MIB);

function record(bootId: string, uptimeSeconds: number, bytes: number): string {
  const holders = [holder(bytes)];
  const schema = 'kdump-mem.recorded-holders/1';
  return formatJson({
    schema,
    bootId,
    uptimeSeconds,
    scans: ['processes'],
    holders,
    unlistedBytes: 0,
  } satisfies RecordedHolders);
}

/** Writes a ring in which pid 7 grows by 300 MiB in 20 s, and the last sample is of this time. */
function recorded(
  file: string,
  last: Date,
  bootId = 'first',
  copy?: string,
  totalOf?: (index: number) => number | null,
): void {
  const ring = Ring.open(file, copy);
  for (const [index, mib] of [100, 150, 250, 350, 400].entries()) {
    const time = new Date(last.getTime() - 5000 * (4 - index));
    const ledger = { source: 'counters', categories: new Map([['anonymous' as const, mib * MIB]]) } as const;
    const total = totalOf ? { memTotalBytes: totalOf(index) } : {};
    const machine = look(1000 + 5 * index, [], { at: time.toISOString(), bootId, ...total });
    const sample = { look: machine, ledger, noCategories: null, hidden: false, interval: 5, lost: 0 };
    ring.append(formatJson(watchSampleLine(sample)));
    if (index % 2 > 0) continue;
    ring.append(record(bootId, 1000 + 5 * index, mib * MIB - 50 * MIB));
  }
  ring.close();
}

const OOM =
  '<3>[  100.000001] Out of memory: Killed process 7 (grows) total-vm:40kB, anon-rss:40kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:16kB oom_score_adj:0\n';
const grown = ({ stdout }: { readonly stdout: string }) =>
  (JSON.parse(stdout).findings as { code: string; figures: Record<string, unknown> }[])
    .filter(({ code }) => code === 'recorded-growth')
    .map(({ figures }) => figures);

describe('triage --ring', () => {
  test('a log: what grew before, whose it is, and how fast', async () => {
    recorded(join(at, 'ring'), new Date());
    writeFileSync(join(at, 'dmesg'), `<5>[    0.000000] Linux version 6.12.0 (x@y) #1 SMP\n${OOM}`);
    const json = await kdumpMem('triage', '--json', '--ring', join(at, 'ring'), join(at, 'dmesg'));
    expect(grown(json)).toMatchObject([
      {
        category: 'anonymous',
        grownBytes: 300 * MIB,
        seconds: 20,
        endedSeconds: 0,
        pid: 7,
        ownerBytes: 300 * MIB,
        ownerShare: 1,
        perMinuteBytes: 900 * MIB,
      },
    ]);
    const { stdout } = await kdumpMem('triage', '--ring', join(at, 'ring'), join(at, 'dmesg'));
    expect(stdout).toContain('anonymous grew by 300 MiB (29 % of memory) in 20 s, about 900 MiB a minute');
    expect(stdout).toContain(
      'Largest growth: pid 7 (grows\\x0a\\x1b[31m), 300 MiB (100 % of the growth between two lists of owners).',
    );
  });

  test.each([
    [
      'unknown in the last sample: that of another one counts',
      (index: number) => (index < 3 ? 20_000 * MIB : null),
      'note',
    ],
    ['unknown in all: the growth may be most of it', () => null, 'warning'],
  ])('the size of memory is %s', async (_, totalOf, severity) => {
    recorded(join(at, 'ring'), new Date(), 'first', undefined, totalOf);
    const share = severity === 'note' ? 300 / 20_000 : null;
    writeFileSync(join(at, 'dmesg'), `<5>[    0.000000] Linux version 6.12.0 (x@y) #1 SMP\n${OOM}`);
    const { stdout } = await kdumpMem('triage', '--json', '--ring', join(at, 'ring'), join(at, 'dmesg'));
    const found = JSON.parse(stdout).findings.find(({ code }: { code: string }) => code === 'recorded-growth');
    expect([found.severity, found.figures.share]).toEqual([severity, share]);
    expect(found.words).toMatch(share === null ? /300 MiB in 20 s/ : /300 MiB \(2 % of memory\) in 20 s/);
  });

  test('a log of pstore: what pstore kept of the ring beside it, unless that is of another boot', async () => {
    const pmsg = join(at, 'pmsg-ramoops-0');
    writeFileSync(pmsg, '');
    recorded(join(at, 'ring'), new Date(), 'first', pmsg);
    writeFileSync(pmsg, readFileSync(pmsg).subarray(300));
    writeFileSync(join(at, 'dmesg-ramoops-0'), `Panic#1 Part1\n${OOM}`);
    const beside = () => kdumpMem('triage', '--json', join(at, 'dmesg-ramoops-0'));
    // The oldest sample is lost.
    expect(grown(await beside())).toMatchObject([{ beforeBytes: 150 * MIB, grownBytes: 250 * MIB, pid: 7 }]);
    utimesSync(pmsg, 1, 1);
    expect(grown(await beside())).toEqual([]);
  });

  test('a dump: the ring beside it, of the boot that ended at its crash', async () => {
    const dump = join(at, 'vmcore');
    copyFileSync(fixture('6.1').vmcore, dump);
    const plain = JSON.parse((await kdumpMem('triage', '--json', dump)).stdout);
    const { stdout } = await kdumpMem('info', '--json', dump);
    const time = new Date(JSON.parse(stdout).time.at);
    recorded(join(at, 'kdump-mem.ring'), new Date(time.getTime() - 9e6), 'earlier');
    recorded(join(at, 'kdump-mem.ring'), new Date(time.getTime() - 3000), 'this');
    recorded(join(at, 'kdump-mem.ring'), new Date(time.getTime() + 9e6), 'later');
    const beside = await kdumpMem('triage', '--json', dump);
    expect(grown(beside)).toMatchObject([{ grownBytes: 300 * MIB, pid: 7 }]);
    expect(JSON.parse(beside.stdout).complete).toBe(plain.complete);
    // Of another crash.
    recorded(join(at, 'other'), new Date(time.getTime() + 9e6));
    const other = await kdumpMem('triage', '--json', '--ring', join(at, 'other'), dump);
    expect(grown(other)).toEqual([]);
    expect(JSON.parse(other.stdout)).toMatchObject({ complete: false });
    expect(other.stdout).toContain('no samples of that boot');
  });

  test('a report of sos: the ring of its machine', async () => {
    const file = join(at, 'var/lib/kdump-mem-ring/ring');
    mkdirSync(dirname(file), { recursive: true });
    mkdirSync(join(at, 'sos_commands/date'), { recursive: true });
    writeFileSync(join(at, 'sos_commands/date/date_--utc'), 'Fri Nov 20 04:12:00 UTC 2026\n');
    const taken = new Date('2026-11-20T04:12:00Z');
    recorded(file, new Date(taken.getTime() - 9e6), 'earlier');
    recorded(file, new Date(taken.getTime() - 3000), 'this');
    const json = await kdumpMem('triage', '--json', '--from', at);
    expect(grown(json)).toMatchObject([{ grownBytes: 300 * MIB, pid: 7 }]);
    writeFileSync(file, 'a text');
    const damaged = await kdumpMem('triage', '--json', '--from', at);
    expect(grown(damaged)).toEqual([]);
    expect(damaged.stdout).toContain('var/lib/kdump-mem-ring/ring: not a ring');
  });

  test('a snapshot: the last ten minutes of the ring of its machine', async () => {
    recorded(join(at, 'ring'), new Date(Date.now() - 9e6), 'earlier');
    const ring = Ring.open(join(at, 'ring'));
    for (const uptime of [10, 300]) ring.append(recordAt(uptime));
    ring.close();
    recorded(join(at, 'ring'), new Date(), 'this');
    const bytes = readFileSync(join(at, 'ring'));
    const made = madeSource({ ...WEB_HOST, files: { ...WEB_HOST.files, '/proc/sys/kernel/random/boot_id': 'this\n' } });
    const source = {
      ...made,
      read: (path: string, most: number) =>
        path === '/var/lib/kdump-mem-ring/ring' ? { bytes, cut: false } : made.read(path, most),
    };
    const snapshot = async (anonymize: boolean) => {
      const pieces: Buffer[] = [];
      const options = { parts: new Set<never>(), timeoutSeconds: 30, intervalMs: 1000, program: 'test 1', anonymize };
      await takeSnapshot(source, (piece) => pieces.push(piece), options);
      writeFileSync(join(at, 'host.tar.gz'), Buffer.concat(pieces));
      return readCapture(join(at, 'host.tar.gz'));
    };
    const kept = (await snapshot(false)).bytes('var/lib/kdump-mem-ring/ring') ?? Buffer.alloc(0);
    const uptimes = ringRecords(kept).records.map(({ text }) => JSON.parse(text).uptimeSeconds);
    // Five samples, and three lists of holders.
    expect(uptimes).toEqual([1000, 1000, 1005, 1010, 1010, 1015, 1020, 1020]);
    expect(grown(await kdumpMem('triage', '--json', '--from', join(at, 'host.tar.gz')))).toMatchObject([
      { grownBytes: 300 * MIB, pid: 7 },
    ]);
    // It has names of processes.
    expect((await snapshot(true)).has('var/lib/kdump-mem-ring/ring')).toBe(false);
  });

  test('the last record may be torn; without another one, or a part of the disk, the answer is incomplete', async () => {
    const ring = join(at, 'kdump-mem.ring');
    const dump = join(at, 'vmcore');
    copyFileSync(fixture('6.1').vmcore, dump);
    const { stdout } = await kdumpMem('info', '--json', dump);
    const time = new Date(JSON.parse(stdout).time.at);
    const plain = JSON.parse((await kdumpMem('triage', '--json', dump)).stdout);
    recorded(ring, time, 'this');
    const whole = readFileSync(ring);
    const { records } = ringRecords(whole);
    const without = async (index: number, from: number) => {
      const bytes = Buffer.from(whole);
      const { start, end } = records.at(index)!;
      bytes.fill(0, start + from, end);
      writeFileSync(ring, bytes);
      const answer = await kdumpMem('triage', '--json', dump);
      const { complete, warnings } = JSON.parse(answer.stdout);
      expect(grown(answer)).toHaveLength(1);
      const message = `${ring}: 1 records are damaged or missing`;
      return [complete, warnings.some((one: { message: string }) => one.message === message)];
    };
    expect(await without(-1, 40)).toEqual([plain.complete, false]);
    expect(await without(2, 40)).toEqual([false, true]);
    expect(await without(2, 0)).toEqual([false, true]);
  });

  test('a log is not one of this boot, which is read without a log', async () => {
    recorded(join(at, 'ring'), new Date(), readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
    writeFileSync(join(at, 'dmesg.txt'), OOM);
    const { stdout } = await kdumpMem('triage', '--json', '--ring', join(at, 'ring'), join(at, 'dmesg.txt'));
    expect(grown({ stdout })).toEqual([]);
    expect(stdout).toContain('no samples of that boot in the ten minutes before (for this boot, run kdump-mem triage');
  });

  test('a file that is no ring is an error, beside a dump a warning', async () => {
    writeFileSync(join(at, 'dmesg.txt'), OOM);
    writeFileSync(join(at, 'kdump-mem.ring'), 'a text');
    const named = await kdumpMem('triage', '--ring', join(at, 'kdump-mem.ring'), join(at, 'dmesg.txt'));
    expect([named.status, named.stderr]).toEqual([3, expect.stringContaining('kdump-mem.ring: not a ring')]);
    const beside = await kdumpMem('triage', '--json', join(at, 'dmesg.txt'));
    expect(JSON.parse(beside.stdout).complete).toBe(false);
    expect(beside.stdout).toContain('kdump-mem.ring: not a ring');
  });

  test.each([
    [['--ring', '/tmp/x', '--store', '/tmp/y'], /'--ring <file>' cannot be used with option '--store <file>'/],
    [['--ring', '/tmp/x', '--for', '0'], /read it with kdump-mem triage --ring FILE/],
    [['--ring', '-'], /--ring requires a file/],
  ])('watch %j is refused', async (words, message) => {
    const { status, stderr } = await kdumpMem('watch', ...words);
    expect([status, stderr]).toEqual([2, expect.stringMatching(message)]);
  });
});

/** Lines of /proc/meminfo: everything else is 0. */
const NO_OTHERS = [
  'Buffers Cached SwapCached Active Inactive Active(anon) Inactive(anon) Active(file) Inactive(file) Unevictable Mlocked',
  'SwapTotal SwapFree Dirty Writeback AnonPages Mapped Shmem KReclaimable Slab SReclaimable SUnreclaim KernelStack PageTables',
  'SecPageTables NFS_Unstable Bounce WritebackTmp Committed_AS VmallocTotal VmallocUsed Percpu HardwareCorrupted Hugetlb',
]
  .join(' ')
  .split(' ')
  .map((name) => `${name}: 0 kB\n`)
  .join('');

const noFailure = (error: unknown) => {
  throw error;
};

describe('the recorder', () => {
  const status = (pid: number, mib: number) => ({
    [`/proc/${pid}/status`]: `Name:\tp${pid}\nState:\tS (sleeping)\nPPid:\t1\nFDSize:\t64\nVmRSS:\t${mib * 1024} kB\nRssAnon:\t${mib * 1024} kB\nRssFile:\t0 kB\nRssShmem:\t0 kB\nVmPTE:\t0 kB\nThreads:\t1\n`,
    [`/proc/${pid}/stat`]: `${pid} (p${pid}) S 1 ${'0 '.repeat(17)}${pid}00 0 0\n`,
  });
  function host(
    uptime: number,
    anonMib: number,
    more: Readonly<Record<string, string>> = {},
    rest: Partial<MadeHost> = {},
  ) {
    const kib = anonMib * 1024;
    return madeSource({
      files: {
        '/proc/uptime': `${uptime}.00 1.00\n`,
        '/proc/meminfo': `MemTotal: 4194304 kB\nMemFree: ${4_000_000 - kib} kB\nAnonPages: ${kib} kB\nActive(anon): ${kib} kB\nInactive(anon): 0 kB\nActive(file): 0 kB\nInactive(file): 0 kB\nUnevictable: 0 kB\n`,
        '/proc/sys/kernel/random/boot_id': 'boot\n',
        '/proc/slabinfo':
          'slabinfo - version: 2.1\n# name\ndentry 10 10 192 21 1 : tunables 0 0 0 : slabdata 9000 9000 0\n',
        ...status(1, 5),
        ...more,
      },
      ...rest,
    });
  }
  /** Samples hosts in turn. */
  function record(...hosts: readonly ReturnType<typeof host>[]) {
    const texts: string[] = [];
    let now = hosts[0]!;
    const recorder = new RingRecorder(
      { append: (text) => void texts.push(text) },
      noFailure,
      new Proxy(now, { get: (_, name) => Reflect.get(now, name) }),
    );
    for (const one of hosts) {
      now = one;
      recorder.sample(new Date(0));
    }
    return texts.map(
      (text) =>
        JSON.parse(text) as {
          schema: string;
          uptimeSeconds: number;
          holders?: { name: string; category: string; bytes: number }[];
        },
    );
  }
  const listedAt = (...hosts: readonly ReturnType<typeof host>[]) =>
    record(...hosts).flatMap(({ holders, uptimeSeconds }) => (holders ? [uptimeSeconds] : []));

  test('lists holders at first, each minute, and when a category grew by 64 MiB', () => {
    expect(listedAt(host(100, 1), host(105, 60), host(110, 66), host(115, 70), host(160, 70), host(170, 70))).toEqual([
      100, 110, 170,
    ]);
  });

  test('growth that triage does not report is no reason for a list', () => {
    const cached = (uptime: number, mib: number) => {
      const free = `MemFree: ${4_000_000 - mib * 1024} kB`;
      const files = `Cached: ${mib * 1024} kB\nInactive(file): ${mib * 1024} kB`;
      return host(uptime, 0, { '/proc/meminfo': `MemTotal: 4194304 kB\n${free}\n${files}\n` });
    };
    expect(listedAt(cached(100, 0), cached(105, 900))).toEqual([100]);
    // 1 % of this memory are 82 MiB.
    const large = (uptime: number, mib: number) => {
      const meminfo = host(uptime, mib).readText('/proc/meminfo').replace('MemTotal: 4194304', 'MemTotal: 8388608');
      return host(uptime, mib, { '/proc/meminfo': meminfo });
    };
    expect(listedAt(large(100, 1), large(105, 80), large(110, 84))).toEqual([100, 110]);
  });

  test('a list has processes and slab caches', () => {
    const [, list] = record(host(100, 1, { ...status(7, 40), ...status(8, 0) }));
    expect(list?.holders?.map(({ name, category, bytes }) => [name, category, bytes / MIB])).toEqual([
      ['p7', 'anonymous', 40],
      ['dentry', 'slab-unreclaimable', 9000 / 256],
      ['p1', 'anonymous', 5],
    ]);
  });

  test('caches that the kernel reclaims own no unreclaimable memory; others may if that is unknown', () => {
    const cache = (name: string, slabs: number) =>
      `${name} 1 1 8 1 1 : tunables 0 0 0 : slabdata ${slabs} ${slabs} 0\n`;
    const slabinfo = `slabinfo - version: 2.1\n${cache('ext4_inode_cache', 9000)}${cache('kmalloc-4k', 4000)}${cache('odd', 3000)}`;
    const files = {
      '/proc/slabinfo': slabinfo,
      '/sys/kernel/slab/ext4_inode_cache/reclaim_account': '1\n',
      '/sys/kernel/slab/kmalloc-4k/reclaim_account': '0\n',
    };
    const [, list] = record(host(100, 1, files));
    expect(list?.holders?.filter(({ category }) => category === 'slab-unreclaimable')).toMatchObject([
      { name: 'kmalloc-4k', bound: false },
      { name: 'odd', bound: true },
    ]);
  });

  test('a sample whose boot could not be read is of the boot of the one before', () => {
    const boots = record(
      host(100, 1, { '/proc/sys/kernel/hostname': 'web-7\n' }),
      host(105, 1, { '/proc/sys/kernel/random/boot_id': '' }),
    ).map((one) => one as unknown as { bootId: string; host: string });
    expect(boots.map(({ bootId }) => bootId)).toEqual(['boot', 'boot', 'boot']);
    expect(boots.at(-1)?.host).toBe('web-7');
  });

  /** Memory without a counter grows, and a socket of pid 7 has unread data. */
  const memory = (uptime: number, usedMib: number, queuedMib: number, more: Partial<MadeHost> = {}) => {
    const socket = (recvQ: number, own: number, peer: number, sent: number) =>
      `u_str ESTAB ${recvQ} 0 * ${own} * ${peer} skmem:(r0,rb212992,t${sent},tb212992,f0,w0,o0,bl0,d0) <->\n`;
    const [free, bytes] = [`MemFree: ${4_000_000 - usedMib * 1024} kB`, queuedMib * MIB];
    const meminfo = `MemTotal: 4194304 kB\n${free}\n${NO_OTHERS}`;
    const files = {
      ...status(7, 5),
      '/proc/meminfo': meminfo,
      '/proc/7/comm': 'p7\n',
      '/proc/sys/fs/pipe-max-size': '1048576\n',
    };
    const links = { '/proc/self/ns/net': 'net:[1]', '/proc/7/ns/net': 'net:[1]', '/proc/7/fd/3': 'socket:[77]' };
    const unix = socket(bytes, 77, 78, 0) + socket(0, 78, 77, bytes);
    return host(uptime, 0, files, { links, ss: { inet: '', unix, others: '' }, ...more });
  };

  test('if memory without a counter grew, owners of sockets are a list of their own', async () => {
    const texts: string[] = [];
    let now = memory(100, 0, 0);
    let ms = 0;
    const clock = () => (ms += 1);
    const source = new Proxy(now, { get: (_, name) => (name === 'now' ? clock : Reflect.get(now, name)) });
    const recorder = new RingRecorder({ append: (text) => void texts.push(text) }, noFailure, source);
    for (const one of [now, memory(105, 70, 65), memory(110, 140, 130)]) {
      now = one;
      recorder.sample(new Date(0));
      await recorder.pending;
    }
    const lists = texts.map((text) => JSON.parse(text)).filter(({ holders }) => holders);
    const sockets = lists.filter(({ scans }) => scans.includes('sockets'));
    expect(lists.map(({ scans }) => scans.join(' '))).toEqual([
      'processes caches',
      'processes caches pipes',
      'sockets',
      'processes caches pipes',
      'sockets',
    ]);
    expect(sockets.map(({ uptimeSeconds }) => uptimeSeconds)).toEqual([105, 110]);
    // Each look at the clock takes a millisecond here; ss ran after several.
    for (const { uptimeSeconds, takenSeconds } of sockets) expect(takenSeconds).toBeGreaterThan(uptimeSeconds + 0.001);
    expect(lists[1]).not.toHaveProperty('takenSeconds');
    const [first, second] = sockets.flatMap(({ holders }) => holders as Record<string, unknown>[]);
    const owner = { name: 'p7 (1 socket)', key: 'sockets 7 700', pid: 7, category: 'unattributed', bound: false };
    // The structure of a socket buffer has 512 bytes.
    expect(first).toMatchObject({ ...owner, bytes: 65 * MIB + 512 });
    expect(second).toMatchObject({ ...owner, bytes: 130 * MIB + 512 });
  });

  test.each([
    ['a bug', new TypeError('x is not a function'), ['TypeError: x is not a function']],
    ['an error of ss', new HostError('ss-failed', 'ss: failed'), []],
    ['too few descriptors', new ExhaustedError('ss cannot be started'), []],
  ])(
    'a scan of sockets that fails with %s is reported unless the host is the cause; samples go on',
    async (_, error, reported) => {
      const scans: string[][] = [];
      const failures: unknown[] = [];
      let now = memory(100, 0, 0);
      const failing: Partial<HostSource> = { ss: () => Promise.reject(error) };
      const source = new Proxy(now, { get: (_, name) => Reflect.get(failing, name) ?? Reflect.get(now, name) });
      const recorder = new RingRecorder(
        { append: (text) => void scans.push(JSON.parse(text).scans ?? ['sample']) },
        (failure) => failures.push(failure),
        source,
      );
      for (const one of [now, memory(105, 70, 65), memory(170, 140, 130)]) {
        now = one;
        recorder.sample(new Date(0));
        await recorder.pending;
      }
      expect(scans.map((all) => all[0])).toEqual(['sample', 'processes', 'sample', 'processes', 'sample', 'processes']);
      // Both scans failed.
      expect(failures.map(String)).toEqual(reported.flatMap((one) => [one, one]));
    },
  );

  test('a record fits, whatever names are, and says what it has no room for', () => {
    const all = (pid: number, mib: number) =>
      Object.entries(status(pid, mib)).map(([path, text]) => [
        path,
        text.replace('VmPTE:\t0', `VmPTE:\t${mib * 1024}`),
      ]);
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, index) => all(100 + index, 900 + index)).flat());
    const caches = Array.from(
      { length: 60 },
      (_, index) => `${'\u0001'.repeat(120)}${index} 1 1 8 1 1 : tunables 0 0 0 : slabdata ${9000 + index} 9000 0`,
    );
    const slabs = { '/proc/slabinfo': `slabinfo - version: 2.1\n# name\n${caches.join('\n')}\n` };
    const records: string[][] = [];
    const append = (...all: readonly string[]) => void records.push([...all]);
    new RingRecorder({ append }, noFailure, host(100, 1, { ...many, ...slabs })).sample(new Date(0));
    const [, [whole = '', short = ''] = []] = records;
    for (const [text, most] of [
      [whole, MAX_RECORD],
      [short, MAX_COPIED],
    ] as const) {
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(most);
      const list = storedRecordedHolders(text)!;
      const least = Math.min(...list.holders.map(({ bytes }) => bytes));
      expect(list.unlistedBytes).toBeGreaterThan(0);
      expect(list.unlistedBytes).toBeLessThanOrEqual(least);
    }
    // The largest for which the copy had no room is in the other one.
    const { holders } = storedRecordedHolders(short)!;
    expect(storedRecordedHolders(short)?.unlistedBytes).toBe(
      storedRecordedHolders(whole)?.holders[holders.length]?.bytes,
    );
  });
});
