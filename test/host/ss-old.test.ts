import { describe, expect, test } from 'vitest';
import type { SocketRecord } from '../../src/host/socket.js';
import { InetScan } from '../../src/host/ss/inet.js';
import { RejectedOptions } from '../../src/host/ss/run.js';
import { UnixScan } from '../../src/host/ss/unix.js';

/**
 * The output of ss of iproute2 3.16, 4.11 (CentOS 7), 4.20 (Debian 10) and 6.1 (with -O) for the same sockets
 * on Linux 6.18: `ss -Hnemaitu`, `ss -Hnemax` (3.16 without -H), without the parts of tcp_info that are not read.
 */
const INET: Record<string, string> = {
  '3.16': `Netid  State      Recv-Q Send-Q     Local Address:Port       Peer Address:Port 
udp    UNCONN     0      0                      *:7004                  *:*      ino:7158555 sk:000bb16f <->
	 skmem:(r0,rb212992,t0,tb212992,f0,w0,o0,bl0)
udp    UNCONN     0      0                     :::7005                 :::*      ino:7158557 sk:000bb170 <->
	 skmem:(r0,rb212992,t0,tb212992,f0,w0,o0,bl0)
tcp    LISTEN     1      5                     :::7001                 :::*      ino:7158547 sk:000bb175 <->
	 skmem:(r0,rb131072,t0,tb16384,f0,w0,o0,bl0) bbr cwnd:10 ssthresh:0 unacked:1
tcp    ESTAB      0      0              127.0.0.1:53302         127.0.0.1:7000   ino:7158544 sk:000bb173 <->
	 skmem:(r0,rb131072,t0,tb3939840,f0,w0,o0,bl0) ts sack bbr wscale:10,10 rto:204
tcp    ESTAB      3000   0              127.0.0.1:7000          127.0.0.1:53302  ino:7158545 sk:000bb174 <->
	 skmem:(r3832,rb131072,t0,tb3939840,f264,w0,o0,bl0) ts sack bbr wscale:10,10 rto:204 rcv_space:65483
tcp    ESTAB      100    0                    ::1:7001                ::1:36488  ino:7158551 sk:000bb177 <->
	 skmem:(r932,rb131072,t0,tb3939840,f3164,w0,o0,bl0) ts sack bbr wscale:10,10 rto:204 rcv_space:65464
tcp    ESTAB      2      0       ::ffff:127.0.0.1:7001   ::ffff:127.0.0.1:40284  ino:0 sk:000bb179 <->
	 skmem:(r834,rb131072,t0,tb3939840,f3262,w0,o0,bl0) ts sack bbr wscale:10,10 rto:204 rcv_space:65483
`,
  '4.11': `udp    UNCONN     0      0         *:7004                  *:*                   ino:7158555 sk:bb16f <->
	 skmem:(r0,rb212992,t0,tb212992,f0,w0,o0,bl0,d0)
udp    UNCONN     0      0        :::7005                 :::*                   ino:7158557 sk:bb170 v6only:0 <->
	 skmem:(r0,rb212992,t0,tb212992,f0,w0,o0,bl0,d0)
tcp    LISTEN     1      5        :::7001                 :::*                   ino:7158547 sk:bb175 v6only:0 <->
	 skmem:(r0,rb131072,t0,tb16384,f0,w0,o0,bl0,d0) bbr cwnd:10 unacked:1
tcp    ESTAB      0      0      127.0.0.1:53302              127.0.0.1:7000                ino:7158544 sk:bb173 <->
	 skmem:(r0,rb131072,t0,tb3939840,f0,w0,o0,bl0,d0) ts sack bbr rcvmss:536 bytes_acked:3001 segs_out:3 lastsnd:24 lastrcv:24
tcp    ESTAB      3000   0      127.0.0.1:7000               127.0.0.1:53302               ino:7158545 sk:bb174 <->
	 skmem:(r3832,rb131072,t0,tb3939840,f264,w0,o0,bl0,d0) ts sack bbr rcvmss:3000 bytes_received:3000 segs_out:1 segs_in:3 data_segs_in:1 lastsnd:8 lastrcv:8
tcp    ESTAB      100    0       ::1:7001                ::1:36488               ino:7158551 sk:bb177 <->
	 skmem:(r932,rb131072,t0,tb3939840,f3164,w0,o0,bl0,d0) ts sack bbr rcvmss:536 bytes_received:100 segs_out:1 segs_in:3 data_segs_in:1 lastsnd:8 lastrcv:8
tcp    ESTAB      2      0      ::ffff:127.0.0.1:7001               ::ffff:127.0.0.1:40284               ino:0 sk:bb179 <->
	 skmem:(r834,rb131072,t0,tb3939840,f3262,w0,o0,bl0,d0) ts sack bbr rcvmss:536 bytes_received:2 segs_out:1 segs_in:3 data_segs_in:1 lastsnd:8 lastrcv:8
`,
  '4.20': `udp UNCONN 0       0                   0.0.0.0:7004               0.0.0.0:*      ino:7158555 sk:bb16f <->
	 skmem:(r0,rb212992,t0,tb212992,f0,w0,o0,bl0,d0)     
udp UNCONN 0       0                         *:7005                     *:*      ino:7158557 sk:bb170 v6only:0 <->
	 skmem:(r0,rb212992,t0,tb212992,f0,w0,o0,bl0,d0)
tcp LISTEN 1       5                         *:7001                     *:*      ino:7158547 sk:bb175 v6only:0 <->
	 skmem:(r0,rb131072,t0,tb16384,f0,w0,o0,bl0,d0) bbr cwnd:10 unacked:1
tcp ESTAB  0       0                 127.0.0.1:53302            127.0.0.1:7000   ino:7158544 sk:bb173 <->
	 skmem:(r0,rb131072,t0,tb3939840,f0,w0,o0,bl0,d0) ts sack bbr rcvmss:536 bytes_sent:3000 bytes_acked:3001 segs_out:3 lastsnd:8 lastrcv:8
tcp ESTAB  3000    0                 127.0.0.1:7000             127.0.0.1:53302  ino:7158545 sk:bb174 <->
	 skmem:(r3832,rb131072,t0,tb3939840,f264,w0,o0,bl0,d0) ts sack bbr rcvmss:3000 bytes_received:3000 segs_out:1 segs_in:3 data_segs_in:1 lastsnd:8 lastrcv:8
tcp ESTAB  100     0                     [::1]:7001                 [::1]:36488  ino:7158551 sk:bb177 <->
	 skmem:(r932,rb131072,t0,tb3939840,f3164,w0,o0,bl0,d0) ts sack bbr rcvmss:536 bytes_received:100 segs_out:1 segs_in:3 data_segs_in:1 lastsnd:8 lastrcv:8
tcp ESTAB  2       0        [::ffff:127.0.0.1]:7001    [::ffff:127.0.0.1]:40284  ino:0 sk:bb179 <->
	 skmem:(r834,rb131072,t0,tb3939840,f3262,w0,o0,bl0,d0) ts sack bbr rcvmss:536 bytes_received:2 segs_out:1 segs_in:3 data_segs_in:1 lastsnd:8 lastrcv:8
`,
};
const TODAY = (INET['4.20'] ?? '').replaceAll(/ *\n\t/g, '');

