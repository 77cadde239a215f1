import { beforeAll, describe, expect, test } from 'vitest';
import { machineProgram } from '../../../../scripts/lab-parts/programs.mjs';
import { CAPTURE_SCRIPT } from '../../../../src/capture/read/script.js';
import { type MemoryJson, memorySchema } from '../../../../src/contracts/memory.js';
import { procsSchema } from '../../../../src/contracts/procs.js';
import { triageSchema } from '../../../../src/contracts/triage.js';
import { inGuest, jsonInGuest, testGuest } from '../../../support/guest.js';
import { expectNamed } from '../../../support/named-growth.js';

const MIB = 2 ** 20;
const [ONCE, TWICE] = [64, 24];

/** How programs of this machine, and those of the snapshot's script, get into the guest. */
const PROGRAMS = ['/usr/bin/perl', '/usr/bin/rdma', '/usr/bin/cksum', '/usr/bin/printenv'].flatMap(machineProgram);

const LIVE = [
  ['with /proc/kcore', '--live'],
  ['without', '--live --source counters'],
] as const;

// Debian's cloud kernels have no rdma_rxe.
describe.each([
  { kernel: '6.1-rt', kinds: ['rdma', 'uring'] },
  { kernel: 'newest', kinds: ['uring'] },
] as const)('pinned buffers: $kernel', ({ kernel, kinds }) => {
  const guest = testGuest(kernel);
  const pids = new Map<string, number>();
  const before = new Map<string, MemoryJson>();

  beforeAll(async () => {
    await guest.boot({
      kdumpMem: true,
      memoryMiB: 2048,
      tools: ['pins'],
      modules: ['rdma_rxe', 'ib_uverbs', 'crc32_generic'],
      files: [...PROGRAMS, { path: 'snapshot.sh', data: CAPTURE_SCRIPT }],
    });
    if (kinds.some((kind) => kind === 'rdma')) await guest.run('/usr/bin/rdma link add rxe0 type rxe netdev eth0');
    for (const [, source] of LIVE) before.set(source, await answerOf(source));
    for (const kind of kinds)
      for (const [mib, times] of [
        [ONCE, 1],
        [TWICE, 2],
      ] as const) {
        const name = `/tmp/${kind}-${times}`;
        await guest.run(
          `(pins ${kind} ${mib} ${times} > ${name} 2>&1 &); until [ -s ${name} ]; do usleep 100000; done`,
        );
        pids.set(`${kind} ${times}`, Number(await guest.output(`cat ${name}`)));
      }
    const { status, output } = await inGuest(guest, 'snapshot -o /native.tar.gz --tmpfs --interval 0.1 --timeout 300');
    expect([status, output.toString()]).toEqual([0, expect.any(String)]);
    await guest.run('sh /snapshot.sh --tmpfs /shell.tar.gz 0');
  });

  /** An emulated CPU may be too slow for the time limit of descriptors. */
  const isLate = ({ notRead }: MemoryJson) =>
    notRead.some(({ why }) => why.startsWith('only a part of the descriptors'));
  const answerOf = async (source: string): Promise<MemoryJson> => {
    for (let left = 3; ; left--) {
      const answer = memorySchema.parse(await jsonInGuest(guest, `memory ${source}`));
      if (left === 0 || !isLate(answer)) return answer;
    }
  };

  const SOURCES = [
    ...LIVE,
    ['in a snapshot', '--from /native.tar.gz'],
    ['in a snapshot of the script', '--from /shell.tar.gz'],
  ] as const;
  test.each(SOURCES)('are those of their processes, each once: %s', async (_, source) => {
    const after = await answerOf(source);
    const { named, notRead } = after;
    expect(notRead).toEqual([]);
    const pinned = named?.filter(({ kind }) => kind === 'pinned') ?? [];
    const processes = (kind: string, ofTwice: number) => [
      { pid: pids.get(`${kind} 1`), comm: 'pins', bytes: ONCE * MIB },
      { pid: pids.get(`${kind} 2`), comm: 'pins', bytes: ofTwice * MIB },
    ];
    expect(pinned.find(({ name }) => name === 'io_uring')).toMatchObject({
      bytes: (ONCE + TWICE) * MIB,
      figures: { mostBytes: (ONCE + TWICE) * MIB, busyRings: 0 },
      processes: processes('uring', TWICE),
    });
    // Regions have no addresses: two may be of the same memory.
    if (kinds.some((kind) => kind === 'rdma'))
      expect(pinned.find(({ name }) => name === 'RDMA')).toMatchObject({
        bytes: (ONCE + TWICE) * MIB,
        figures: { regions: 3, mostBytes: (ONCE + 2 * TWICE) * MIB },
        processes: processes('rdma', 2 * TWICE),
      });
    expect(pinned).toHaveLength(kinds.length);
    const first = before.get(source);
    if (!first) return;
    const bytes = (ONCE + TWICE) * MIB;
    for (const kind of kinds) {
      const owner = { kind: 'pinned', name: { rdma: 'RDMA', uring: 'io_uring' }[kind] } as const;
      const own = [1, 2].map((times) => pids.get(`${kind} ${times}`) ?? Number.NaN);
      expectNamed({ scene: `${kernel} ${kind}`, before: first, after, bytes, owner: { ...owner, pids: own } });
    }
    // Each program has as much memory that is not pinned.
    const all = {
      bytes: kinds.length * bytes,
      row: 'anonymous',
      rowPids: [...pids.values()],
      decoy: { row: 'anonymous', bytes: kinds.length * bytes },
    };
    expectNamed({ scene: `${kernel} pins`, before: first, after, ...all });
  });

  test('the rdma command lists the same regions', async () => {
    if (!kinds.some((kind) => kind === 'rdma')) return;
    const regions = JSON.parse(await guest.output('/usr/bin/rdma -j res show mr')) as { mrlen: number; pid: number }[];
    expect(regions.map(({ mrlen, pid }) => [pid, mrlen]).toSorted()).toEqual(
      [
        [pids.get('rdma 1'), ONCE * MIB],
        [pids.get('rdma 2'), TWICE * MIB],
        [pids.get('rdma 2'), TWICE * MIB],
      ].toSorted(),
    );
  });
});

