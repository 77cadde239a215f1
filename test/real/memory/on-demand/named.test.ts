import { beforeAll, describe, expect, test } from 'vitest';
import { type MemoryJson, memorySchema } from '../../../../src/contracts/memory.js';
import { jsonInGuest, testGuest } from '../../../support/guest.js';
import { expectNamed } from '../../../support/named-growth.js';

const MIB = 2 ** 20;
/** Text of the kernel: it can be compressed, and its pages differ. */
const TEXT = 140;

// Of the kernels of the lab, this one has CONFIG_ZSWAP.
describe.each([
  ['with /proc/kcore', 'true'],
  ['without', 'mount --bind /dev/null /proc/kcore'],
])('zswap: %s', (_, hide) => {
  const guest = testGuest('6.1-rt');
  const numberIn = async (command: string) => Number(await guest.output(command));
  const answerOf = async (source: string) => memorySchema.parse(await jsonInGuest(guest, `memory ${source}`));

  const SOURCES = ['--live', '--live --source counters'];
  const first = new Map<string, MemoryJson>();

  beforeAll(async () => {
    await guest.boot({ kdumpMem: true, modules: ['zram', 'lzo_rle'], memoryMiB: 1536 });
    await guest.run(`mkdir -p /sys/fs/cgroup /text
      [ -e /sys/fs/cgroup/cgroup.controllers ] || mount -t cgroup2 none /sys/fs/cgroup
      echo +memory > /sys/fs/cgroup/cgroup.subtree_control; mkdir /sys/fs/cgroup/swapped /sys/fs/cgroup/decoy
      mount -t tmpfs none /text; ${hide}`);
    await guest.run('echo 400M > /sys/block/zram0/disksize; mkswap /dev/zram0 >/dev/null; swapon /dev/zram0');
    await guest.run(
      'echo 1 > /sys/module/zswap/parameters/enabled; echo 50 > /sys/module/zswap/parameters/max_pool_percent',
    );
    for (const source of SOURCES) first.set(source, await answerOf(source));
    const fill = (cgroup: string) => `(echo 0 > /sys/fs/cgroup/${cgroup}/cgroup.procs
      cat /proc/kallsyms > /text/${cgroup}-one; while [ $(du -sm /text/${cgroup}* | awk '{s+=$1}END{print s}') -lt ${TEXT} ]
      do cat /text/${cgroup}-one >> /text/${cgroup}; done)`;
    await guest.run(`echo 40M > /sys/fs/cgroup/swapped/memory.max; ${fill('swapped')}; ${fill('decoy')}`);
  });

  test('its pool has the size of the counter, and belongs to the cgroup whose pages it has', async () => {
    const before = await numberIn('cat /sys/fs/cgroup/swapped/memory.zswap.current');
    expect(before).toBeGreaterThan(16 * MIB);
    expect(await numberIn('cat /sys/fs/cgroup/decoy/memory.zswap.current')).toBe(0);
    const pool = 1024 * (await numberIn("awk '/^Zswap:/{print $2}' /proc/meminfo"));
    for (const source of SOURCES) {
      const answer = await answerOf(source);
      const [whole, ...cgroups] = answer.named?.filter(({ kind }) => kind === 'zswap') ?? [];
      const owner = { kind: 'zswap', name: 'zswap' } as const;
      const row = answer.source === 'kcore' ? {} : { row: 'compressed' };
      expectNamed({ scene: 'zswap', before: first.get(source)!, after: answer, bytes: pool, owner, ...row });
      expect(cgroups).toHaveLength(1);
      expect(cgroups[0]?.name).toContain('/swapped');
      expect(Math.abs((cgroups[0]?.bytes ?? 0) / before - 1)).toBeLessThanOrEqual(0.02);
      // Its default pool (zbud) has no mark in page frames.
      expect(whole?.figures['unmarkedBytes']).toBeGreaterThan(0.98 * pool);
      expect(whole?.category).toBe(answer.source === 'kcore' ? null : 'compressed');
      expect(answer.memory.children.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(answer.memory.bytes);
    }
  });
});
