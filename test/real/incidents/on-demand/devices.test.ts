import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { machineProgram } from '../../../../scripts/lab-parts/programs.mjs';
import { type MemoryJson, memorySchema } from '../../../../src/contracts/memory.js';
import { procsSchema } from '../../../../src/contracts/procs.js';
import { triageSchema } from '../../../../src/contracts/triage.js';
import { drgnJson } from '../../../support/drgn.js';
import { jsonInGuest, type TestGuest, testGuest } from '../../../support/guest.js';
import { expectNamed } from '../../../support/named-growth.js';

const MIB = 2 ** 20;
const [HEAP, MEMFD, UNREAD] = [100 * MIB, 60 * MIB, 24 * MIB];
const PORT = 7000;

/** Page flags do not show the free pages on per-CPU lists, which grow to tens of MiB during a slow scan. */
const PREPARE = `mkdir /decoys; mount -t tmpfs none /decoys; echo 1000 > /proc/sys/vm/percpu_pagelist_high_fraction`;

const SOURCES: [string, string, string[]][] = [
  ['with /proc/kcore', 'true', ['--live']],
  [
    'without /proc/kcore',
    'mount --bind /dev/null /proc/kcore',
    ['--live --source counters', '--live --source pageflags'],
  ],
];

const answersOf = async (guest: TestGuest, sources: readonly string[]): Promise<MemoryJson[]> => {
  const all: MemoryJson[] = [];
  for (const source of sources) all.push(memorySchema.parse(await jsonInGuest(guest, `memory ${source}`)));
  return all;
};
const rowOf = ({ memory }: MemoryJson, name: string) =>
  memory.children.flatMap(({ children }) => children).find(({ category }) => category === name);
/** Other memory, in a row of its own. */
const decoyOf = async (guest: TestGuest, scene: string, bytes: number) => {
  await guest.run(`dd if=/dev/zero of=/decoys/${scene} bs=4096 count=${Math.ceil(bytes / 4096)} 2>/dev/null`);
  return { row: 'shared', bytes };
};
/** Starts the program `buffers`. Returns its pid and that of its child. */
const startBuffers = async (guest: TestGuest, kind: string, bytes: number): Promise<number[]> => {
  const file = `/tmp/${kind.replaceAll('/', '-')}`;
  const pids = await guest.output(
    `(buffers ${kind} ${bytes / MIB} > ${file} 2>&1 &); until [ -s ${file} ]; do usleep 100000; done; cat ${file}`,
  );
  expect(pids).toMatch(/^\d+ \d+\n$/);
  return pids.split(' ').map(Number);
};

