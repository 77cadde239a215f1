import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { readCapture } from '../../../src/capture/read/files.js';
import { CapturedHost } from '../../../src/capture/read/host.js';
import { TarReader } from '../../../src/capture/read/tar.js';
import { takeSnapshot } from '../../../src/capture/write/snapshot.js';
import type { HostSource } from '../../../src/host/host-source.js';
import { readHostCounts } from '../../../src/host/proc/memory.js';
import { messageQueues } from '../../../src/host/proc/message-queues.js';
import { readNamedMemory } from '../../../src/host/proc/named-memory.js';
import { readProcesses } from '../../../src/host/proc/process-memory.js';
import type { PssChoice } from '../../../src/records/pss.js';
import type { OptionalPart } from '../../../src/records/snapshot-parts.js';
import { processesOf } from '../../../src/triage/host-processes.js';
import { HostReader } from '../../../src/triage/host-reader.js';
import { type MadeHost, madeSource, WEB_HOST } from '../../support/made-host.js';

const dir = mkdtempSync(join(tmpdir(), 'snapshot-'));
afterAll(() => rmSync(dir, { recursive: true }));

interface Asked {
  readonly parts?: readonly OptionalPart[];
  readonly anonymize?: boolean;
  readonly timeoutSeconds?: number;
  readonly pss?: PssChoice;
}

async function recordSnapshot(
  host: MadeHost,
  { parts = [], anonymize = false, timeoutSeconds = 30, pss = 'small' }: Asked = {},
  source = madeSource(host),
) {
  const pieces: Buffer[] = [];
  const snapshot = await takeSnapshot(source, (bytes) => pieces.push(bytes), {
    parts: new Set(parts),
    anonymize,
    pss,
    timeoutSeconds,
    intervalMs: 1000,
    program: 'test 1',
  });
  const archive = Buffer.concat(pieces);
  const files = new Map<string, string>();
  const tar = new TarReader(
    () => 2 ** 26,
    (name, bytes) => files.set(name.replace('kdump-mem-snapshot/', ''), bytes.toString('latin1')),
  );
  const unpacked = gunzipSync(archive);
  tar.push(unpacked);
  tar.end();
  return { snapshot, archive, files, unpacked, asked: source.asked };
}

async function readBack(archive: Buffer): Promise<CapturedHost> {
  const path = join(dir, 'host.tar.gz');
  writeFileSync(path, archive);
  return new CapturedHost(await readCapture(path));
}

