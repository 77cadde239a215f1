import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { SocketAccountant } from '../../../src/account/socket.js';
import { accountAll } from '../../../src/account/sockets.js';
import { Tally } from '../../../src/account/tally.js';
import { socketsJson } from '../../../src/answers/sockets/json.js';
import { jsonOf } from '../../../src/base/util.js';
import { type SocketsJson, socketsSchema } from '../../../src/contracts/sockets.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { StructReader } from '../../../src/walk/struct-reader.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { type Damage, memoryOf } from '../../support/damaged-kernel.js';
import { drgnJson } from '../../support/drgn.js';
import { LAB, LabMissing } from '../../support/lab.js';

/** The guest program's report of one of its sockets; the figures depend on the role. */
type Role = { readonly role: string; readonly pid: number; readonly fd: number } & Readonly<
  Record<string, number | string>
>;

interface Pages {
  readonly orders: Readonly<Record<string, number>>;
  readonly bytes: number;
}
interface Skbs {
  readonly skbs: number;
  readonly bytes: number;
}

/** Messages of sockmap: skbs in them, and pages outside skbs. */
interface Messages {
  readonly skbs: number;
  readonly bytes: number;
  readonly orders: Readonly<Record<string, number>>;
}

/** drgn's view of a descriptor; see families.py. */
interface Drgn {
  readonly rxRing?: Pages;
  readonly txRing?: Pages;
  readonly reader?: Skbs;
  readonly outOfOrder?: Skbs;
  readonly retransmit?: Pages;
  readonly subflows?: readonly string[];
  readonly tlsReceive?: Skbs;
  readonly tlsOpen?: boolean;
  readonly slots?: Readonly<Record<string, number>>;
  readonly ingressMessages?: Messages;
  readonly cork?: Messages;
  readonly backlog?: Skbs & { readonly charged: number };
  readonly subflowBacklog?: Skbs;
  readonly ingressPart?: Skbs;
  readonly sctpSend?: { readonly charged: number; readonly waiting: number; readonly chunkBytes: number };
  readonly umem?: { readonly orders: Readonly<Record<string, number>>; readonly count: number };
}

