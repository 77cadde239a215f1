import { describe, expect, test } from 'vitest';
import { reasonsOf } from '../../src/answers/skcheck/reasons.js';
import { because } from '../../src/answers/skcheck/words.js';
import { isHostError } from '../../src/base/errors.js';
import { observe } from '../../src/host/observe.js';
import { parseInetRow } from '../../src/host/ss/inet.js';
import { diagnose } from '../../src/skcheck/diagnose.js';
import { FakeHost } from '../host/fake-host.js';

const MEMORY = 'skmem:(r1280,rb131072,t0,tb16384,f0,w0,o0,bl0,d0)';
const row = (inode: number, recvQ: number, received: number, sk = 'a', port = 80) =>
  `tcp ESTAB ${recvQ} 0 10.0.0.1:${port} 10.0.0.2:9 ino:${inode} sk:${sk} cgroup:/ <-> ${MEMORY} ts rcvmss:536 bytes_received:${received} lastrcv:4000`;

/** A host whose TCP rows are the first text in the first sample, and then the second. */
function tcpHost(first: string[], last: string[]): FakeHost {
  let calls = 0;
  return new FakeHost((args) => (args.includes('-x') ? '' : (calls++ === 0 ? first : last).join('\n')));
}

describe('TCP', () => {
  test('names a stalled reader with all its holders, and no other', async () => {
    const host = tcpHost([row(500, 100, 300), row(501, 100, 300, 'b')], [row(500, 150, 350), row(501, 100, 900, 'b')]);
    host.addProcess(10, { comm: 'feedd', fds: { 7: 500, 9: 500 } });
    host.addProcess(20, { comm: 'child', fds: { 3: 500, 4: 501 } });
    const found = diagnose(await observe(host, { intervalMs: 2000 }));
    expect(found).toMatchObject({ examined: 2, stalled: 1, undecided: 0, totals: { unread: 150 } });
    expect(found.findings[0]).toMatchObject({
      socket: { inode: 500 },
      holders: [
        { pid: 10, fds: [7, 9] },
        { pid: 20, fds: [3] },
      ],
      processes: [{ comm: 'feedd' }, { comm: 'child' }],
      verdict: { verdict: 'stalled-reader', certainty: 'proved', waitedMs: 6000 },
    });
    expect(found.findings[1]).toMatchObject({ socket: { inode: 501 }, verdict: { verdict: 'reading' } });
  });

  test('a process that spins is named on a host where finding the holders takes longer than the interval', async () => {
    const host = tcpHost([row(500, 100, 300)], [row(500, 100, 300)]);
    host.addProcess(10, { fds: { 7: 500 } });
    host.onRead = (path) => {
      if (path === '/proc/10/fd') host.clock += 3000;
      // It ran for half of the time and waited for a CPU in the other half.
      host.files.set(
        '/proc/10/stat',
        `10 (feedd) R${' 0'.repeat(10)} ${Math.floor(host.clock / 20)} 0${' 0'.repeat(37)}\n`,
      );
      host.files.set('/proc/10/schedstat', `0 ${host.clock * 5e5} 9\n`);
    };
    const [finding] = diagnose(await observe(host, { intervalMs: 2000 })).findings;
    expect(finding?.verdict.verdict).toBe('stalled-reader');
    expect(because(reasonsOf(finding!), null)).toContain('its process spins: it used 50 % of a CPU');
  });

  test('of a capture, the CPU time of a process is divided by the time from its first sample on', async () => {
    const host = tcpHost([row(500, 100, 300)], [row(500, 100, 300)]);
    host.addProcess(10, { comm: 'feedd', fds: { 7: 500 } });
    host.onRead = (path) => {
      if (path === '/proc/10/fd') host.clock += 3000;
      host.files.set(
        '/proc/10/stat',
        `10 (feedd) R${' 0'.repeat(10)} ${Math.floor(host.clock / 20)} 0${' 0'.repeat(37)}\n`,
      );
    };
    const within = async (captured: boolean) =>
      (await observe(host, { intervalMs: 2000, captured })).cpu.get(10)?.withinMs ?? 0;
    const live = await within(false);
    expect(live).toBeLessThan(3000 + 2100);
    expect(await within(true)).toBeGreaterThan(live + 2900);
  });

  test('does not report a socket that was closed and reopened between the samples', async () => {
    const host = tcpHost([row(500, 100, 300, 'a')], [row(500, 100, 300, 'b')]);
    expect(diagnose(await observe(host, { intervalMs: 2000 })).stalled).toBe(0);
  });

  test('does not report a socket that is missing in the second sample', async () => {
    const host = tcpHost([row(500, 100, 300)], []);
    expect(diagnose(await observe(host, { intervalMs: 2000 })).findings).toEqual([]);
  });

  test('finds the holder of a socket that was opened after the scan for holders', async () => {
    const host = tcpHost([row(500, 100, 300)], [row(500, 100, 300), row(501, 100, 100, 'b')]);
    host.addProcess(10, { fds: { 7: 500 } });
    const sleep = host.sleep.bind(host);
    host.sleep = async (ms) => {
      host.addProcess(20, { comm: 'late', fds: { 3: 501 } });
      await sleep(ms);
    };
    const { findings } = diagnose(await observe(host, { intervalMs: 2000 }));
    expect(findings.map(({ socket, holders }) => [socket.inode, holders])).toEqual([
      [500, [{ pid: 10, fds: [7] }]],
      [501, [{ pid: 20, fds: [3] }]],
    ]);
    expect(findings[1]?.processes).toMatchObject([{ comm: 'late' }]);
  });

  test('attributes a socket to its other holder if an owner exits between the samples', async () => {
    const host = tcpHost([row(500, 100, 300)], [row(500, 100, 300)]);
    host.addProcess(10, { fds: { 7: 500 } });
    host.addProcess(20, { comm: 'child', fds: { 3: 500 } });
    const sleep = host.sleep.bind(host);
    host.sleep = async (ms) => {
      host.removeProcess(10);
      await sleep(ms);
    };
    const [finding] = diagnose(await observe(host, { intervalMs: 2000 })).findings;
    expect(finding?.processes.map(({ comm }) => comm)).toEqual(['child']);
  });

  test('distinguishes a connection that is not accepted from one with a hidden owner', async () => {
    const rows = [row(0, 5, 5, 'a'), row(500, 5, 5, 'b')];
    const host = tcpHost(rows, rows);
    host.closed.add('/proc/77/fd');
    const { findings } = diagnose(await observe(host, { intervalMs: 2000 }));
    expect(findings.map(({ ownerless }) => ownerless).sort()).toEqual(['denied', 'unaccepted']);
  });

  test('runs ss twice for three queries, once with interval 0', async () => {
    const host = tcpHost([row(500, 100, 300)], [row(500, 100, 300)]);
    await observe(host, { intervalMs: 2000 });
    expect(host.ssCalls.length).toBe(6);
    const one = tcpHost([row(500, 100, 300)], []);
    const found = diagnose(await observe(one, { intervalMs: 0 }));
    expect(one.ssCalls.length).toBe(3);
    expect(found.findings[0]?.verdict).toMatchObject({ certainty: 'likely', waitedMs: 4000 });
  });

  test('does not search owners of sockets that are not requested', async () => {
    const host = tcpHost([row(500, 100, 300)], [row(500, 100, 300)]);
    host.addProcess(10, { fds: { 7: 500 } });
    const read: string[] = [];
    host.onRead = (path) => read.push(path);
    const others = await observe(host, { intervalMs: 2000, accepts: () => false });
    expect(diagnose(others, { accepts: () => false }).findings).toEqual([]);
    expect(read.filter((path) => path.includes('/fd'))).toEqual([]);
    const all = await observe(host, { intervalMs: 2000, accepts: ({ inode }) => inode === 500 });
    expect(diagnose(all).findings).toMatchObject([{ holders: [{ pid: 10 }] }]);
  });

  test('ignores sockets below min-bytes', async () => {
    const host = tcpHost([row(500, 100, 300)], [row(500, 100, 300)]);
    const observation = await observe(host, { intervalMs: 2000 });
    expect(diagnose(observation, { minBytes: 100 }).stalled).toBe(1);
    expect(diagnose(observation, { minBytes: 101 }).stalled).toBe(0);
  });
});

