import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { machineProgram } from '../../../../scripts/lab-parts/programs.mjs';
import { memorySchema } from '../../../../src/contracts/memory.js';
import { triageSchema } from '../../../../src/contracts/triage.js';
import { drgnJson } from '../../../support/drgn.js';
import { jsonInGuest, testGuest } from '../../../support/guest.js';
import { expectNamed, rowBytes } from '../../../support/named-growth.js';

const MIB = 2 ** 20;
const [HEAP, MEMFD, UNREAD] = [100 * MIB, 60 * MIB, 24 * MIB];
const PORT = 7000;

const guest = testGuest('newest', 900_000);
beforeAll(async () => {
  await guest.boot({
    kdumpMem: true,
    memoryMiB: 1536,
    tools: ['buffers'],
    files: machineProgram('/usr/bin/perl'),
    tcpPorts: [PORT],
    limitMs: 1_800_000,
  });
  await guest.run(
    'mount -t debugfs none /sys/kernel/debug; mount --bind /dev/null /proc/kcore; mkdir /decoys; mount -t tmpfs none /decoys',
  );
});

const answerOf = async (command: string) => memorySchema.parse(await jsonInGuest(guest, command, 600_000));
const rowOf = ({ memory }: Awaited<ReturnType<typeof answerOf>>, name: string) =>
  memory.children.flatMap(({ children }) => children).find(({ category }) => category === name);
/** Other memory, in a row of its own. */
const decoyOf = async (scene: string, bytes: number) => {
  await guest.run(`dd if=/dev/zero of=/decoys/${scene} bs=4096 count=${Math.ceil(bytes / 4096)} 2>/dev/null`);
  return { row: 'shared', bytes };
};

test('dma-bufs of a heap are a row without kernel memory, each once, with the processes that have them', async () => {
  const before = await answerOf('memory --live --source counters');
  const start = (kind: string, bytes: number, lines: number) =>
    guest.run(
      `(buffers ${kind} ${bytes / MIB} &) >> /tmp/pids; until [ $(wc -l < /tmp/pids) = ${lines} ]; do usleep 100000; done`,
    );
  await start('system', HEAP, 1);
  const decoy = await decoyOf('dma-buf', HEAP);
  const pidsOf = async () => (await guest.output('grep -h . /tmp/pids')).split(/\s+/).filter(Boolean).map(Number);
  const owner = { kind: 'dma-buf', name: 'system', pids: await pidsOf() } as const;
  const after = await answerOf('memory --live --source counters');
  expectNamed({ scene: 'dma-buf', before, after, bytes: HEAP, row: 'dma-buf', decoy, owner });
  await start('udmabuf', MEMFD, 2);
  const answer = await answerOf('memory --live --source counters');
  expect(rowOf(answer, 'dma-buf')).toMatchObject({ bytes: HEAP, complete: true });
  const sum = answer.memory.children.reduce((all, { bytes }) => all + bytes, 0);
  expect(sum).toBe(answer.memory.bytes);
  expect(answer.memory.bytes).toBe(before.memory.bytes);
  const [heap, memfd] = answer.named?.filter(({ kind }) => kind === 'dma-buf') ?? [];
  expect(heap).toMatchObject({ name: 'system', bytes: HEAP, source: '/sys/kernel/debug/dma_buf/bufinfo' });
  expect(memfd).toMatchObject({ name: 'udmabuf', category: null, bytes: MEMFD });
  const pids = await pidsOf();
  const holders = [...(heap?.processes ?? []), ...(memfd?.processes ?? [])];
  expect(holders.map(({ pid }) => pid).toSorted((a, b) => a - b)).toEqual(pids.toSorted((a, b) => a - b));
  expect(new Set(holders.map(({ comm }) => comm))).toEqual(new Set(['buffers']));
  const flags = await answerOf('memory --live --source pageflags');
  expect(rowOf(flags, 'dma-buf')?.bytes).toBe(HEAP);
  const { findings } = triageSchema.parse(await jsonInGuest(guest, 'triage --live', 600_000));
  // The other one is below the least size of a finding.
  expect(findings.filter(({ code }) => code === 'dma-buf')).toMatchObject([
    { figures: { bytes: HEAP, exporter: 'system' } },
  ]);
});

