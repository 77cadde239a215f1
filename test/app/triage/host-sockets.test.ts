import { beforeEach, describe, expect, test } from 'vitest';
import { findingWords } from '../../../src/answers/triage/words.js';
import { hostSockets } from '../../../src/app/triage/host-sockets.js';
import { HostReader } from '../../../src/triage/host-reader.js';
import { FakeHost } from '../../host/fake-host.js';

const MIB = 2 ** 20;

/** A TCP socket of process 7 with this much unread data; MemTotal is 1,000 MiB. */
function host(unread: number, state = 'ESTAB'): FakeHost {
  const row = `tcp ${state} ${unread} 0 10.0.0.1:80 10.0.0.2:9 ino:5 sk:1 cgroup:/web <-> skmem:(r${unread * 2},rb${unread * 4},t0,tb1,f0,w0,o0,bl0,d0) ts rcvmss:536 bytes_received:${unread} lastrcv:40000`;
  const fake = new FakeHost((args) => (args.includes('-x') ? '' : row));
  fake.files.set('/proc/7/comm', 'worker\n');
  fake.files.set('/proc/7/status', 'Name:\tworker\nTgid:\t7\nNSpid:\t7\n');
  fake.links.set('/proc/7/fd/3', 'socket:[5]');
  fake.links.set('/proc/7/ns/net', 'net:[1]');
  fake.links.set('/proc/self/ns/net', 'net:[1]');
  return fake;
}

async function found(fake: FakeHost, all = true) {
  const reader = new HostReader(fake, 4096);
  return { findings: await hostSockets(reader, all), reader };
}

test('names a process whose sockets pin much memory, with bounds, and its stalled socket', async () => {
  const { findings } = await found(host(60 * MIB));
  expect(findings).toEqual([
    expect.objectContaining({ code: 'queued-data-of-process', next: 'skcheck --pid 7' }),
    expect.objectContaining({ code: 'stalled-reader', severity: 'note' }),
  ]);
  const [pinned, stalled] = findings;
  const figures = pinned?.figures ?? {};
  expect(figures).toMatchObject({ pid: 7, comm: 'worker', sockets: 1, payloadBytes: 60 * MIB });
  const { leastBytes, pinnedBytes, mostBytes } = figures;
  expect(Number(leastBytes)).toBeGreaterThanOrEqual(60 * MIB);
  expect(Number(pinnedBytes)).toBeGreaterThanOrEqual(Number(leastBytes));
  if (mostBytes !== null) expect(Number(mostBytes)).toBeGreaterThanOrEqual(Number(pinnedBytes));
  expect(stalled?.figures).toMatchObject({ pid: 7, fd: 3, unreadBytes: 60 * MIB, ageSeconds: 40 });
});

test('many small queues of one process are one finding, with the data pinned by local peers', async () => {
  const [bytes, count] = [100_000, 40];
  const end = (local: number, peer: number, ino: number, queues: string, skmem: string) =>
    `tcp ESTAB ${queues} 127.0.0.1:${local} 127.0.0.1:${peer} ino:${ino} sk:${ino.toString(16)} <-> skmem:(${skmem}) ts rcvmss:536 bytes_received:${bytes} lastrcv:40000`;
  const rows = Array.from({ length: count }, (_, index) => [
    end(80, 1000 + index, 100 + index, `${bytes} 0`, `r${bytes},rb999999,t0,tb1,f0,w0,o0,bl0,d0`),
    end(1000 + index, 80, 500 + index, `0 ${bytes}`, `r0,rb1,t0,tb999999,f0,w${bytes},o0,bl0,d0`),
  ]).flat();
  const fake = new FakeHost((args) => (args.includes('-t') ? rows.join('\n') : ''));
  for (const [path, text] of host(1).files) fake.files.set(path, text);
  for (const name of ['self', '7']) fake.links.set(`/proc/${name}/ns/net`, 'net:[1]');
  for (let fd = 0; fd < count; fd++) fake.links.set(`/proc/7/fd/${fd}`, `socket:[${100 + fd}]`);
  const { findings } = await found(fake);
  const unread = findings.filter(({ code }) => code === 'unread-sockets');
  expect(unread).toMatchObject([
    {
      severity: 'note',
      figures: { pid: 7, comm: 'worker', sockets: count, unreadBytes: bytes * count, unaccepted: 0 },
      next: 'skcheck --pid 7',
    },
  ]);
  const { pinnedBytes, peersBytes, ageSeconds } = unread[0]?.figures ?? {};
  expect(Number(pinnedBytes)).toBeGreaterThanOrEqual(bytes * count);
  expect(Number(peersBytes)).toBeGreaterThanOrEqual(bytes * count);
  expect(ageSeconds).toBe(40);
  expect(findingWords(unread[0]!)).toMatch(
    /sockets\. They pin about [\d.]+ MiB together with the send queues of their local peers, which only wait\. [\d.]+ [KM]iB of unread data is queued in them\./,
  );
});