describe.each(SOURCES)('memory of devices: %s', (_, hide, sources) => {
  const guest = testGuest('newest');
  beforeAll(async () => {
    await guest.boot({
      kdumpMem: true,
      memoryMiB: 1536,
      tools: ['buffers'],
      files: machineProgram('/usr/bin/perl'),
      tcpPorts: [PORT],
    });
    await guest.run(`mount -t debugfs none /sys/kernel/debug; ${hide}; ${PREPARE}`);
  });

  const answers = () => answersOf(guest, sources);
  test('dma-bufs of a heap are a row, each once, with the processes that have them', async () => {
    const before = await answers();
    const pids = await startBuffers(guest, 'system', HEAP);
    const decoy = await decoyOf(guest, 'dma-buf', HEAP);
    const owner = { kind: 'dma-buf', name: 'system', pids: [...pids] } as const;
    for (const [at, after] of (await answers()).entries())
      expectNamed({ scene: 'dma-buf', before: before[at]!, after, bytes: HEAP, row: 'dma-buf', decoy, owner });
    pids.push(...(await startBuffers(guest, 'udmabuf', MEMFD)));
    for (const answer of await answers()) {
      expect(rowOf(answer, 'dma-buf')).toMatchObject({ bytes: HEAP, complete: true });
      const sum = answer.memory.children.reduce((all, { bytes }) => all + bytes, 0);
      expect(sum).toBe(answer.memory.bytes);
      expect(answer.memory.bytes).toBe(before[0]!.memory.bytes);
      const [heap, memfd] = answer.named?.filter(({ kind }) => kind === 'dma-buf') ?? [];
      expect(heap).toMatchObject({ name: 'system', bytes: HEAP, source: '/sys/kernel/debug/dma_buf/bufinfo' });
      expect(memfd).toMatchObject({ name: 'udmabuf', category: null, bytes: MEMFD });
      const holders = [...(heap?.processes ?? []), ...(memfd?.processes ?? [])];
      expect(holders.map(({ pid }) => pid).toSorted((a, b) => a - b)).toEqual(pids.toSorted((a, b) => a - b));
      expect(new Set(holders.map(({ comm }) => comm))).toEqual(new Set(['buffers']));
    }
    const { findings } = triageSchema.parse(await jsonInGuest(guest, 'triage --live'));
    // The other one is below the least size of a finding.
    expect(findings.filter(({ code }) => code === 'dma-buf')).toMatchObject([
      { figures: { bytes: HEAP, exporter: 'system' } },
    ]);
  });

  test('buffers of ftrace are a row, with their instances', async () => {
    const tracing = '/sys/kernel/tracing';
    await guest.run(`mount -t tracefs none ${tracing}; mkdir ${tracing}/instances/second`);
    const before = await answers();
    const cpus = Number(await guest.output('grep -c ^processor /proc/cpuinfo'));
    await guest.run(`echo 20480 > ${tracing}/buffer_size_kb; echo 30720 > ${tracing}/instances/second/buffer_size_kb`);
    // The kernel rounds up to pages, less their headers.
    const isNear = (bytes: number | null | undefined, mib: number) =>
      expect(Math.abs((bytes ?? 0) / (mib * MIB * cpus) - 1)).toBeLessThanOrEqual(0.01);
    const bytes = 50 * MIB * cpus;
    const decoy = await decoyOf(guest, 'ftrace', bytes);
    for (const [at, answer] of (await answers()).entries()) {
      const rings = answer.named?.filter(({ kind }) => kind === 'trace-rings') ?? [];
      expect(rings.map(({ name }) => name)).toEqual(['ftrace instance second', 'ftrace']);
      isNear(rings[0]?.bytes, 30);
      isNear(rings[1]?.bytes, 20);
      isNear(rowOf(answer, 'rings')?.bytes, 50);
      // The new sizes replace the ones of the boot and of a new instance.
      const earlier = before[at]!;
      const ofBoot = earlier.named?.filter(({ kind }) => kind === 'trace-rings') ?? [];
      const added = bytes - ofBoot.reduce((sum, one) => sum + (one.bytes ?? 0), 0);
      expectNamed({ scene: 'ftrace', before: earlier, after: answer, bytes: added, row: 'rings', decoy });
    }
  });

  test('a page pool has as much in flight as drgn counts', async () => {
    await guest.run(
      `cd /proc/sys/net; echo ${64 * MIB} > core/rmem_max; echo '4096 ${64 * MIB} ${64 * MIB}' > ipv4/tcp_rmem
     echo '65536 65536 65536' > ipv4/tcp_mem; (nc -l -p ${PORT} -e sleep 9999 &) > /dev/null 2>&1
     until grep -q ':${PORT.toString(16).toUpperCase().padStart(4, '0')} ' /proc/net/tcp /proc/net/tcp6; do usleep 100000; done`,
    );
    const before = await answers();
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
    const after = await answers();
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
    const owner = { kind: 'page-pools', name: 'eth0' } as const;
    for (const [at, answer] of after.entries()) {
      const [earlier] = before[at]!.named?.filter(({ kind }) => kind === 'page-pools') ?? [];
      expect(answer.named?.filter(({ kind }) => kind === 'page-pools')).toMatchObject([
        { name: 'eth0', bytes, figures: { pools: used.length, detachedPools: 0 } },
      ]);
      const taken = bytes - (earlier?.bytes ?? 0);
      expect(taken).toBeGreaterThan(UNREAD);
      // Kernel memory shows which pages are in queues of sockets.
      const row = answer.source === 'kcore' ? ['network-sockets', 'network-other'] : 'network-other';
      if (row === 'network-other') expect(rowOf(answer, row)?.bytes).toBe(bytes);
      else expect(rowOf(answer, 'network-sockets')?.bytes).toBeGreaterThan(UNREAD);
      expectNamed({ scene: 'page pools', before: before[at]!, after: answer, bytes: taken, row, owner });
    }
  });
});