describe('a snapshot', () => {
  test('has pools, balloons, devices and removed cgroups that the host names', async () => {
    const node = '/sys/devices/system/node/node0/hugepages/hugepages-2048kB';
    const pool = '/sys/kernel/mm/hugepages/hugepages-2048kB';
    const pools = [
      ...['nr', 'free', 'surplus'].flatMap((name) => [`${node}/${name}`, `${pool}/${name}`]),
      `${pool}/resv`,
    ];
    const files = {
      ...WEB_HOST.files,
      '/proc/meminfo': 'MemTotal: 8000000 kB\nMemFree: 1000 kB\nHugetlb: 204800 kB\nZswap: 65536 kB\n',
      ...Object.fromEntries(pools.map((path) => [`${path}_hugepages`, '100\n'])),
      '/sys/bus/virtio/drivers/virtio_balloon/virtio3/features': `1${'0'.repeat(63)}\n`,
      '/sys/bus/virtio/drivers/virtio_balloon/bind': '',
      '/proc/vmstat': 'balloon_inflate 9000\nballoon_deflate 1000\n',
      '/sys/block/zram0/mm_stat': '800000000 190000000 200000000 0 0 0 0 0 0\n',
      '/proc/spl/kstat/zfs/arcstats': 'size 4 400000000\nc_min 4 100000000\n',
      '/proc/spl/kstat/zfs/abdstats': 'scatter_data_size 4 300000000\nscatter_chunk_waste 4 0\n',
      '/sys/fs/cgroup/cgroup.procs': '1\n',
      '/sys/fs/cgroup/memory.stat': 'anon 0\n',
      '/sys/fs/cgroup/cgroup.stat': 'nr_descendants 3\nnr_dying_descendants 5000\n',
      '/sys/fs/cgroup/a.slice/memory.stat': 'anon 0\n',
      '/sys/fs/cgroup/a.slice/memory.zswap.current': '60000000\n',
      '/sys/fs/cgroup/a.slice/pids.current': '7\n',
      '/sys/fs/cgroup/a.slice/pids.max': '8\n',
    };
    const { archive } = await recordSnapshot({ ...WEB_HOST, files });
    const of = (host: HostSource) => {
      const { named, notRead, perf } = readNamedMemory(host, readHostCounts(host));
      return { named, notRead, perf };
    };
    const live = of(madeSource({ ...WEB_HOST, files }));
    expect(live.notRead).toEqual([]);
    expect(live.named.map(({ kind, name }) => [kind, name])).toEqual([
      ['huge-pages', '2.00 MiB'],
      ['balloon', 'virtio_balloon (virtio)'],
      ['zram', 'zram0'],
      ['zswap', 'zswap'],
      ['zswap', '/a.slice'],
      ['zfs-arc', 'ZFS ARC'],
      ['dying-cgroups', '/'],
    ]);
    const captured = await readBack(archive);
    expect(of(captured)).toEqual(live);
    expect(captured.readText('/sys/fs/cgroup/a.slice/pids.max')).toBe('8\n');
  });

  test('has message queues of other namespaces, and names what a name may be', async () => {
    const line = (id: number, messages: number) =>
      `       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n 7 ${id} 600 ${messages * 100} ${messages} 5 6 0 0 0 0 1 2 3\n`;
    const mount = (id: number, minor: number, point: string) =>
      `${id} 20 0:${minor} / ${point} rw - mqueue mqueue rw\n`;
    const text = 'QSIZE:300        NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n';
    const made: MadeHost = {
      ...WEB_HOST,
      files: {
        ...WEB_HOST.files,
        '/proc/sysvipc/msg': line(1, 2),
        '/proc/self/mountinfo': mount(40, 50, '/dev/mqueue'),
        '/dev/mqueue/a:b\\c\nd': text,
        '/proc/10/mountinfo': mount(60, 70, '/m'),
        '/proc/10/root/m/inside': text,
      },
      links: {
        ...WEB_HOST.links,
        '/proc/self/ns/ipc': 'ipc:[1]',
        '/proc/self/ns/mnt': 'mnt:[2]',
        '/proc/10/ns/ipc': 'ipc:[3]',
        '/proc/10/ns/mnt': 'mnt:[4]',
      },
    };
    const inside = {
      ...madeSource(made),
      readTextIn: (path: string) => (path === '/proc/10/ns/ipc' ? line(9, 8) : ''),
    };
    const { archive, files } = await recordSnapshot(made, {}, inside);
    expect(files.get('ipc-3')).toBe(line(9, 8));
    const missing: string[] = [];
    const of = (host: HostSource) => messageQueues(host, (why) => missing.push(why), true);
    const queues = of(await readBack(archive));
    expect(queues).toEqual(of(inside));
    expect(missing).toEqual([]);
    expect(queues.map(({ name, bytes, inside }) => [name, bytes, inside])).toEqual([
      ['queue 1', 200, undefined],
      ['/dev/mqueue/a:b\\c\nd', 300, undefined],
      ['queue 9', 800, 10],
      ['/m/inside', 300, 10],
    ]);
  });

  test('reads like its host', async () => {
    const { snapshot, archive } = await recordSnapshot(WEB_HOST);
    const host = await readBack(archive);
    expect(host.damage).toEqual([]);
    expect(host.unproved).toBe(false);
    expect(host.samples).toBe(2);
    for (const path of [
      '/proc/meminfo',
      '/proc/sys/kernel/hostname',
      '/proc/self/mountinfo',
      ...['stat', 'comm', 'cgroup', 'schedstat'].map((name) => `/proc/10/${name}`),
    ])
      expect.soft(host.readText(path), path).toBe(WEB_HOST.files[path]);
    const status = WEB_HOST.files['/proc/10/status'] ?? '';
    expect(host.readText('/proc/10/status')).toBe(status.replace(/.*\n/, 'Name:\n'));
    expect(host.readLink('/proc/10/fd/3')).toBe('socket:[601]');
    expect(() => host.readLink('/proc/10/fd/4')).toThrow('not captured');
    expect(snapshot).toMatchObject({
      processes: 1,
      kernelThreads: 2,
      missingProcesses: 0,
      namespaces: 2,
      leftOut: expect.any(Array),
    });
  });

  test('has the lines of processes with memory, and of cgroups, by path', async () => {
    const { files } = await recordSnapshot(WEB_HOST);
    expect(files.get('sample-2/memory')).toBe(
      '/proc/10/smaps_rollup:5500-7fff ---p 00000000 00:00 0  [rollup]\n/proc/10/smaps_rollup:Rss:  4096 kB\n',
    );
    const cgroups = (files.get('cgroups') ?? '').split('\n');
    expect(cgroups).toContain('/sys/fs/cgroup/kubepods.slice/memory.current:4096');
    expect(cgroups).toContain('/sys/fs/cgroup/a\\134x2db.slice/memory.stat:anon 5');
    expect(files.get('slab-attributes')).toBe('/sys/kernel/slab/dentry/object_size:192\n');
    for (const [name, isLast] of [
      ['sample-1/before', false],
      ['sample-2/after', true],
    ] as const) {
      const states = files.get(name) ?? '';
      expect(states).toMatch(/^\/proc\/10\/stat:/m);
      expect(states.includes('/proc/10/limits:Max open files  1024\n'), name).toBe(isLast);
      expect(states.includes('/proc/10/oom_score:666\n'), name).toBe(isLast);
    }
    expect(files.get('log')).toBe(WEB_HOST.log);
    expect(files.get('unknown-tables')).toBe('mptcp\n');
  });

  test('has the kernel command line only on request of arguments, also in the log', async () => {
    const log = '6,1,2,-;Kernel command line: root=/dev/vda1 password=s3cret\n6,2,3,-;x\n';
    const host = { ...WEB_HOST, log };
    const { files } = await recordSnapshot(host);
    expect(files.get('log')).toBe('6,1,2,-;Kernel command line: (left-out)\n6,2,3,-;x\n');
    expect(files.get('left-out')).toContain('arguments');
    expect([...files.values()].join('')).not.toContain('s3cret');
    const whole = await recordSnapshot(host, { parts: ['arguments'] });
    expect(whole.files.get('log')).toBe(log);
  });

  test('reads no mappings of a large process unless requested, and says so', async () => {
    const status = WEB_HOST.files['/proc/10/status'] ?? '';
    const grown = status.replace(/^VmRSS:.*/m, 'VmRSS:\t  524292 kB');
    expect(grown).not.toBe(status);
    const host = { ...WEB_HOST, files: { ...WEB_HOST.files, '/proc/10/status': grown } };
    const { snapshot, files, archive, asked } = await recordSnapshot(host, { parts: ['arguments'] });
    expect(files.get('sample-2/memory')).toBe('');
    expect(files.get('sample-2/arguments')).toContain('/proc/10/cmdline:');
    expect(files.get('errors')).toMatch(/^\/proc\/10\/smaps_rollup\tlarge\t/m);
    expect(snapshot.failureCounts).toMatchObject({ large: 1, unreadable: 0 });
    expect([...asked].join(' ')).not.toContain('smaps_rollup');
    const { processes } = await readProcesses(await readBack(archive), { pss: 'all' });
    expect(processes).toMatchObject([{ pid: 10, sums: null, isLarge: true }]);
    const all = await recordSnapshot(host, { pss: 'all' });
    expect(all.files.get('sample-2/memory')).toContain('/proc/10/smaps_rollup:Rss:  4096 kB\n');
  });

  test('reports unreadable and missing files, and records the rest', async () => {
    const denied = ['/proc/10/smaps_rollup', '/proc/10/stat'];
    const { snapshot, files, archive } = await recordSnapshot({ ...WEB_HOST, denied });
    expect(snapshot.failureCounts).toMatchObject({ denied: 2 });
    for (const path of denied) expect(files.get('errors')).toContain(`${path}\tdenied\t${path}: permission denied\n`);
    expect(files.get('errors')).toMatch(/^\/proc\/buddyinfo\tabsent\t/m);
    const host = await readBack(archive);
    expect(() => host.readText('/proc/10/stat')).toThrow(/denied/);
    expect(host.readText('/proc/10/comm')).toBe('web\nserver\n');
  });

  test('counts a process that exits during the snapshot as exited, with all other states', async () => {
    const files: Record<string, string> = { ...WEB_HOST.files };
    const links: Record<string, string> = { ...WEB_HOST.links };
    for (const file of ['status', 'stat', 'comm']) files[`/proc/11/${file}`] = WEB_HOST.files[`/proc/10/${file}`] ?? '';
    links['/proc/11/ns/net'] = 'net:[4026531840]';
    let answers = 0;
    const duringSs = () => {
      // In the second sample: its namespaces were listed before it exits, its states are read after.
      if (++answers <= 8) return;
      for (const made of [files, links])
        for (const path of Object.keys(made)) if (path.startsWith('/proc/11/')) delete made[path];
    };
    const { files: written, archive } = await recordSnapshot({ ...WEB_HOST, files, links, duringSs });
    expect(written.get('sample-2/namespaces')).toContain('/proc/11/ns/net');
    expect(written.get('sample-2/after')).not.toContain('/proc/11/');
    expect(written.get('errors')).toContain('/proc/11/status\tgone\t');
    const host = await readBack(archive);
    await host.sleep();
    const reader = new HostReader(host, 4096);
    expect(processesOf(reader).map(({ pid }) => pid)).toEqual([10, 2, 3]);
    expect(reader.unread.map(({ why }) => why).filter((why) => why.includes('status'))).toEqual([]);
    expect((await readProcesses(host)).gone).toBe(1);
  });

  test('has the tables of /proc/net without ss', async () => {
    const { ss: _, ...rest } = WEB_HOST;
    const { files } = await recordSnapshot({
      ...rest,
      files: {
        ...rest.files,
        '/proc/self/net/tcp': 'sl local\n',
        '/proc/self/net/unix':
          'Num RefCount Protocol Flags Type St Inode Path\n0000: 00000002 00000000 00010000 0001 01 77 /run/secret.sock\n',
      },
    });
    expect(files.get('sample-1/netns-4026531840/net/tcp')).toBe('sl local\n');
    const unix = files.get('sample-1/netns-4026531840/net/unix');
    expect(unix).toMatch(/ 01 77\n$/);
    expect(files.has('sample-1/netns-4026531840/inet')).toBe(false);
  });

  test('does not wait for a kernel that does not respond', async () => {
    // Of these 3 s, it waits for the 2 s that are left after the second sample.
    const host = { ...WEB_HOST, stuck: ['/proc/10/smaps_rollup'] };
    const { snapshot, files } = await recordSnapshot(host, { timeoutSeconds: 3 });
    expect(files.get('errors')).toContain('/proc/10/smaps_rollup\tunreadable\t');
    expect(snapshot.failureCounts.unreadable).toBe(1);
    expect(files.get('manifest')).toMatch(/\nwhole \d+\n$/);
  });

  test('ends in time with a complete archive, and reports what is missing', async () => {
    const { files, archive, snapshot } = await recordSnapshot({ ...WEB_HOST, readMs: 1000 }, { timeoutSeconds: 5 });
    expect(snapshot).toMatchObject({ processes: 0, kernelThreads: 0, missingProcesses: 3 });
    expect(files.get('errors')).toContain('sample-1/before\tcut\ttimeout after 0 of 3');
    expect(files.get('errors')).toMatch(/^sample-1\/namespaces\tcut\tfrom process \d+ on$/m);
    expect((await readBack(archive)).damage.join()).toContain('ss failed');
  });

  test('reads no table of all sockets in place of ss when its time is over', async () => {
    const host = { ...WEB_HOST, files: { ...WEB_HOST.files, '/proc/self/net/udp': 'sl local\n' }, readMs: 1000 };
    const late = await recordSnapshot(host, { timeoutSeconds: 5 });
    expect(late.asked).not.toContain('/proc/self/net/udp');
    expect(late.files.get('errors')).toMatch(/^sample-1\/netns-\d+\/net\/udp\tunreadable\t.*timeout/m);
    const { ss: _, ...withoutSs } = host;
    const inTime = await recordSnapshot({ ...withoutSs, readMs: 0 }, { timeoutSeconds: 5 });
    expect(inTime.files.get('sample-1/netns-4026531840/net/udp')).toBe('sl local\n');
  });
});