test('large connections that a process does not accept are one finding with its listener', async () => {
  const unread = 4 * MIB;
  const rows = Array.from(
    { length: 20 },
    (_, at) =>
      `tcp ESTAB ${unread} 0 10.0.0.1:80 10.0.0.2:${1000 + at} ino:0 sk:${at + 10} cgroup:/web <-> skmem:(r${unread * 2},rb${unread * 4},t0,tb1,f0,w0,o0,bl0,d0) ts rcvmss:536 bytes_received:${unread} lastrcv:40000`,
  );
  const listener =
    'tcp LISTEN 20 128 10.0.0.1:80 0.0.0.0:* ino:5 sk:1 cgroup:/web <-> skmem:(r0,rb1,t0,tb1,f0,w0,o0,bl0,d0)';
  const fake = new FakeHost((args) => (args.includes('-x') ? '' : [listener, ...rows].join('\n')));
  const { files, links } = host(1);
  for (const [path, text] of files) fake.files.set(path, text);
  for (const [path, text] of links) fake.links.set(path, text);
  const { findings } = await found(fake);
  expect(findings.filter(({ code }) => code === 'stalled-reader')).toEqual([]);
  expect(findings.filter(({ code }) => code === 'unread-sockets')).toMatchObject([
    { figures: { pid: 7, comm: 'worker', sockets: 20, unaccepted: 20, unreadBytes: 20 * unread } },
  ]);
});

test('counts the rings of a packet socket in full, even if its queue is empty', async () => {
  const row =
    'p_raw UNCONN 0 0 *:eth7 * ino:900 sk:9 ver:0 flags( 0 ) ring_rx(blk_size:1048576,blk_nr:60,frm_size:2048,frm_nr:30720,tmo:0,features:0x0) ring_tx(blk_size:1048576,blk_nr:10,frm_size:2048,frm_nr:5120) skmem:(r0,rb1,t0,tb1,f0,w0,o0,bl0,d0)\n';
  const fake = new FakeHost();
  fake.others = row;
  for (const [path, text] of host(1).files) fake.files.set(path, text);
  for (const name of ['self', '7']) fake.links.set(`/proc/${name}/ns/net`, 'net:[1]');
  fake.links.set('/proc/7/fd/4', 'socket:[900]');
  const { findings } = await found(fake);
  expect(findings).toMatchObject([
    {
      code: 'queued-data-of-process',
      severity: 'warning',
      figures: { pid: 7, sockets: 1, ringBytes: 70 * MIB, leastBytes: 70 * MIB, share: 0.07 },
    },
  ]);
});

test('a ring with a figure of more than 32 bits is not read', async () => {
  const fake = new FakeHost();
  fake.others = `p_raw UNCONN 0 0 *:eth7 * ino:900 sk:9 ring_rx(blk_size:${2 ** 32},blk_nr:60,frm_size:2048) skmem:(r0,rb1,t0,tb1,f0,w0,o0,bl0,d0)\n`;
  for (const [path, text] of host(1).files) fake.files.set(path, text);
  fake.links.set('/proc/self/ns/net', 'net:[1]');
  const { findings, reader } = await found(fake);
  expect(findings).toEqual([]);
  expect(reader.unread.map(({ why }) => why)).toEqual(['socket data has missing or malformed lines (1)']);
});

