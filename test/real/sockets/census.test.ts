import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { accountSock } from '../../../src/account/skb.js';
import { accountAll, type CensusAnswer } from '../../../src/account/sockets.js';
import { socketsJson } from '../../../src/answers/sockets/json.js';
import { compareAnswers } from '../../../src/answers/verify/document.js';
import { jsonOf } from '../../../src/base/util.js';
import { socketsSchema } from '../../../src/contracts/sockets.js';
import { openCrash } from '../../../src/kernel/crash/open.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { asOracle, fromOracle } from '../../support/expected.js';
import { KERNELS, type LabKernel, labDump, labKernel, labTool, ofRun, role } from '../../support/lab.js';
import { dumpKernel } from '../../support/opened-kernel.js';

function askCensus(version: LabKernel, engine: 'native' | 'crash' = 'native'): CensusAnswer {
  const { elf } = labDump(version);
  const kernel =
    engine === 'native'
      ? openNative({ files: [elf] })
      : openCrash({ vmcore: elf, vmlinux: labKernel(version).vmlinux, crash: labTool('crash') });
  try {
    return accountAll(kernel, { by: 'netns' });
  } finally {
    kernel.close();
  }
}

const answers = new Map<LabKernel, CensusAnswer>();

/** The answer of the native engine. */
function census(version: LabKernel): CensusAnswer {
  const answer = answers.get(version) ?? askCensus(version);
  answers.set(version, answer);
  return answer;
}

const toJson = (answer: CensusAnswer) => jsonOf(socketsJson(answer, answer.sockets));

describe.each(KERNELS)('the census of %s', (version) => {
  const { oracle, truth } = labDump(version);

  test('finds exactly the socks that drgn finds in the slabs', async () => {
    const script = fileURLToPath(new URL('slabs.py', import.meta.url));
    const { elf } = labDump(version);
    const { stdout } = await execa(labTool('drgn'), ['-q', '-c', elf, '-s', labKernel(version).vmlinux, script]);
    const drgn = JSON.parse(stdout) as { socks: Record<string, string[]> };
    const ours = census(version).sockets.filter(({ foundBy }) => foundBy.includes('slab'));
    expect(ours.map(({ socket }) => `0x${socket.sock.toString(16)}`).sort()).toEqual(Object.keys(drgn.socks).sort());
  });

  test('attributes each socket with a descriptor to its owners, with drgn’s figures', () => {
    const answer = toJson(census(version));
    socketsSchema.parse(answer);
    expect(answer.warnings).toEqual([]);
    for (const expected of oracle.sockets) {
      const ours = answer.sockets.find(({ socket }) => socket.sock === expected.sock);
      expect(ours, expected.sock).toBeDefined();
      if (!ours) continue;
      expect(ours.foundBy).toEqual(expect.arrayContaining(['fd', 'slab']));
      expect(asOracle(ours)).toEqual(fromOracle(expected));
      const holders = (all: readonly { pid: number; fd: number }[]) =>
        [...new Set(all.map(({ pid, fd }) => `${pid} ${fd}`))].sort();
      expect(holders(ours.holders)).toEqual(holders(expected.holders));
      expect(ours.exclusiveBytes + ours.sharedBytes).toBe(ours.total.pinnedBytes);
    }
    const byDescriptor = answer.sockets.filter(({ foundBy }) => foundBy.includes('fd'));
    expect(byDescriptor).toHaveLength(oracle.sockets.length);
  });

  test('finds the pending connections of a listener; each sock by its address', () => {
    const { socket } = role(truth, 'listener');
    const answer = census(version);
    const listener = answer.sockets.find((one) => one.socket.inode === socket?.inode);
    const waiting = answer.sockets.filter((one) => one.acceptedFrom === listener?.socket.sock);
    expect(waiting).toHaveLength(3);
    for (const one of waiting) {
      expect(one.foundBy).toEqual(['slab', 'accept']);
      expect(one.total.payloadBytes).toBe(1000);
      expect(one.socket.local).toBe(socket?.local);
    }
    const { elf } = labDump(version);
    const kernel = openNative({ files: [elf] });
    for (const { socket: found, total, queues } of [...waiting, ...answer.sockets.slice(0, 9)]) {
      expect(accountSock(kernel, found.sock)).toMatchObject({ socket: found, total, queues });
    }
    kernel.close();
  });

  test('counts a page once in the total, and a kill frees no more than is pinned', () => {
    const answer = census(version);
    const sum = answer.sockets.reduce((bytes, { total }) => bytes + total.pinnedBytes, 0);
    expect(answer.totals.pinnedBytes).toBeLessThan(sum);
    const starving = role(truth, 'starving');
    const row = answer.processes.find(({ key }) => key.startsWith(`${starving.pid} `));
    const freed = row?.freedIfKilled;
    if (!row || !freed || freed.high === null) throw new Error('not complete');
    const { low, high, toPools, keptByPools } = freed;
    expect(high).toBe(row.total.pinnedBytes - keptByPools.low);
    // virtio_net of 7.2 allocates its pages from a page pool, which keeps those that it has room
    // for.
    const large = role(truth, 'starving-large');
    const pages = answer.processes.find(({ key }) => key.startsWith(`${large.pid} `));
    if (version === 'newest') expect(pages?.freedIfKilled?.keptByPools.low).toBeGreaterThan(0);
    else expect({ toPools, keptByPools }).toEqual({ toPools: 0, keptByPools: { low: 0, high: 0 } });
    expect(low + toPools).toBeLessThanOrEqual(high);
    expect(low + toPools).toBeGreaterThanOrEqual(high * 0.95);
    // Another process has this one open as well.
    const forked = role(truth, 'forked');
    const parent = answer.processes.find(({ key }) => key.startsWith(`${forked.pid} `));
    expect(parent?.total.pinnedBytes).toBeGreaterThan(0);
    expect(parent?.freedIfKilled).toMatchObject({ low: 0, high: 0, toPools: 0 });
  });

  test('is the same, byte for byte, when repeated', () => {
    expect(JSON.stringify(toJson(askCensus(version)))).toBe(JSON.stringify(toJson(census(version))));
  });
});