const SECRETS = ['hunter2', 'hunter3', 'hunter4', 'secret.sock', 'secret-app'];

describe('secrets', () => {
  test('are omitted, which is reported', async () => {
    const { unpacked, files, asked } = await recordSnapshot(WEB_HOST);
    for (const secret of SECRETS) expect.soft(unpacked.includes(secret), secret).toBe(false);
    expect(files.get('left-out')).toBe('environment\narguments\nunix-paths\n');
    expect([...asked].filter((path) => /environ|cmdline/.test(path))).toEqual([]);
  });

  test.each([
    ['arguments', 'hunter2'],
    ['unix-paths', 'secret.sock'],
    ['smaps', 'secret-app/bin'],
  ] as const)('in %s are included on request, and no others', async (part, secret) => {
    const { unpacked, files } = await recordSnapshot(WEB_HOST, { parts: [part] });
    expect(unpacked.includes(secret)).toBe(true);
    expect(SECRETS.filter((each) => unpacked.includes(each)).length).toBe(1);
    expect(files.get('asked')).toBe(`${part}\n`);
    expect(files.get('left-out')).not.toContain(part);
  });

  test('in the environment are never read, whatever is requested', async () => {
    const parts = ['arguments', 'unix-paths', 'smaps', 'stacks'] as const;
    const { unpacked, asked, files } = await recordSnapshot(WEB_HOST, { parts });
    expect(unpacked.includes('hunter3')).toBe(false);
    expect(unpacked.includes('hunter4')).toBe(false);
    expect([...asked].filter((path) => path.endsWith('environ'))).toEqual([]);
    expect(files.get('sample-2/arguments')).toBe('/proc/10/cmdline:web --password=hunter2 \n');
    expect(files.get('sample-2/stacks')).toContain('/proc/10/task/10/stack:[<0>] do_epoll_wait');
  });
});