describe.each(['6.1', 'newest'] as const)('sockets of rare address families on %s', (version) => {
  const folder = join(LAB, 'dumps', `${version}-families`);
  let roles: readonly Role[] = [];
  let answer: SocketsJson;
  let drgn: Readonly<Record<string, Drgn>> = {};

  beforeAll(() => {
    try {
      roles = JSON.parse(readFileSync(join(folder, 'truth.json'), 'utf8')).roles;
    } catch {
      throw new LabMissing(folder, `dump ${version}-families`);
    }
    const core = join(folder, 'elf.vmcore');
    const kernel = openNative({ files: [core] });
    const all = accountAll(kernel, { by: 'process' });
    answer = jsonOf(socketsJson(all, all.sockets));
    socketsSchema.parse(answer);
    kernel.close();
    const script = new URL('families.py', import.meta.url);
    drgn = drgnJson(core, version, script, String(roles[0]?.pid));
  });

  const said = (name: string): Role => {
    const role = roles.find((one) => one.role === name);
    if (!role) throw new Error(`the guest had no ${name}`);
    return role;
  };
  const ours = (name: string) => {
    const { pid, fd } = said(name);
    const found = answer.sockets.find(({ holders }) =>
      holders.some((holder) => holder.pid === pid && holder.fd === fd),
    );
    if (!found) throw new Error(`no socket behind fd ${fd}, ${name}`);
    return found;
  };
  const theirs = (name: string): Drgn => drgn[String(said(name).fd)] ?? {};
  /** Sum of what these socks hold. */
  const tallyOf = (socks: readonly bigint[]): Tally => {
    const kernel = openNative({ files: [join(folder, 'elf.vmcore')] });
    const accountant = new SocketAccountant(kernel);
    const sum = new Tally(kernel.facts.pageSize, new Warnings());
    for (const sock of socks) {
      const socket = { file: 0n, sock, fileReferences: 0, inode: 0 };
      accountant.account(socket, { warnings: new Warnings(), sums: [sum] });
    }
    kernel.close();
    return sum;
  };
  const orders = (figures: { orders: Readonly<Record<string, number>> } | undefined) =>
    Object.fromEntries(Object.entries(figures?.orders ?? {}).filter(([, pages]) => pages > 0));

  test('everything is read', () => {
    expect(answer.warnings).toEqual([]);
    expect(answer.totals.complete).toBe(true);
  });

  test('fragments shared by two sockets count once, as shared', () => {
    const multicast = [ours('multicast-first'), ours('multicast-second')];
    const slots = multicast.map(
      (_, index) => new Map(Object.entries(theirs(`multicast-${['first', 'second'][index]}`).slots ?? {})),
    );
    const sum = (all: ReadonlyMap<string, number>) => [...all.values()].reduce((a, b) => a + b, 0);
    for (const [index, { total, exclusiveBytes, sharedBytes }] of multicast.entries()) {
      const own = slots[index] ?? new Map();
      const other = slots[1 - index] ?? new Map();
      const alone = new Map([...own].filter(([address]) => !other.has(address)));
      expect(total.skbs).toBeGreaterThanOrEqual(6);
      expect(total.slabBytes).toBe(sum(own));
      expect(alone.size).toBe(total.skbs);
      expect({ exclusiveBytes, sharedBytes }).toEqual({
        exclusiveBytes: sum(alone),
        sharedBytes: sum(own) - sum(alone),
      });
      expect(sharedBytes).toBeGreaterThan(30 * exclusiveBytes);
    }
    // All that the two hold is freed with both.
    const tally = tallyOf(multicast.map(({ socket }) => BigInt(socket.sock)));
    const distinct = sum(new Map([...(slots[0] ?? []), ...(slots[1] ?? [])]));
    expect(tally.figures()).toMatchObject({ slabBytes: distinct, pinnedBytes: distinct });
    expect(tally.ownership()).toEqual({ exclusiveBytes: distinct, sharedBytes: 0 });
  });

  // On the newest kernel slabs have red zones, also before each object.
  test('skbs whose clone was freed belong to the socket alone', () => {
    // The sender still holds other halves of the queued ones.
    const port = /:911[45]$/;
    const tcp = answer.sockets.filter(
      ({ socket: { protocol, local, peer } }) =>
        /^(MP)?TCP$/.test(protocol) && !port.test(local ?? '') && !port.test(peer ?? ''),
    );
    const holding = tcp.filter(({ total }) => total.slabBytes > 0);
    expect(holding.length).toBeGreaterThan(3);
    for (const { socket, sharedBytes } of holding) {
      // Pages may be shared, slots are not.
      expect(sharedBytes % 4096, socket.sock).toBe(0);
    }
  });

  // The newest kernel has none (since 7.1).
  if (version !== 'newest')
    test('UDP-Lite: the reader queue counts too', () => {
      const { queues, total } = ours('udplite');
      expect(total).toMatchObject({ skbs: said('udplite').skbs, payloadBytes: said('udplite').unread, complete: true });
      expect(queues.reader?.skbs).toBeGreaterThan(30);
    });

  test('L2TP: a datagram socket of a rare inet protocol is not reported as damaged', () => {
    expect(ours('l2tp').total).toMatchObject({ skbs: said('l2tp').skbs, complete: true });
  });

  test('AF_ALG: data to encrypt', () => {
    const { cipher } = ours('alg').queues;
    expect(cipher).toMatchObject({ payloadBytes: said('alg').sent, pages: 15, complete: true });
    expect(ours('alg-bound').queues.cipher).toMatchObject({ pinnedBytes: 0, complete: true });
  });

  test('AF_XDP: a hugetlb page is one page, whatever its struct pages contain', () => {
    expect(ours('xdp-huge').queues.umem).toMatchObject({
      pages: 1,
      pageBytes: said('xdp-huge').umemBytes,
      complete: true,
    });
  });

  test.each(['packet-ring', 'packet-mapped'])('%s: the requested blocks', (name) => {
    const { queues } = ours(name);
    const role = said(name);
    const bytes = (ring: 'rx' | 'tx') => Number(role[`${ring}Blocks`]) * Number(role[`${ring}BlockBytes`] ?? 0);
    expect(queues.rxRing).toMatchObject({ skbs: 0, pageBytes: bytes('rx'), complete: true });
    expect(queues.txRing).toMatchObject({ skbs: 0, pageBytes: bytes('tx'), complete: true });
    expect(orders(queues.rxRing)).toEqual(theirs(name).rxRing?.orders);
    expect(orders(queues.txRing)).toEqual(theirs(name).txRing?.orders);
    expect(queues.rxRing?.pages).toBe(role.rxBlocks);
  });

  test('an unmapped ring is freed with its socket; a mapping also holds a mapped one', () => {
    expect(ours('packet-ring').sharedBytes).toBe(0);
    expect(ours('packet-mapped').exclusiveBytes).toBe(0);
  });

  test.each(['mptcp-reader', 'mptcp-stuffed-reader', 'mptcp-sender', 'mptcp-stuffed-sender'])(
    '%s: MPTCP’s own queues match drgn',
    (name) => {
      const { queues } = ours(name);
      const { reader, outOfOrder, retransmit } = theirs(name);
      const skbs = (one: { skbs: number; payloadBytes: number } | undefined) =>
        one && { skbs: one.skbs, bytes: one.payloadBytes };
      expect(skbs(queues.reader)).toEqual(reader);
      expect(skbs(queues.outOfOrder)).toEqual(outOfOrder);
      expect(orders(queues.retransmit)).toEqual(retransmit?.orders);
      expect(queues.retransmit?.payloadBytes).toBe(retransmit?.bytes);
    },
  );

  test('an MPTCP reader that read ten bytes still holds all that were sent', () => {
    // Partly read skbs stay complete; on older kernels in the reader's own queue.
    const { queues } = ours('mptcp-reader');
    const held = (queues.receive?.payloadBytes ?? 0) + (queues.reader?.payloadBytes ?? 0);
    expect(held).toBe(Number(said('mptcp-sender').sent));
    expect(ours('mptcp-stuffed-sender').queues.retransmit?.payloadBytes).toBeGreaterThan(1_000_000);
  });

  test('MPTCP subflows are sockets of the census and name their connection', () => {
    let found = 0;
    for (const [fd, { subflows = [] }] of Object.entries(drgn)) {
      const connection = answer.sockets.find(({ holders }) =>
        holders.some((holder) => holder.pid === roles[0]?.pid && holder.fd === Number(fd)),
      );
      const mine = answer.sockets.filter(
        ({ subflowOf }) => subflowOf !== null && subflowOf === connection?.socket.sock,
      );
      expect(mine.map(({ socket }) => socket.sock).sort()).toEqual(subflows.toSorted());
      for (const { foundBy } of mine) expect(foundBy).toEqual(['slab', 'mptcp']);
      found += mine.length;
    }
    expect(found).toBeGreaterThanOrEqual(4);
    // They are freed with the process, which holds no other socket without a descriptor.
    const going = answer.sockets.filter(({ holders, subflowOf }) => subflowOf !== null || holders.length > 0);
    const most = going.reduce((sum, { total }) => sum + total.pinnedBytes, 0);
    const group = answer.groups?.find(({ key }) => key.startsWith(`${roles[0]?.pid} `));
    expect(group?.sockets).toBe(going.length);
    expect(group?.freedIfKilled?.high).toBe(group?.total.pinnedBytes);
    expect(group?.freedIfKilled?.high).toBeLessThanOrEqual(most);
  });

  test('kTLS: decrypted records and an open one', () => {
    const reader = ours('tls-reader');
    const { tlsReceive } = reader.queues;
    expect(tlsReceive).toMatchObject({ complete: true });
    expect({ skbs: tlsReceive?.skbs, bytes: tlsReceive?.payloadBytes }).toEqual(theirs('tls-reader').tlsReceive);
    expect(tlsReceive?.skbs).toBe(8);
    expect(theirs('tls-sender').tlsOpen).toBe(true);
    expect(ours('tls-sender').queues.tlsSend?.payloadBytes).toBe(said('tls-sender').open);
  });

  test.each([
    ['sockmap-passed', 'ingressMessages', 'unread'],
    ['sockmap-redirected', 'ingressMessages', 'unread'],
    ['sockmap-corked', 'cork', 'held'],
  ] as const)('%s: unread data in sockmap’s messages', (name, queue, bytes) => {
    const mine = ours(name).queues[queue];
    expect(mine?.payloadBytes).toBe(said(name)[bytes]);
    const drgns = theirs(name)[queue];
    expect(mine?.payloadBytes).toBe(drgns?.bytes);
    expect(mine?.skbs).toBe(drgns?.skbs);
    if (name === 'sockmap-passed') expect(mine?.skbs).toBeGreaterThan(0);
    else expect(orders(mine)).toEqual(drgns?.orders);
  });

  test('sockmap-assembled: a partly received message is queued in the parser', () => {
    const { queues, unreadBytes } = ours('sockmap-assembled');
    const { skbs, payloadBytes: bytes } = queues.ingressPart ?? {};
    expect(skbs).toBeGreaterThan(0);
    expect({ skbs, bytes }).toEqual(theirs('sockmap-assembled').ingressPart);
    // The parser reads only as much as it needs for the length.
    expect(unreadBytes).toBe(said('sockmap-assembled').part);
    expect((bytes ?? 0) + (queues.receive?.payloadBytes ?? 0)).toBe(unreadBytes);
  });

  test('sockmap: before 6.0 only the protocol distinguishes a psock from KCM data', () => {
    const sound = openNative({ files: [join(folder, 'elf.vmcore')] });
    const { socket, queues } = ours('sockmap-corked');
    const sock = BigInt(socket.sock);
    const user = new StructReader(sound, 'sock', ['sk_user_data']).read(sock);
    const data = user.pointer('sk_user_data');
    expect(data & 7n).not.toBe(0n);
    const psock = data & ~7n;
    const protocol = new StructReader(sound, 'sk_psock', ['sk_proto']).read(psock);
    const { set, damagedBy } = memoryOf(sound);
    const plain = set(user.addressOf('sk_user_data'), 8, psock);
    const account = (...damages: Damage[]) => {
      const warnings = new Warnings();
      const kernel = damagedBy(...damages);
      const target = { file: 0n, sock, fileReferences: 0, inode: 0 };
      const { account } = new SocketAccountant(kernel).account(target, { warnings });
      return { queues: account.queues, warnings: warnings.list() };
    };
    expect(account(plain)).toMatchObject({ queues: { cork: queues.cork }, warnings: [] });
    for (const elsewhere of [0n, sock]) {
      const other = account(plain, set(protocol.addressOf('sk_proto'), 8, elsewhere));
      expect(other.queues).not.toHaveProperty('cork');
      expect(other.warnings).toEqual([
        { code: 'unsupported-layout', message: expect.stringContaining('similar to KCM') },
      ]);
    }
    sound.close();
  });

  test('tcp-held: data that arrives while a reader holds the socket is in its backlog', () => {
    const { queues, unreadBytes } = ours('tcp-held');
    const { skbs, payloadBytes: bytes, truesizeBytes: charged } = queues.backlog ?? {};
    expect(skbs).toBeGreaterThan(0);
    expect({ skbs, bytes, charged }).toEqual(theirs('tcp-held').backlog);
    // Includes headers and retransmitted data: more than was sent.
    expect(bytes).toBeGreaterThan(20_000);
    expect(unreadBytes).toBeNull();
  });

  test('mptcp-held: data that subflows received meanwhile', () => {
    const { queues, unreadBytes } = ours('mptcp-held');
    if (version === '6.1') {
      // Subflows queue it with the connection itself.
      expect(queues).not.toHaveProperty('subflowBacklog');
      expect(unreadBytes).toBe(said('mptcp-held').unread);
      return;
    }
    const { skbs, payloadBytes: bytes } = queues.subflowBacklog ?? {};
    expect(skbs).toBeGreaterThan(0);
    expect({ skbs, bytes }).toEqual(theirs('mptcp-held').subflowBacklog);
    expect(unreadBytes).toBeNull();
  });

  test('SCTP: received data with its packets, and unacknowledged data', () => {
    const reader = ours('sctp-reader');
    expect(reader.unreadBytes).toBe(said('sctp-reader').unread);
    // Data is a clone of its packet's skb, and is queued with it: neither is freed alone.
    expect(reader.queues.sctpReceive).toMatchObject({ skbs: 0, payloadBytes: 0, complete: true });
    expect(reader.queues.sctpReceive?.slabBytes).toBeGreaterThan(0);
    expect(reader.sharedBytes).toBe(0);

    const sender = ours('sctp-stuffed-sender').queues.sctpSend;
    const drgns = theirs('sctp-stuffed-sender').sctpSend;
    const skbs = sender?.skbs ?? 0;
    expect(skbs).toBeGreaterThan(10);
    expect((sender?.truesizeBytes ?? 0) + skbs * (drgns?.chunkBytes ?? 0)).toBe(drgns?.charged);
    // A DATA chunk starts with a header of 16 bytes.
    const unsent = (sender?.payloadBytes ?? 0) - 16 * skbs;
    expect(unsent).toBe(drgns?.waiting);
    const peer = ours('sctp-stuffed-reader').unreadBytes ?? Number.NaN;
    expect(peer + unsent).toBe(said('sctp-stuffed-sender').sent);
  });

  test('SCTP: acknowledged parts of a message stay queued with the others', () => {
    const sender = ours('sctp-part-sender').queues.sctpSend;
    const payload = (sender?.payloadBytes ?? 0) - 16 * (sender?.skbs ?? 0);
    const come = ours('sctp-part-reader').unreadBytes ?? 0;
    expect(come).toBeGreaterThan(0);
    expect(payload).toBe(said('sctp-part-sender').sent);
    expect(theirs('sctp-part-sender').sctpSend?.waiting).toBe(payload - come);
  });

  test('an unknown ULP is reported', () => {
    const sound = openNative({ files: [join(folder, 'elf.vmcore')] });
    const sock = BigInt(ours('tls-sender').socket.sock);
    const { addressOf, read, write, damagedBy } = memoryOf(sound);
    const name = addressOf(read(sock, 'inet_connection_sock.icsk_ulp_ops'), 'tcp_ulp_ops.name');
    const kernel = damagedBy(write(name, Buffer.from('esp')));
    const warnings = new Warnings();
    const socket = { file: 0n, sock, fileReferences: 0, inode: 0 };
    const { account } = new SocketAccountant(kernel).account(socket, { warnings });
    sound.close();
    expect(account.total.complete).toBe(false);
    expect(warnings.list()).toEqual([
      { code: 'unsupported-layout', message: expect.stringContaining('not counted: esp') },
    ]);
  });

  test('kTLS: records of device offload are not read as software records', () => {
    const sound = openNative({ files: [join(folder, 'elf.vmcore')] });
    const sock = BigInt(ours('tls-sender').socket.sock);
    const { read, set, damagedBy } = memoryOf(sound);
    const context = read(sock, 'inet_connection_sock.icsk_ulp_data');
    expect(read(context, 'tls_context.tx_conf')).toBe(1n);
    const TLS_HW = 2n;
    const kernel = damagedBy(set(context, 'tls_context.tx_conf', TLS_HW));
    const warnings = new Warnings();
    const socket = { file: 0n, sock, fileReferences: 0, inode: 0 };
    const { account } = new SocketAccountant(kernel).account(socket, { warnings });
    sound.close();
    expect(account.queues.tlsSend).toMatchObject({ pinnedBytes: 0, complete: false });
    expect(warnings.list()).toEqual([
      { code: 'unsupported-layout', message: expect.stringContaining('kTLS device offload') },
    ]);
  });

  test('vsock: sent packets that are unread', () => {
    expect(ours('vsock-reader').queues.vsockReceive).toMatchObject({
      payloadBytes: said('vsock-reader').unread,
      complete: true,
    });
  });

  test('AF_XDP: pages of user space', () => {
    const { umem } = ours('xdp').queues;
    expect(umem?.pages).toBe(said('xdp').umemPages);
    expect(theirs('xdp').umem?.count).toBe(said('xdp').umemPages);
    expect(orders(umem)).toEqual(theirs('xdp').umem?.orders);
  });
});