function scan(text: string, piece = Number.POSITIVE_INFINITY) {
  const rows = new InetScan(7);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += piece) rows.push(bytes.subarray(at, at + piece));
  rows.end();
  return rows;
}

describe('an ss without -O', () => {
  const today = scan(TODAY);

  test('of today yields the same sockets as with -O', () => {
    expect(today.sockets.map(({ local }) => local)).toEqual([
      '*:7001',
      '127.0.0.1:7000',
      '[::1]:7001',
      '[::ffff:127.0.0.1]:7001',
    ]);
    // Idle UDP sockets are only counted.
    expect([...today.idle]).toEqual([7158555, 7158557]);
    const { sockets, total, idle } = scan(INET['4.20'] ?? '');
    expect({ sockets, total, idle }).toEqual({ sockets: today.sockets, total: 7, idle: today.idle });
  });

  test.each(Object.keys(INET))('of %s yields every row, wherever its output is split', (version) => {
    for (const piece of [1, 7, 64]) {
      const rows = scan(INET[version] ?? '', piece);
      expect(rows).toMatchObject({ total: 7, unreadable: 0 });
      expect(rows.sockets).toEqual(scan(INET[version] ?? '').sockets);
    }
  });

  test('of 4.11 yields the same addresses in another notation', () => {
    expect(scan(INET['4.11'] ?? '').sockets).toEqual(today.sockets);
  });

  test('of 3.16 does not report received bytes, drops, and dual-stack sockets', () => {
    const less = ({ skmem, local, peer, ...socket }: SocketRecord) => ({
      ...socket,
      local: local.replace('*', '[::]'),
      peer: peer.replace('*:*', '[::]:*'),
      skmem: { ...skmem, drops: null },
      cookie: socket.cookie.padStart(8, '0'),
      tcp: null,
    });
    const { sockets, idle } = scan(INET['3.16'] ?? '');
    // Without drops a UDP socket is not known to be idle.
    expect([...idle]).toEqual([]);
    expect(sockets.slice(0, 2).map(({ protocol, inode }) => [protocol, inode])).toEqual([
      ['UDP', 7158555],
      ['UDP', 7158557],
    ]);
    expect(sockets.slice(2)).toEqual(today.sockets.map(less));
  });

  test('on a kernel that counts no bytes yields null, not 0', () => {
    const [, socket] = scan((INET['4.11'] ?? '').replaceAll(/ (bytes|segs)_\w+:\d+/g, '')).sockets;
    expect(socket?.tcp).toMatchObject({ bytesReceived: null, bytesAcked: null, lastReceivedMs: 8 });
  });
});