test('buffers of ftrace are a row without kernel memory, with their instances', async () => {
  const tracing = '/sys/kernel/tracing';
  await guest.run(`mount -t tracefs none ${tracing}; mkdir ${tracing}/instances/second`);
  const SOURCES = ['counters', 'pageflags'];
  const before = new Map<string, Awaited<ReturnType<typeof answerOf>>>();
  for (const source of SOURCES) before.set(source, await answerOf(`memory --live --source ${source}`));
  const cpus = Number(await guest.output('grep -c ^processor /proc/cpuinfo'));
  await guest.run(`echo 20480 > ${tracing}/buffer_size_kb; echo 30720 > ${tracing}/instances/second/buffer_size_kb`);
  // The kernel rounds up to pages, less their headers.
  const isNear = (bytes: number | null | undefined, mib: number) =>
    expect(Math.abs((bytes ?? 0) / (mib * MIB * cpus) - 1)).toBeLessThanOrEqual(0.01);
  const bytes = 50 * MIB * cpus;
  const decoy = await decoyOf('ftrace', bytes);
  for (const source of SOURCES) {
    const answer = await answerOf(`memory --live --source ${source}`);
    const rings = answer.named?.filter(({ kind }) => kind === 'trace-rings') ?? [];
    expect(rings.map(({ name }) => name)).toEqual(['ftrace instance second', 'ftrace']);
    isNear(rings[0]?.bytes, 30);
    isNear(rings[1]?.bytes, 20);
    isNear(rowOf(answer, 'rings')?.bytes, 50);
    // The new sizes replace the ones of the boot and of a new instance.
    const earlier = before.get(source)!;
    const added = bytes - (rowOf(earlier, 'rings')?.bytes ?? 0);
    expectNamed({ scene: 'ftrace', before: earlier, after: answer, bytes: added, row: 'rings', decoy });
  }
});

test('a page pool has as much in flight as drgn counts', async () => {
  await guest.run(
    `cd /proc/sys/net; echo ${64 * MIB} > core/rmem_max; echo '4096 ${64 * MIB} ${64 * MIB}' > ipv4/tcp_rmem
     echo '65536 65536 65536' > ipv4/tcp_mem; (nc -l -p ${PORT} -e sleep 9999 &) > /dev/null 2>&1
     until grep -q ':${PORT.toString(16).toUpperCase().padStart(4, '0')} ' /proc/net/tcp /proc/net/tcp6; do usleep 100000; done`,
  );
  const before = await answerOf('memory --live --source counters');
  const sender = connect(guest.machine.tcpPorts.get(PORT)!, '127.0.0.1');
  // The guest ends first.
  sender.on('error', () => undefined);
  afterAll(() => void sender.destroy());
  // Not more, so that no data arrives between the answer and the dump.
  sender.write(Buffer.alloc(UNREAD, 'x'));
  await guest.run(
    `until cat /proc/net/tcp /proc/net/tcp6 | awk '{ split($5, q, ":"); if (("0x" q[2]) + 0 >= ${UNREAD}) found = 1 } END { exit !found }'
     do usleep 200000; done`,
  );
  const answer = await answerOf('memory --live --source counters');
  const core = await guest.lastDump();
  const pools = drgnJson<{ bytes: number; detached: boolean }[]>(
    core,
    'newest',
    new URL('page_pools.py', import.meta.url),
  );
  expect(pools.filter(({ detached }) => detached)).toEqual([]);
  // Each CPU has a pool without an interface too, which netlink does not list.
  const used = pools.filter((one) => one.bytes > 0);
  const bytes = used.reduce((sum, one) => sum + one.bytes, 0);
  expect(bytes).toBeGreaterThan(0);
  expect(answer.named?.filter(({ kind }) => kind === 'page-pools')).toMatchObject([
    { name: 'eth0', bytes, figures: { pools: used.length, detachedPools: 0 } },
  ]);
  expect(rowOf(answer, 'network-other')?.bytes).toBe(bytes);
  const isOther = (category: string) => category === 'network-other';
  const taken = bytes - rowBytes(before, isOther);
  expect(taken).toBeGreaterThan(UNREAD);
  const owner = { kind: 'page-pools', name: 'eth0' } as const;
  expectNamed({ scene: 'page pools', before, after: answer, bytes: taken, row: 'network-other', owner });
});