// The kernels of the lab lack CONFIG_IOMMUFD.
describe.each(['6.1', 'newest'] as const)('pages that VFIO pinned: %s', (kernel) => {
  const AMOUNT = 256;
  const guest = testGuest(kernel);
  const pids = new Map<string, number>();
  const before = new Map<string, MemoryJson>();
  const answerOf = async (source: string) => memorySchema.parse(await jsonInGuest(guest, `memory ${source}`));

  beforeAll(async () => {
    await guest.boot({
      kdumpMem: true,
      memoryMiB: 2048,
      tools: ['pins', 'takeuser'],
      modules: ['vfio_iommu_type1', 'vfio_pci'],
      append: 'intel_iommu=on',
      qemu: ['-machine', 'q35', '-device', 'intel-iommu', '-device', 'edu'],
    });
    for (const [, source] of LIVE) before.set(source, await answerOf(source));
    await guest.run(`cd /sys/bus/pci/devices; device=$(grep -l 0x11e8 */device | cut -d/ -f1)
      echo vfio-pci > $device/driver_override; echo $device > /sys/bus/pci/drivers_probe`);
    for (const [name, command] of [
      ['vfio', `pins vfio ${AMOUNT}`],
      // A decoy as large, whose memory is locked.
      ['locked', `takeuser locked ${AMOUNT * MIB}`],
    ] as const) {
      await guest.run(`(${command} > /tmp/${name} 2>&1 & echo $! > /tmp/${name}-pid)
        until [ -s /tmp/${name} ]; do usleep 100000; done`);
      pids.set(name, Number(await guest.output(`cat /tmp/${name}-pid`)));
    }
    expect(await guest.output('cat /tmp/vfio')).toBe(`${pids.get('vfio')}\n`);
    expect(await guest.output('cat /tmp/locked')).toBe(`ready ${AMOUNT * MIB}\n`);
  });

  test.each(LIVE)('are anonymous memory of their process: %s', async (_, source) => {
    const bytes = AMOUNT * MIB;
    // The program has as much memory beside it.
    const rowPids = [...pids.values()];
    const taken = { bytes, row: 'anonymous', rowPids, decoy: { row: 'anonymous', bytes: 2 * bytes } };
    expectNamed({ scene: `${kernel} VFIO`, before: before.get(source)!, after: await answerOf(source), ...taken });
  });

  test.each([
    ['with /proc/kcore', 'true'],
    ['without', 'mount --bind /dev/null /proc/kcore'],
  ])('are pinned by their process, and mlocked ones of another are none: %s', async (_, hide) => {
    const bytes = AMOUNT * MIB;
    await guest.run(hide);
    const { findings } = triageSchema.parse(await jsonInGuest(guest, 'triage --live'));
    const pinned = findings.filter(({ code }) => code === 'pinned-pages');
    expect(pinned).toMatchObject([
      { figures: { pid: pids.get('vfio'), comm: 'pins', kinds: 'VFIO', pinnedBytes: bytes } },
    ]);
    const pinnedOf = async (command: string) => {
      const { processes } = procsSchema.parse(await jsonInGuest(guest, command));
      return ['vfio', 'locked'].map((name) => processes.find(({ pid }) => pid === pids.get(name))?.pinnedBytes);
    };
    expect(await pinnedOf(pinned[0]?.next ?? '')).toEqual([bytes, 0]);
    // The smaps of a large process are not read then.
    expect(await pinnedOf('procs --sort pinned')).toEqual([null, 0]);
  });
});