test.each(ofRun(['5.10', '6.1', '6.12'] as const))('the census of %s is the same through crash', (version) => {
  const { compared, differences } = compareAnswers(toJson(census(version)), toJson(askCensus(version, 'crash')));
  expect(differences).toEqual([]);
  expect(compared).toBeGreaterThan(5000);
});

describe.each(KERNELS)('ports and addresses of sockets of %s', (version) => {
  const { kernel, addressOf, set, read, damagedBy } = dumpKernel(version);
  const { sockets: entries } = accountAll(kernel);
  const socks = entries.map(({ socket }) => socket);
  type Sock = (typeof socks)[number];
  const isTcp = ({ protocol, state, peer }: Sock) => protocol === 'TCP' && state === 'ESTABLISHED' && peer !== null;
  const tcp = socks.find((one) => isTcp(one) && one.family === 'AF_INET')!;
  const tcp6 = socks.find((one) => isTcp(one) && one.family === 'AF_INET6')!;
  const udp = socks.find(({ protocol, local }) => protocol === 'UDP' && local !== null)!;
  const listener = socks.find(({ protocol, state }) => protocol === 'TCP' && state === 'LISTEN')!;

  test.each<readonly [string, Sock, string, bigint, RegExp]>([
    ['a port of UDP', udp, 'sock.__sk_common.skc_num', 7n, /: its port is 7, but it sends from port \d+$/],
    ['a source port', tcp, 'inet_sock.inet_sport', 0x0700n, /: its port is \d+, but it sends from port 7$/],
    ['a port of a listener', listener, 'sock.__sk_common.skc_num', 0n, /: its port is 0, but it is bound to port \d+$/],
    ['a peer of a listener', listener, 'sock.__sk_common.skc_dport', 0x0700n, /: it listens, but has a peer$/],
    ['an address', tcp, 'sock.__sk_common.skc_rcv_saddr', 0x0700_000an, /receives at 10\.0\.0\.7:0, but sends from /],
    ['a source address', tcp, 'inet_sock.inet_saddr', 0x0700_000an, /, but sends from 10\.0\.0\.7:0$/],
    ['an address of IPv6', tcp6, 'sock.__sk_common.skc_v6_rcv_saddr', 1n, /receives at \[100:.*\]:0, but sends from /],
  ])('%s that another member contradicts', (_, { sock }, member, value, message) => {
    const { sockets, complete, warnings } = accountAll(damagedBy(set(sock, member, value)));
    expect(sockets).toHaveLength(socks.length);
    expect(complete).toBe(false);
    const found = warnings.filter(({ code, message: text }) => code === 'corrupt' && message.test(text));
    expect(found.map(({ message: text }) => text.includes(`0x${sock.toString(16)}`))).toEqual([true]);
  });

  test('a port that the bind table contradicts', () => {
    const bucket = read(listener.sock, 'inet_connection_sock.icsk_bind_hash');
    const { warnings } = accountAll(damagedBy(set(bucket, 'inet_bind_bucket.port', 7n)));
    const found = warnings.filter(({ message }) => /its port is \d+, but it is bound to port 7$/.test(message));
    expect(found.length).toBeGreaterThan(0);
  });

  test('a file of a message that its edges contradict, since 6.10', () => {
    const carried = entries.find(({ carriedBy, socket }) => carriedBy.length > 0 && socket.family === 'AF_UNIX');
    const carrier = carried?.carriedBy[0] ?? 0n;
    const skb = read(carrier, 'sock.sk_receive_queue');
    const list = read(addressOf(addressOf(skb, 'sk_buff.cb'), 'unix_skb_parms.fp'));
    const { complete, warnings } = accountAll(damagedBy(set(list, 'scm_fp_list.fp', listener.file)));
    if (kernel.struct('unix_edge')) expect(complete).toBe(false);
    const found = warnings.filter(({ message }) => /lacks the file 0x\w+, which its edges have$/.test(message));
    expect(found).toHaveLength(kernel.struct('unix_edge') ? 1 : 0);
  });
});
