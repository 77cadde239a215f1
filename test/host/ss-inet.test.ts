import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SocketRecord } from '../../src/host/socket.js';
import { InetScan, parseInetRow } from '../../src/host/ss/inet.js';

const lines = readFileSync(new URL('../../fixtures/host/inet.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '');

function find(recvQ: number, protocol: SocketRecord['protocol'] = 'TCP'): SocketRecord {
  const found = lines
    .map((line) => parseInetRow(line))
    .filter((row) => row?.recvQ === recvQ && row.protocol === protocol);
  expect(found.length).toBeGreaterThan(0);
  return found[0] as SocketRecord;
}

describe('rows of a real ss', () => {
  test('are one socket per line', () => {
    expect(lines.length).toBe(24);
    expect(lines.map((line) => parseInetRow(line))).not.toContain(null);
  });

  test('have all figures of an established socket with unread data', () => {
    expect(find(118_336)).toMatchObject({
      family: 'AF_INET',
      type: 'SOCK_STREAM',
      state: 'ESTABLISHED',
      local: '127.0.0.1:45709',
      peer: '127.0.0.1:48298',
      inode: 55_275,
      cookie: '71',
      cgroup: '/',
      skmem: { rmem: 119_168, rcvbuf: 131_072, sndbuf: 3_939_840, forward: 3712, drops: 2 },
      tcp: { bytesReceived: 118_336, outOfOrder: 0 },
    });
  });

  test('count the FIN of a half-closed socket in both figures', () => {
    const row = find(101);
    expect(row.state).toBe('CLOSE-WAIT');
    expect(row.tcp?.bytesReceived).toBe(101);
  });

  test('have no inode for a connection that is not accepted', () => {
    expect(find(5)).toMatchObject({ inode: 0, state: 'ESTABLISHED', cookie: '72' });
  });

  test('keep the zone of an IPv6 address', () => {
    expect(find(40)).toMatchObject({ family: 'AF_INET6', local: '[fe80::5]%lo:46113', peer: '[fe80::5]:59308' });
  });

  test('exclude v6only from the cgroup, and recognize a wildcard as IPv6', () => {
    const wildcard = lines.map((line) => parseInetRow(line)).find((row) => row?.local === '*:40541');
    expect(wildcard).toMatchObject({ family: 'AF_INET6', cgroup: '/', state: 'LISTEN', tcp: null });
  });

  test('have truesize in Recv-Q, and no TCP figures, for UDP', () => {
    expect(find(4160, 'UDP')).toMatchObject({ type: 'SOCK_DGRAM', state: 'UNCONN', skmem: { rmem: 4160 }, tcp: null });
  });
});

describe('hostile rows', () => {
  const row = (cgroup: string) =>
    `tcp ESTAB 10 0 10.0.0.1:80 10.0.0.2:9 uid:1000 ino:77 sk:1f cgroup:${cgroup} <-> skmem:(r1280,rb2,t0,tb4,f5,w6,o7,bl8,d9) ts rcvmss:536 bytes_received:10 lastrcv:4000 data_segs_in:1`;

  test('cannot add figures by the name of a cgroup', () => {
    const cgroup = '/a ino:1 sk:2 <-> skmem:(r9,rb9,t9,tb9,f9,w9,o9,bl9,d9) bytes_received:5';
    expect(parseInetRow(row(cgroup))).toMatchObject({
      cgroup,
      inode: 77,
      cookie: '1f',
      skmem: { rmem: 1280, backlog: 8, drops: 9 },
      tcp: { bytesReceived: 10, lastReceivedMs: 4000 },
    });
  });

  test('have the same other values for any cgroup', () => {
    const plain = parseInetRow(row('/'));
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('/', ' ', 'ino:', 'sk:', 'skmem:(r1', '<->', ':', '7', ')') }),
        (name) => {
          expect({ ...parseInetRow(row(`/${name}`)), cgroup: '/' }).toEqual(plain);
        },
      ),
    );
  });

  test('never make the parser throw or return an invalid count', () => {
    const pieces = [
      'tcp ',
      'ESTAB ',
      '12 ',
      '1.1.1.1:1 ',
      ' ino:',
      '99999999999999999999',
      ' skmem:(r',
      '\u001b[2J',
      ' <-> ',
    ];
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string({ unit: fc.constantFrom(...pieces) }),
          fc.constantFrom(...lines).chain((line) => fc.nat(line.length).map((end) => line.slice(0, end))),
        ),
        (line) => {
          const parsed = parseInetRow(line);
          if (!parsed) return;
          for (const figure of [parsed.recvQ, parsed.sendQ, parsed.inode])
            expect(Number.isSafeInteger(figure) && figure >= 0).toBe(true);
        },
      ),
    );
  });

  test.each([
    ['too large a queue', 'tcp ESTAB 99999999999999999999 0 1.1.1.1:1 1.1.1.1:2 ino:1 sk:1'],
    ['a queue of 2^32 bytes', 'tcp ESTAB 0 4294967296 1.1.1.1:1 1.1.1.1:2 ino:1 sk:1'],
    ['a unix row', 'u_str ESTAB 0 0 * 1 * 2 skmem:(r0,rb0,t0,tb0,f0,w0,o0,bl0,d0) <->'],
    ['a truncated address', 'tcp ESTAB 0 0 1.1.1.1:1 1.1.1'],
  ])('are refused: %s', (_, line) => {
    expect(parseInetRow(line)).toBeNull();
  });
});