describe('unix sockets', () => {
  const UNIX = `Netid  State      Recv-Q Send-Q     Local Address:Port       Peer Address:Port 
u_str  ESTAB      0      6400                   * 7222507                 * 7222508
	 skmem:(r0,rb212992,t6400,tb212992,f0,w0,o0,bl0) <->
u_str  LISTEN     1      3      /run/a 5 b.sock 7222506                 * 0    
	 skmem:(r0,rb212992,t0,tb212992,f0,w0,o0,bl0) <->
u_str  ESTAB      5000   0      /run/a 5 b.sock 7222508                 * 7222507
	 skmem:(r0,rb212992,t0,tb212992,f0,w0,o0,bl0) <->
u_str  LISTEN     0      3          @new
line 7 z 7222510                 * 0    
	 skmem:(r0,rb212992,t0,tb212992,f0,w0,o0,bl0) <->
`;

  test('of 3.16, which prints them on two lines with a heading, are read', () => {
    const rows = new UnixScan(7);
    rows.push(Buffer.from(UNIX));
    const { sockets, total, unreadable } = rows.end();
    expect([total, unreadable]).toEqual([4, 0]);
    expect(sockets.map(({ local, inode, recvQ }) => [local, inode, recvQ])).toEqual([
      ['*', 7_222_507, 0],
      ['/run/a 5 b.sock', 7_222_506, 1],
      ['/run/a 5 b.sock', 7_222_508, 5000],
    ]);
  });
});

describe('an option that ss rejects', () => {
  const ARGS = ['-H', '-O', '-n', '-A', 'packet,vsock_stream,mptcp'];

  test('is left out, one after the other', () => {
    const refusals = new RejectedOptions();
    const learn = (complaint: string) => refusals.learn(complaint, refusals.without(ARGS) ?? []);
    expect(learn("ss: invalid option -- 'O'\nUsage: ss [ OPTIONS ]")).toBe(true);
    expect(learn('ss: "mptcp" is illegal socket table id\nUsage')).toBe(true);
    expect(refusals.without(ARGS)).toEqual(['-H', '-n', '-A', 'packet,vsock_stream']);
    expect(learn('ss: unrecognized option: H\n')).toBe(true);
    expect(learn('ss: "vsock_stream" is illegal socket table id\n')).toBe(true);
    expect(refusals.without(ARGS)).toEqual(['-n', '-A', 'packet']);
    expect(refusals.tablesOf(ARGS)).toEqual(['vsock_stream', 'mptcp']);
    expect(refusals.tablesOf(['-n', '-x'])).toEqual([]);
  });

  test('is no reason to retry if it was not passed or is required', () => {
    const refusals = new RejectedOptions();
    for (const complaint of [
      "ss: invalid option -- 'm'",
      "ss: invalid option -- 'e'",
      'ss: "sctp" is illegal socket table id',
      'Cannot open netlink socket: Operation not permitted',
      '',
    ])
      expect(refusals.learn(complaint, ARGS)).toBe(false);
    expect(refusals.learn("ss: invalid option -- 'O'", ['-H', '-x'])).toBe(false);
  });

  test('leaves nothing to query, so that ss is not called', () => {
    const refusals = new RejectedOptions();
    refusals.learn('ss: "mptcp" is illegal socket table id', ['-A', 'mptcp']);
    expect(refusals.without(['-n', '-A', 'mptcp'])).toBeNull();
  });
});