describe('connections pending at a unix listener', () => {
  const MEMORY = (wmem: number) => `skmem:(r0,rb1,t${wmem},tb1,f0,w0,o0,bl0,d0)`;
  const client = (inode: number, wmem: number) => `u_str ESTAB 0 ${wmem} * ${inode} * 0 ${MEMORY(wmem)} <->`;
  const listener = (...clients: number[]) =>
    `u_str LISTEN ${clients.length} 5 /x 900 * 0 ${MEMORY(0)} <-> ino:7 dev:0/1 peers: ${clients.join(' ')}`;

  /** The process of the listener runs all the time: only its clients can prove anything. */
  const findings = async (before: number[], after: number[], rows: string[] = []) => {
    let calls = 0;
    const host = new FakeHost((args) => {
      if (!args.includes('-x')) return '';
      return [listener(...(calls++ === 0 ? before : after)), ...rows].join('\n');
    });
    host.addProcess(10, { threads: [[10, 'R', 1]], fds: { 3: 900 } });
    host.addProcess(20, { comm: 'client', fds: { 4: 901 } });
    return diagnose(await observe(host, { intervalMs: 2000 })).findings;
  };

  test('prove that it accepts nothing if the same clients wait, and are named', async () => {
    const [finding] = await findings([901, 902], [901, 902, 903], [client(901, 4096)]);
    expect(finding?.verdict).toMatchObject({ verdict: 'never-accepting', certainty: 'proved' });
    expect(finding?.waiting).toMatchObject([
      { inode: 901, holder: { pid: 20, fds: [4] }, process: { comm: 'client' } },
      { inode: 902, holder: null, process: null },
      { inode: 903 },
    ]);
  });

  test.each([
    ['the oldest is gone, so one was accepted', [901, 902], [902, 903]],
    ['the oldest closed its end, so the result is unknown', [0, 902], [902]],
    ['none was pending', [], [901]],
  ])('prove nothing: %s', async (_, before, after) => {
    const found = await findings(before, after);
    expect(found.filter(({ verdict }) => verdict.verdict === 'never-accepting')).toEqual([]);
  });
});