test('have null memory figures, not zero, if ss fell back to /proc', () => {
  expect(parseInetRow('tcp ESTAB 9 0 1.1.1.1:1 1.1.1.1:2 ino:5 sk:1')).toMatchObject({
    recvQ: 9,
    skmem: null,
    tcp: null,
    cgroup: null,
  });
});

test.each([
  [4294967295, { rmem: 4294967295 }],
  [4294967296, null],
])('have no memory figures if one is more than the kernel has room for: %d', (rmem, skmem) => {
  const figures = `skmem:(r${rmem},rb2,t0,tb4,f5,w6,o7,bl8,d9)`;
  const row = parseInetRow(`tcp ESTAB 9 0 1.1.1.1:1 1.1.1.1:2 ino:5 sk:1 <-> ${figures}`);
  expect([row]).toMatchObject([{ recvQ: 9, skmem }]);
});

test('an idle row of UDP is known from its bytes exactly when all its figures are zero', () => {
  const figure = fc.constantFrom(0, 0, 0, 0, 0, 0, 3);
  const row = fc.record({ r: figure, t: figure, f: figure, w: figure, o: figure, bl: figure, d: figure, q: figure });
  fc.assert(
    fc.property(fc.array(row, { maxLength: 8 }), fc.constantFrom('', ' ', '  '), (rows, blanks) => {
      const scan = new InetScan(7, () => undefined);
      const text = rows.map(
        ({ r, t, f, w, o, bl, d, q }, at) =>
          `udp UNCONN ${q}  0 10.0.0.1:53 0.0.0.0:* ino:${at + 1} sk:9 cgroup:/a(b <-> skmem:(r${r},rb9,t${t},tb9,f${f},w${w},o${o},bl${bl},d${d})${blanks}\n`,
      );
      scan.push(Buffer.from(rows.length === 0 ? '' : text.join('')));
      scan.end();
      const idle = rows.flatMap((figures, at) => (Object.values(figures).every((one) => one === 0) ? [at + 1] : []));
      expect([...scan.idle]).toEqual(idle);
      expect(scan.sockets.map(({ inode }) => inode)).toEqual(
        rows.map((_, at) => at + 1).filter((inode) => !idle.includes(inode)),
      );
      expect(scan.total).toBe(rows.length);
    }),
  );
});