test('sockets that pin little memory are no finding', async () => {
  expect((await found(host(100))).findings).toEqual([]);
});

test('connected sockets of AF_VSOCK, whose queues ss does not report, are not read', async () => {
  const rows = (state: string) => `v_str ${state} 0 0 *:1910434259 1:5000\n`;
  const missed = async (text: string) => {
    const fake = new FakeHost(() => '');
    fake.others = text;
    fake.links.set('/proc/self/ns/net', 'net:[1]');
    const { reader } = await found(fake);
    return reader.unread.map(({ why }) => why);
  };
  expect(await missed(rows('LISTEN'))).toEqual([]);
  expect(await missed(`${rows('ESTAB')}${rows('ESTAB')}`)).toEqual([
    'ss does not report the queues of connected sockets of AF_VSOCK (2)',
  ]);
});

test('lists unreadable data, and does not count the check as made', async () => {
  const closed = host(100);
  closed.closed.add('/proc/7/fd');
  const { reader } = await found(closed);
  expect(reader.unread.map(({ check, hides, why }) => [check, hides, why])).toContainEqual([
    'sockets',
    // Those of others were checked, and may be findings.
    'unread sockets of some processes',
    'descriptors of pid 7: permission denied',
  ]);
  expect(reader.checked).not.toContain('sockets');
  const { reader: own } = await found(host(100), false);
  expect(own.unread.map(({ why }) => why)).toContain('other network namespaces are not readable: permission denied');
});