describe('the local peer of a stalled TCP reader', () => {
  const end = (local: string, peer: string, inode: number, queues: string, queued = 0) =>
    `tcp ESTAB ${queues} ${local} ${peer} ino:${inode} sk:${inode} cgroup:/ <-> skmem:(r1280,rb131072,t0,tb16384,f0,w${queued},o0,bl0,d0) ts rcvmss:536 bytes_received:300 bytes_acked:90 lastrcv:4000`;
  const [near, far] = ['127.0.0.1:80', '127.0.0.1:9'];
  const found = async (...rows: string[]) => diagnose(await observed(...rows));
  const observed = async (...rows: string[]) => {
    const host = tcpHost(rows, rows);
    host.addProcess(10, { comm: 'feedd', fds: { 7: 500 } });
    host.addProcess(20, { comm: 'writer', fds: { 3: 501 } });
    return observe(host, { intervalMs: 2000 });
  };

  test('is named with the contents of its send queue, which is counted separately', async () => {
    const { findings, totals } = await found(end(near, far, 500, '100 0'), end(far, near, 501, '0 70000', 80_000));
    const [reader, sender] = findings;
    expect(reader?.localPeer).toMatchObject({
      inode: 501,
      holder: { pid: 20, fds: [3] },
      process: { comm: 'writer' },
      unsent: 70_000,
      charge: 80_000,
    });
    expect(totals.pinned.likely).toBe(reader?.pinned.likely);
    expect(totals.localPeers).toEqual({ sockets: 1, unsent: 70_000, pinned: sender?.pinned });
  });

  test('is not counted separately in a deadlocked pair', async () => {
    const { findings, totals } = await found(
      end(near, far, 500, '100 70000', 80_000),
      end(far, near, 501, '100 70000', 80_000),
    );
    expect(findings.map(({ verdict }) => verdict.verdict)).toEqual(['deadlocked-pair', 'deadlocked-pair']);
    expect(totals.localPeers).toMatchObject({ sockets: 0, unsent: 0 });
  });

  test('in a deadlocked pair may pin more than one of its ends', async () => {
    const seen = await observed(end(near, far, 500, '100 70000', 80_000), end(far, near, 501, '100 70000', 80_000));
    const unplacedMemory = 50_000;
    const { findings, totals } = diagnose({ ...seen, host: { ...seen.host, unplacedMemory } });
    const [one, other] = findings.map(({ pinned }) => pinned.high);
    expect(one).toBeGreaterThan(100_000);
    // Memory in no counter belongs to either of them.
    expect(totals.pinned.high).toBe((one ?? 0) + (other ?? 0) - unplacedMemory);
  });

  test('is reported only with queued data and if both addresses match', async () => {
    for (const other of [end(far, near, 501, '0 0'), end(far, '127.0.0.1:81', 501, '0 5', 9)]) {
      const { findings, totals } = await found(end(near, far, 500, '100 0'), other);
      expect(findings.find(({ socket }) => socket.inode === 500)?.localPeer).toBeNull();
      expect(totals.localPeers.sockets).toBe(0);
    }
  });
});