describe('an anonymized snapshot', () => {
  const NAMES = [
    'web\nserver',
    'server',
    'kubepods',
    'pod1234',
    'db1.example',
    'customer',
    'eth7',
    '10.1.2.3',
    '198.51.100.7',
    '2606:4700',
    'a\\134x2db',
    'tenant',
    'called',
    'acme',
    '192.0.2.78',
    '2620:beef',
    'corp',
  ];

  test('contains no names', async () => {
    const whole = await recordSnapshot(WEB_HOST);
    for (const name of NAMES) expect.soft(whole.unpacked.includes(name.split('\n')[0] ?? ''), name).toBe(true);
    const { unpacked, files } = await recordSnapshot(WEB_HOST, { anonymize: true });
    for (const name of NAMES) expect.soft(unpacked.includes(name), name).toBe(false);
    expect(files.has('log')).toBe(false);
    expect(files.get('left-out')).toBe('environment\narguments\nunix-paths\nlog\nnames\n');
  });

  test('replaces equal names alike and by kind, and keeps kernel threads', async () => {
    const { files, archive } = await recordSnapshot(WEB_HOST, { anonymize: true });
    const host = await readBack(archive);
    expect(host.damage).toEqual([]);
    const cgroup = host.readText('/proc/10/cgroup').trim().slice('0::'.length);
    expect(cgroup).toMatch(/^\/g\w+\/g\w+$/);
    expect(files.get('cgroups')).toContain(`/sys/fs/cgroup${cgroup}/memory.stat:anon 3\n`);
    const inet = files.get('sample-1/netns-4026531840/inet') ?? '';
    expect(inet).toContain(`cgroup:${cgroup} `);
    expect(inet).toMatch(/^tcp ESTAB 5 0 10\.0\.0\.1%i\w+:80 240\.0\.0\.1:4321 ino:601 /);
    expect(inet).toMatch(/\[2001:db8::\d\]:443 \[::ffff:10\.0\.0\.1\]:80 ino:602/);
    expect(inet).toMatch(/ino:603 sk:3 cgroup:\/g\w+ v6only:1 <-> skmem:\(r0,rb1,/);
    const sctp = files.get('sample-1/netns-4026531840/others') ?? '';
    expect(sctp).toMatch(/ locals:10\.0\.0\.1,\S+ peers:240\.0\.0\.1,[\da-f:]+\n/);
    expect(files.get('proc/slabinfo')).toContain('\nkmalloc-64(12)  5 64 64 64 1 : tunables');
    expect(host.readText('/proc/2/comm')).toBe('kthreadd\n');
    const shown = /%(i\w+):80/.exec(inet)?.[1];
    expect(host.readText('/proc/3/comm')).toBe(`irq/24-${shown}\n`);
    expect(host.readText('/proc/3/stat')).toContain(`3 (irq/24-${shown}) S 2`);
    const comm = host.readText('/proc/10/comm').trim();
    expect(host.readText('/proc/10/stat')).toContain(`10 (${comm}) S 1 10`);
    expect(host.readText('/proc/sys/kernel/hostname')).toBe('host\n');
  });
});