describe('sockets that ss does not list', () => {
  const row = (inode: number) =>
    `tcp ESTAB 0 0 10.0.0.1:80 10.0.0.2:9 ino:${inode} sk:1 cgroup:/web ino:7 <-> skmem:(r0,rb9,t0,tb1,f0,w0,o0,bl0,d0)`;
  const COUNT = 600;
  /** Pages that TCP is charged. */
  let charge: number;
  beforeEach(() => {
    charge = 90_000;
  });
  /** Process 7 has sockets 1000 to 1599, and as many that ss lists. @param onSs called before each run of ss */
  function unlisted(onSs: (args: readonly string[], fake: FakeHost) => string | undefined = () => undefined) {
    const listed = Array.from({ length: COUNT }, (_, index) => row(5000 + index)).join('\n');
    const fake = new FakeHost((args) => (args.includes('-t') ? listed : ''));
    const ss = fake.ss.bind(fake);
    Object.assign(fake, {
      file: () => undefined,
      ss: async (...[args, netns, onBytes]: Parameters<FakeHost['ss']>) => {
        const text = onSs(args, fake);
        fake.ssCalls.push([...args]);
        if (text === undefined) return ss(args, netns, onBytes);
        onBytes(Buffer.from(text));
        return [];
      },
    });
    for (const [path, text] of host(1).files) fake.files.set(path, text);
    fake.files.set('/proc/net/sockstat', `TCP: inuse 1 orphan 0 tw 0 alloc 2 mem ${charge}\nUDP: inuse 1 mem 1\n`);
    for (const name of ['self', '7']) fake.links.set(`/proc/${name}/ns/net`, 'net:[1]');
    for (let index = 0; index < COUNT; index++) {
      fake.links.set(`/proc/7/fd/${index}`, `socket:[${1000 + index}]`);
      fake.links.set(`/proc/7/fd/${COUNT + index}`, `socket:[${5000 + index}]`);
    }
    return fake;
  }
  const codes = async (fake: FakeHost) => {
    const { findings, reader } = await found(fake);
    return { findings: findings.filter(({ code }) => code === 'unlisted-sockets'), reader };
  };

  test('count, owner, and the data that no listed socket is charged', async () => {
    const { findings } = await codes(unlisted());
    const most = 90_001 * 4096;
    expect(findings).toMatchObject([
      {
        severity: 'warning',
        figures: { pid: 7, comm: 'worker', sockets: COUNT, allSockets: COUNT, queuedMostBytes: most },
        next: 'procs --pid 7 --fds',
      },
    ]);
    expect(findings[0]?.figures.queuedBytes).toBe(most - COUNT * 4096 - 2 * MIB);
    expect(findingWords(findings[0]!)).toMatch(
      /^Sockets that ss does not list: pid 7 \(worker\) has 600 of its 1200 sockets open\b.* at least 347 MiB and at most about 352 MiB in the 600 such/s,
    );
  });

  test.each<[name: string, change: Parameters<typeof unlisted>[0]]>([
    [
      'a later listing has them',
      (args, fake) => {
        const runs = fake.ssCalls.filter((one) => one.includes('-t')).length;
        return args.includes('-t') && runs > 1
          ? Array.from({ length: COUNT }, (_, at) => row(1000 + at)).join('\n')
          : undefined;
      },
    ],
    [
      'ss lists them in a rare table',
      (args) =>
        args.some((arg) => arg.startsWith('xdp'))
          ? Array.from({ length: COUNT }, (_, at) => `xdp UNCONN 0 0 lo:q0 * uid:0 ino:${1000 + at} sk:1`).join('\n')
          : undefined,
    ],
    ['a row of ss is malformed', (args) => (args.includes('-t') ? `${row(9)}\ntcp ESTAB 0` : undefined)],
  ])('none: %s', async (_, change) => {
    expect((await codes(unlisted(change))).findings).toEqual([]);
  });

  test('a second listing with a malformed row is reported, and does not count as one without them', async () => {
    const runs = (fake: FakeHost) => fake.ssCalls.filter((one) => one.includes('-t')).length;
    const { findings, reader } = await codes(
      unlisted((args, fake) => (args.includes('-t') && runs(fake) > 0 ? `${row(9)}\ntcp ESTAB 0` : undefined)),
    );
    expect(findings).toEqual([]);
    expect(reader.unread).toMatchObject([
      { check: 'sockets', code: 'unreadable', why: 'the second listing of sockets is not complete' },
    ]);
    expect(reader.checked).not.toContain('sockets');
  });

  test('a second listing without any socket is reported, beside sockets that the kernel counts', async () => {
    const runs = (fake: FakeHost) => fake.ssCalls.filter((one) => one.includes('-t')).length;
    const { findings, reader } = await codes(
      unlisted((args, fake) => {
        if (!args.includes('-t')) return undefined;
        fake.files.set('/proc/self/net/sockstat', 'TCP: inuse 2 orphan 0 tw 0 alloc 2 mem 1\n');
        return runs(fake) > 0 ? '' : row(9);
      }),
    );
    expect(findings).toEqual([]);
    expect(reader.unread).toMatchObject([{ check: 'sockets', why: 'the second listing of sockets is not complete' }]);
  });

  test('sockets of AF_VSOCK, whose rows have no inode, may be some of them', async () => {
    const vsocks = (count: number) =>
      codes(
        unlisted((args) =>
          args.some((arg) => arg.includes('vsock_stream')) ? 'v_str UNCONN 0 0 *:* *:*\n'.repeat(count) : undefined,
        ),
      );
    // The charge is large: then their number does not matter.
    const { findings } = await vsocks(101);
    expect(findings).toMatchObject([{ severity: 'warning', figures: { sockets: COUNT, vsockSockets: 101 } }]);
    expect(findingWords(findings[0]!)).toContain('Up to 101 may be sockets of AF_VSOCK');
    charge = 0;
    expect((await vsocks(100)).findings).toMatchObject([
      { severity: 'note', figures: { sockets: COUNT, vsockSockets: 100 } },
    ]);
    expect((await vsocks(101)).findings).toEqual([]);
  });

  test('the data is unknown without its counters', async () => {
    const fake = unlisted();
    fake.files.set('/proc/net/sockstat', 'TCP: inuse 1 orphan 0\n');
    const { findings, reader } = await codes(fake);
    expect(findings).toMatchObject([{ severity: 'note', figures: { queuedMostBytes: null } }]);
    // Sockets of other programs, too few for a finding, may hold much.
    expect(reader.unread).toMatchObject([{ check: 'sockets', why: '/proc/net/sockstat is not readable' }]);
    expect(reader.checked).not.toContain('sockets');
  });
});