describe('UDP', () => {
  const udp = (drops: number) =>
    `udp UNCONN 4160 0 10.0.0.1:53 0.0.0.0:* ino:700 sk:9 cgroup:/ <-> skmem:(r4160,rb5000,t0,tb1,f0,w0,o0,bl0,d${drops})`;
  const udpHost = (last: string): FakeHost => {
    let calls = 0;
    const host = new FakeHost((args) => (args.includes('-x') ? '' : calls++ === 0 ? udp(7) : last));
    host.addProcess(10, { fds: { 7: 700 } });
    return host;
  };

  test('names a reader that did not run, with the drops meanwhile', async () => {
    const observation = await observe(udpHost(udp(127)), { intervalMs: 2000 });
    const [finding] = diagnose(observation).findings;
    expect(finding).toMatchObject({
      unread: 4160,
      dropped: 120,
      verdict: { verdict: 'stalled-reader', certainty: 'proved' },
      also: [{ verdict: 'udp-dropping', evidence: { packets: 120 } }],
    });
    expect(because(reasonsOf(finding!), finding!.acceptQueue)).toContain('120 packets dropped between the samples');
  });

  test('a socket that was idle at the first sample counts with its drops since', async () => {
    let calls = 0;
    const idle = udp(0).replaceAll('4160', '0');
    const host = new FakeHost((args) => (args.includes('-x') ? '' : calls++ === 0 ? idle : udp(120)));
    host.addProcess(10, { fds: { 7: 700 } });
    const observation = await observe(host, { intervalMs: 2000 });
    expect(observation.first).toMatchObject({ sockets: [], total: 1 });
    const { dropped, verdict, also } = diagnose(observation).findings[0]!;
    const kept = parseInetRow(idle)!;
    const before = { ...observation, first: { ...observation.first, sockets: [kept], idle: new Set<number>() } };
    expect({ dropped, verdict, also }).toMatchObject({ dropped: 120 });
    expect(diagnose(before).findings[0]).toMatchObject({ dropped, verdict, also });
  });

  test.each(['r1', 'd1', 'f4096', 'o20', 'bl1'])('a socket with %s is not idle', async (figure) => {
    const [name, value] = [figure.replace(/\d+/, ''), figure.replace(/\D+/, '')];
    const row = udp(0)
      .replaceAll('4160', '0')
      .replace(new RegExp(`(?<=[(,])${name}0(?=[,)])`), `${name}${value}`);
    const { first } = await observe(new FakeHost((args) => (args.includes('-x') ? '' : row)), { intervalMs: 0 });
    expect(first.sockets).toMatchObject([{ inode: 700 }]);
    expect(first.idle).toEqual(new Set());
  });

  test('does not count truesize as payload: the lower bound is half of the charge', async () => {
    const [finding] = diagnose(await observe(udpHost(udp(7)), { intervalMs: 2000 })).findings;
    expect(finding?.pinned).toMatchObject({ low: 2080, likely: 4992 });
    expect(finding?.dropped).toBe(0);
  });

  test('reports drops before the first sample as earlier ones', async () => {
    const [finding] = diagnose(await observe(udpHost(udp(7)), { intervalMs: 2000 })).findings;
    expect(finding?.also).toEqual([]);
    expect(because(reasonsOf(finding!), null)).toContain(
      '; 7 packets dropped before the first sample, none in the 2.0 s since',
    );
    const [once] = diagnose(await observe(udpHost(udp(7)), { intervalMs: 0 })).findings;
    expect(because(reasonsOf(once!), null)).toContain('; 7 packets dropped since it was opened, at an unknown time');
  });
});

