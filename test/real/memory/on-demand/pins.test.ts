import { beforeAll, describe, expect, test } from 'vitest';
import { machineProgram } from '../../../../scripts/lab-parts/programs.mjs';
import { CAPTURE_SCRIPT } from '../../../../src/capture/read/script.js';
import { type MemoryJson, memorySchema } from '../../../../src/contracts/memory.js';
import { inGuest, jsonInGuest, testGuest } from '../../../support/guest.js';

const MIB = 2 ** 20;
const MAX_MS = 900_000;
const [ONCE, TWICE] = [64, 24];

/** How programs of this machine, and those of the snapshot's script, get into the guest. */
const PROGRAMS = ['/usr/bin/perl', '/usr/bin/rdma', '/usr/bin/cksum', '/usr/bin/printenv'].flatMap(machineProgram);

// Debian's cloud kernels have no rdma_rxe.
describe.each([
  { kernel: '6.1-rt', kinds: ['rdma', 'uring'] },
  { kernel: 'newest', kinds: ['uring'] },
] as const)('pinned buffers: $kernel', ({ kernel, kinds }) => {
  const guest = testGuest(kernel, MAX_MS);
  const pids = new Map<string, number>();

  beforeAll(async () => {
    await guest.boot({
      kdumpMem: true,
      memoryMiB: 2048,
      tools: ['pins'],
      modules: ['rdma_rxe', 'ib_uverbs', 'crc32_generic'],
      files: [...PROGRAMS, { path: 'snapshot.sh', data: CAPTURE_SCRIPT }],
    });
    if (kinds.some((kind) => kind === 'rdma')) await guest.run('/usr/bin/rdma link add rxe0 type rxe netdev eth0');
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
    const { status, output } = await inGuest(
      guest,
      'snapshot -o /native.tar.gz --tmpfs --interval 0.1 --timeout 300',
      MAX_MS,
    );
    expect([status, output.toString()]).toEqual([0, expect.any(String)]);
    await guest.run('sh /snapshot.sh --tmpfs /shell.tar.gz 0');
  }, MAX_MS);

  /** An emulated CPU may be too slow for the time limit of descriptors. */
  const isLate = ({ notRead }: MemoryJson) =>
    notRead.some(({ why }) => why.startsWith('only a part of the descriptors'));
  const answerOf = async (source: string): Promise<MemoryJson> => {
    for (let left = 3; ; left--) {
      const answer = memorySchema.parse(await jsonInGuest(guest, `memory ${source}`, MAX_MS));
      if (left === 0 || !isLate(answer)) return answer;
    }
  };

  const SOURCES = [
    ['with /proc/kcore', '--live'],
    ['without', '--live --source counters'],
    ['in a snapshot', '--from /native.tar.gz'],
    ['in a snapshot of the script', '--from /shell.tar.gz'],
  ] as const;
  test.each(SOURCES)('are those of their processes, each once: %s', async (_, source) => {
    const { named, notRead } = await answerOf(source);
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