// Debian's cloud kernels have no DRM.
describe.each(SOURCES)('buffers of GPUs: %s', (_, hide, sources) => {
  const guest = testGuest('newest-generic');
  beforeAll(async () => {
    const modules = ['drm_shmem_helper', 'ttm'];
    await guest.boot({ kdumpMem: true, memoryMiB: 2048, tools: ['buffers'], modules, insmod: ['gpu'] });
    await guest.run(`insmod /gpu.ko; ${hide}; ${PREPARE}`);
  });

  test('in shared memory and in pages of TTM are those of their device and its clients, a shared one once', async () => {
    const before = await answersOf(guest, sources);
    // Struct pages do not show which ones are TTM's: the kernel counts them only.
    const isCounted = before[0]?.source !== 'kcore';
    const scenes: { driver: string; row: string; own: number; pids: number[] }[] = [];
    for (const [driver, row, card, own] of [
      ['lab-shmem', 'shared', '/dev/dri/card0', 192 * MIB],
      ['lab-ttm', isCounted ? 'gpu' : 'unattributed', '/dev/dri/card1', 128 * MIB],
    ] as const)
      scenes.push({ driver, row, own, pids: await startBuffers(guest, card, own) });
    const decoy = await decoyOf(guest, 'gpu', 288 * MIB);
    for (const [at, after] of (await answersOf(guest, sources)).entries())
      for (const { driver, row, own, pids } of scenes) {
        const [bytes, shared] = [1.5 * own, own / 2];
        const owner = { kind: 'gpu', name: driver, pids } as const;
        expectNamed({ scene: `GPU ${driver}`, before: before[at]!, after, bytes, row, decoy, owner });
        if (driver === 'lab-ttm')
          expect(rowOf(after, 'gpu')).toMatchObject({ counterBytes: bytes, complete: isCounted });
        // Either client may be the only one that has the shared buffer.
        expect(after.named?.find(({ kind, name }) => kind === 'gpu' && name === driver)).toMatchObject({
          bytes,
          figures: { mostBytes: bytes + shared, deviceBytes: 0, clients: 2, silentClients: 0 },
          processes: [
            { pid: pids[0], comm: 'buffers', bytes },
            { pid: pids[1], comm: 'buffers', bytes: shared },
          ],
        });
      }
    const all = scenes.flatMap(({ pids }) => pids);
    const { processes } = procsSchema.parse(await jsonInGuest(guest, 'procs --live'));
    const sizes = processes.filter(({ pid }) => all.includes(pid)).map(({ rssBytes }) => rssBytes);
    // No RSS contains them.
    expect(sizes).toHaveLength(all.length);
    expect(Math.max(...sizes.map((bytes) => bytes ?? Number.NaN))).toBeLessThan(4 * MIB);
    const { findings } = triageSchema.parse(await jsonInGuest(guest, 'triage --live'));
    const figures = { bytes: 288 * MIB, mostBytes: 384 * MIB, device: 'lab-shmem', processBytes: 288 * MIB };
    // Those of the other device are below the least size of a finding.
    expect(findings.filter(({ code }) => code === 'gpu-memory')).toMatchObject([
      { figures: { ...figures, pid: scenes[0]?.pids[0], comm: 'buffers' } },
    ]);
  });
});
