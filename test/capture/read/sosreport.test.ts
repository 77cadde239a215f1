import { describe, expect, test } from 'vitest';
import { CapturedFiles } from '../../../src/capture/read/captured-files.js';
import { CapturedHost } from '../../../src/capture/read/host.js';
import { observe } from '../../../src/host/observe.js';
import { diagnose } from '../../../src/skcheck/diagnose.js';

const MEMORY = 'skmem:(r1280,rb131072,t0,tb16384,f0,w0,o0,bl0,d0)';
const INFO = 'ts sack cubic rcvmss:536 bytes_received:5000 lastrcv:62000';

function host(rows: string[]) {
  return new CapturedHost(
    new CapturedFiles([
      ['sos_commands/networking/ss_-peaonmi', `Netid State Recv-Q\n${rows.join('\n')}\n`],
      ['proc/meminfo', 'MemTotal: 1024000 kB\nMemFree: 512000 kB\n'],
      ['sos_commands/kernel/uname_-a', 'Linux db1 5.14.0-1.el9.x86_64 #1 SMP\n'],
      ['hostname', 'db1.example\n'],
    ]),
  );
}
const tcp = (users: string) => [
  `tcp   ESTAB  5000   0    10.0.0.1:80    10.0.0.2:9   ${users} timer:(keepalive,1min,0) ino:500 sk:1 cgroup:/a <->`,
  `\t ${MEMORY} ${INFO}`,
];

describe('a sosreport', () => {
  test('has one sample, with details on a separate line and owners in the row', async () => {
    const captured = host([
      ...tcp('users:(("feedd",pid=10,fd=7),("feedd",pid=11,fd=7))'),
      `u_str ESTAB  0      4352     * 601    * 600 users:(("tail",pid=12,fd=6)) ${MEMORY} <->`,
      `u_str ESTAB  3000   0        * 600    * 601 users:(("tail",pid=12,fd=5)) ${MEMORY} <->`,
      'tcp   TIME-WAIT 0 0 10.0.0.1:80 10.0.0.2:10 timer:(timewait,1sec,0) ino:0 sk:2',
    ]);
    expect([captured.kind, captured.samples]).toEqual(['sosreport', 1]);
    const observation = await observe(captured, { intervalMs: captured.intervalMs });
    expect(observation.host).toMatchObject({ name: 'db1.example', release: '5.14.0-1.el9.x86_64' });
    const { findings, examined } = diagnose(observation);
    expect(examined).toBe(3);
    expect(findings.map(({ socket, holders }) => [socket.inode, holders])).toEqual([
      [
        500,
        [
          { pid: 10, fds: [7] },
          { pid: 11, fds: [7] },
        ],
      ],
      [600, [{ pid: 12, fds: [5] }]],
    ]);
    expect(findings[0]).toMatchObject({
      processes: [{ comm: 'feedd' }, { comm: 'feedd' }],
      verdict: { verdict: 'stalled-reader', certainty: 'likely', waitedMs: 62_000 },
    });
  });

  test('has no sockets without output of ss, not even from /proc/net', async () => {
    const captured = new CapturedHost(
      new CapturedFiles([['proc/meminfo', 'MemTotal: 1024000 kB\nMemFree: 512000 kB\n']]),
    );
    await expect(observe(captured, { intervalMs: 0 })).rejects.toMatchObject({
      code: 'not-a-capture',
      message: 'the capture contains no output of ss',
    });
  });

  test('has limits from its list of sysctls if sockstat is available', async () => {
    const captured = new CapturedHost(
      new CapturedFiles([
        ['sos_commands/networking/ss_-peaonmi', tcp('users:(("a",pid=1,fd=1))').join('\n')],
        ['proc/meminfo', 'MemTotal: 1024000 kB\n'],
        ['proc/net/sockstat', 'TCP: inuse 1 orphan 2 tw 30 alloc 3 mem 4\nUDP: inuse 0 mem 5\n'],
        [
          'sos_commands/kernel/sysctl_-a',
          'kernel.x = y\nnet.core.max_skb_frags = 45\nnet.ipv4.tcp_max_orphans = 100\n' +
            'net.ipv4.tcp_max_tw_buckets = 31\nnet.ipv4.tcp_mem = 9531\t12711\t19062\n',
        ],
      ]),
    );
    const { host } = await observe(captured, { intervalMs: 0 });
    expect(host).toMatchObject({
      maxSkbFrags: 45,
      limits: {
        orphans: { used: 2, limit: 100 },
        timeWait: [{ used: 30, limit: 31 }],
        tcpPages: { used: 4, pressure: 12_711, limit: 19_062 },
        udpPages: null,
      },
    });
  });

  test('assigns a socket correctly, whatever owner or field a name imitates', async () => {
    for (const name of ['x",pid=1,fd=3))', '",pid=1,fd=3),(', '")) ino:1 sk:9 ', '']) {
      const captured = host(tcp(`users:(("${name}",pid=10,fd=7),("b",pid=11,fd=8))`));
      const { findings } = diagnose(await observe(captured, { intervalMs: 0 }));
      expect(findings).toMatchObject([
        {
          socket: { inode: 500 },
          holders: [
            { pid: 10, fds: [7] },
            { pid: 11, fds: [8] },
          ],
        },
      ]);
      expect(findings[0]?.processes.map(({ comm }) => comm)).toEqual([name, 'b']);
    }
  });
});