test('counts truesize of MPTCP alike, and ignores its drops, which it retransmits', async () => {
  const host = new FakeHost();
  let drops = 0;
  Object.defineProperty(host, 'others', {
    get: () =>
      `mptcp ESTAB 5840 0 10.0.0.1:80 10.0.0.2:9 ino:700 sk:9 cgroup:/ <-> skmem:(r5840,rb131072,t0,tb1,f0,w0,o0,bl0,d${drops++})`,
  });
  host.addProcess(10, { fds: { 7: 700 } });
  const [finding] = diagnose(await observe(host, { intervalMs: 2000 })).findings;
  expect(finding).toMatchObject({
    unread: 5840,
    pinned: { low: 2920, likely: 7008 },
    verdict: { verdict: 'stalled-reader' },
    also: [],
  });
});

describe('one process', () => {
  test('has only its own sockets examined', async () => {
    const rows = [row(500, 100, 300, 'a'), row(501, 100, 300, 'b')];
    const host = tcpHost(rows, rows);
    host.addProcess(10, { fds: { 7: 500 } });
    host.addProcess(20, { fds: { 7: 501 } });
    const found = diagnose(await observe(host, { intervalMs: 2000, pid: 20 }));
    expect(found.examined).toBe(1);
    expect(found.findings.map(({ socket }) => socket.inode)).toEqual([501]);
  });

  test.each([
    ['that does not exist', 30, 'no-such-process'],
    ['that we may not read', 77, 'denied'],
  ])('%s is an error', async (_, pid, code) => {
    const host = tcpHost([], []);
    host.addProcess(77, {});
    host.links.delete('/proc/77/fd/0');
    host.closed.add('/proc/77/fd');
    const error = await observe(host, { intervalMs: 0, pid }).catch((each: unknown) => each);
    expect(isHostError(error) && error.code).toBe(code);
  });
});

