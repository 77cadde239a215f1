import { describe, expect, test } from 'vitest';
import { HostError } from '../../../src/base/errors.js';
import { observe } from '../../../src/host/observe.js';
import { parseNetlinkTable } from '../../../src/host/proc/net-tables.js';
import { INET_TABLES, parseInetTableRow } from '../../../src/host/procnet/read.js';
import { diagnose } from '../../../src/skcheck/diagnose.js';
import { FakeHost } from '../fake-host.js';

const tcp = (local: string, peer: string, state: string, queues: string, inode: number) =>
  `   1: ${local} ${peer} ${state} ${queues} 00:00000000 00000000     0        0 ${inode} 1 00000000f2a1b3c4 20 4 30 10 -1`;
const [TCP, TCP6, UDP] = ['tcp', 'tcp6', 'udp'].map((file) => INET_TABLES.find((table) => table.file === file));

describe('/proc/net/tcp', () => {
  test('parses a row', () => {
    const row = tcp('0100007F:1F90', '0200000A:9C40', '01', '00000010:00001388', 55);
    expect(parseInetTableRow(row, TCP!, 7)).toMatchObject({
      family: 'AF_INET',
      protocol: 'TCP',
      state: 'ESTABLISHED',
      local: '127.0.0.1:8080',
      peer: '10.0.0.2:40000',
      recvQ: 5000,
      sendQ: 16,
      inode: 55,
      netns: 7,
      skmem: null,
      tcp: null,
    });
  });

  test.each([
    ['00000000000000000000000001000000:0050', '[::1]:80'],
    ['0000000000000000FFFF00000100007F:0050', '[::ffff:127.0.0.1]:80'],
    ['B80D01200000000067452301EFCDAB89:0050', '[2001:db8::123:4567:89ab:cdef]:80'],
    ['000080FE00000000FF005450B6AD1DFE:0050', '[fe80::5054:ff:fe1d:adb6]:80'],
    ['00000000000000000000000000000000:0050', '*:80'],
  ])('formats the address %s as %s', (text, address) => {
    const row = tcp(text, '00000000000000000000000000000000:0000', '0A', '00000000:00000000', 5);
    expect(parseInetTableRow(row, TCP6!, null)?.local).toBe(address);
  });

  test('skips headings, truncated rows and TIME-WAIT', () => {
    const row = tcp('0100007F:1F90', '0200000A:9C40', '06', '00000000:00000000', 0);
    for (const text of ['  sl  local_address rem_address   st', row, row.slice(0, 60), ''])
      expect(parseInetTableRow(text, TCP!, null)).toBeNull();
  });

  test('reads the drops of UDP', () => {
    const row = `${tcp('00000000:0035', '00000000:0000', '07', '00000000:00001040', 9).slice(0, -14)} 2 0000000012345678 127`;
    expect(parseInetTableRow(row, UDP!, null)).toMatchObject({
      state: 'UNCONN',
      recvQ: 4160,
      skmem: { rmem: 4160, drops: 127 },
    });
  });
});

test('reads /proc/net/netlink: sockets of processes, not the kernel ends', () => {
  const rows = parseNetlinkTable(
    [
      'sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode',
      '00000000f27ccb85 0   15733      00000001 1280     0        0     2        3        979436',
      '00000000900beb12 0   0          00000000 0        0        0     2        0        4',
    ].join('\n'),
    1,
  );
  expect(rows).toMatchObject([{ local: 'route:15733', recvQ: 1280, inode: 979_436, skmem: { drops: 3 } }]);
});

describe('without ss', () => {
  function host() {
    const fake = new FakeHost();
    fake.ss = async () => {
      throw new HostError('ss-missing', 'ss is not installed');
    };
    fake.links.set('/proc/self/ns/net', 'net:[1]');
    fake.files.set(
      '/proc/self/net/tcp',
      [
        '  sl  local_address',
        tcp('0100007F:1F90', '0100007F:9C40', '01', '00000000:00001388', 55),
        tcp('0100007F:1F91', '00000000:0000', '0A', '00000000:00000002', 56),
      ].join('\n'),
    );
    fake.addProcess(10, { fds: { 7: 55, 8: 56 } });
    return fake;
  }

  test('finds a stalled reader from /proc/net alone', async () => {
    const observation = await observe(host(), { intervalMs: 2000, reader: 'auto' });
    expect(observation.reader).toBe('procfs');
    const { findings } = diagnose(observation);
    // Not the listener: its limit is unknown, so it cannot be called full.
    expect(findings).toMatchObject([
      { socket: { inode: 55 }, verdict: { verdict: 'stalled-reader', evidence: { kind: 'did-not-run' } } },
    ]);
  });

  test('cannot judge a reader that ran', async () => {
    const fake = host();
    let switches = 1;
    fake.onRead = (path) => {
      if (path !== '/proc/10/task/10/status') return;
      fake.addProcess(10, { fds: { 7: 55 }, threads: [[10, 'S', switches++]] });
    };
    const { findings } = diagnose(await observe(fake, { intervalMs: 2000, reader: 'auto' }));
    expect(findings[0]?.verdict).toMatchObject({ verdict: 'undecided' });
  });

  test('fails unless /proc/net was requested', async () => {
    await expect(observe(host(), { intervalMs: 0 })).rejects.toThrow('ss is not installed');
  });
});