describe('unix', () => {
  const rows = (recvQ: number) =>
    [
      `u_str ESTAB ${recvQ} 0 /run/feed.sock 600 * 601 skmem:(r0,rb1,t0,tb1,f0,w0,o0,bl0,d0) <->`,
      `u_str ESTAB 0 900 * 601 * 600 skmem:(r0,rb1,t2304,tb1,f0,w0,o0,bl0,d0) <->`,
    ].join('\n');
  const unixHost = (): FakeHost => {
    const host = new FakeHost((args) => (args.includes('-x') ? rows(700) : ''));
    host.addProcess(10, { comm: 'tail', fds: { 7: 600 }, threads: [[10, 'T', 4]] });
    host.addProcess(20, { comm: 'log', fds: { 3: 601 } });
    return host;
  };

  test('charges its memory to its sender', async () => {
    const [finding] = diagnose(await observe(unixHost(), { intervalMs: 2000 })).findings;
    expect(finding?.pinned).toEqual({ low: 1152, likely: 2304, high: 4608, atMost: 4608 });
    expect(finding?.otherEnd).toMatchObject({ inode: 601, holder: { pid: 20, fds: [3] }, process: { comm: 'log' } });
    expect(finding?.verdict).toMatchObject({ verdict: 'stalled-reader', certainty: 'proved' });
    expect(because(reasonsOf(finding!), finding!.acceptQueue)).toMatch(
      /^no process that holds it ran in 1.9 s; stopped \(SIGSTOP\)$/,
    );
  });

  const figures = (sent: number) => `skmem:(r0,rb1,t${sent},tb1,f0,w0,o0,bl0,d0) <->`;
  const pinnedOf = async (...datagrams: string[]) => {
    const host = new FakeHost((args) => (args.includes('-x') ? datagrams.join('\n') : ''));
    host.addProcess(10, { comm: 'tail', fds: { 7: 600 }, threads: [[10, 'T', 4]] });
    const { findings } = diagnose(await observe(host, { intervalMs: 2000 }));
    return findings.find(({ socket }) => socket.inode === 600)?.pinned;
  };

  test('charges datagrams to all connected senders', async () => {
    const pinned = await pinnedOf(
      `u_dgr ESTAB 100 0 /run/feed.sock 600 * 0 ${figures(0)}`,
      `u_dgr ESTAB 0 4608 * 601 * 600 ${figures(4608)}`,
      `u_dgr ESTAB 0 2304 * 602 * 600 ${figures(2304)}`,
      `u_dgr UNCONN 0 9216 * 603 * 0 ${figures(9216)}`,
    );
    // Others may have sent to it, and these may have sent elsewhere: only the next datagram is certain.
    expect(pinned).toMatchObject({ low: 192 + 512, likely: 6912, atMost: null });
  });

  test('has an upper bound for datagrams of a socketpair, where no other socket can send', async () => {
    const pinned = await pinnedOf(
      `u_dgr ESTAB 100 0 * 600 * 601 ${figures(0)}`,
      `u_dgr ESTAB 0 213504 * 601 * 600 ${figures(213_504)}`,
    );
    expect(pinned).toMatchObject({ low: 704, likely: 213_504, atMost: 427_008 });
  });

  test('counts at least the next datagram of unknown senders', async () => {
    const pinned = await pinnedOf(`u_dgr ESTAB 1000 0 /run/feed.sock 600 * 0 ${figures(0)}`);
    expect(pinned).toMatchObject({ low: 192 + 2048, likely: 192 + 2048, atMost: null });
  });

  test('is undecided if both sides ran', async () => {
    const host = unixHost();
    let ticks = 0;
    host.onRead = (path) => {
      if (!path.endsWith('/task/10/status') && !path.endsWith('/task/20/status')) return;
      host.addProcess(path.includes('/10/') ? 10 : 20, { threads: [[path.includes('/10/') ? 10 : 20, 'S', ticks++]] });
    };
    const found = diagnose(await observe(host, { intervalMs: 2000 }));
    expect(found).toMatchObject({ stalled: 0, undecided: 1 });
  });

  test('stays proved if a hidden process was idle, and is likely if it ran', async () => {
    for (const [switches, certainty] of [
      [0, 'proved'],
      [1, 'likely'],
    ] as const) {
      const host = unixHost();
      host.addProcess(77, { threads: [[77, 'S', 1]] });
      host.links.delete('/proc/77/fd/0');
      host.closed.add('/proc/77/fd');
      let count = 1;
      host.onRead = (path) => {
        if (path !== '/proc/77/task/77/status') return;
        count += switches;
        host.addProcess(77, { threads: [[77, 'S', count]] });
        host.links.delete('/proc/77/fd/0');
      };
      const [finding] = diagnose(await observe(host, { intervalMs: 2000 })).findings;
      expect(finding?.verdict.certainty).toBe(certainty);
    }
  });
});
