import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { openNative } from '../../src/kernel/native/open.js';
import { LAB_KERNELS, labDump, labKdump, labKernel, labTool } from '../support/lab.js';
import { expectDrgnLists, listsOf } from './info-lists.js';

test.each(LAB_KERNELS)('lists of a dump equal those of drgn, %s', (version) => {
  const { elf } = labDump(version);
  const kernel = openNative({ files: [elf] });
  try {
    const { modules, mounts, descriptors } = expectDrgnLists(kernel, elf, version);
    expect(modules.length).toBeGreaterThan(3);
    expect(mounts.length).toBeGreaterThan(3);
    expect(descriptors.some(({ kinds }) => (kinds.socket ?? 0) > 0)).toBe(true);
  } finally {
    kernel.close();
  }
});

// crash 9.0.2 cannot open a 7.2 kernel.
describe.each(LAB_KERNELS.filter((version) => version !== 'newest'))(
  'lists beside crash, %s',
  (version) => {
    test('equal its mod, mount, swap, ipcs and runq after a panic', () => {
      const [file = ''] = labKdump(version).formats['lzo-d31'];
      const said = execFileSync(labTool('crash'), ['-s', labKernel(version).vmlinux, file], {
        input: 'mod\nmount\nswap\nipcs -m\nrunq\nquit\n',
        timeout: 120_000,
      }).toString();
      const kernel = openNative({ files: [file] });
      const { modules, mounts, swap, segments, queues } = listsOf(kernel);
      kernel.close();
      const bare = (address: string) => address.slice(2).padStart(16, '0');
      const theirModules = said.matchAll(/^([0-9a-f]{16}) +(\S+) +[0-9a-f]{16} +(\d+) {2}/gm);
      // Sorted by address for some kernels.
      const byName = (rows: readonly string[]) => rows.toSorted();
      expect(
        byName(modules.modules.map((one) => `${bare(one.address)} ${one.name} ${one.sizeBytes}`)),
      ).toEqual(byName(Array.from(theirModules, ([, ...fields]) => fields.join(' '))));
      const theirMounts = said.matchAll(
        /^([0-9a-f]{16}) ([0-9a-f]{16}) (\S+) +(\S+) +(\/\S*) *$/gm,
      );
      expect(
        mounts.mounts.map((one) => [
          ...[bare(one.address), bare(one.superBlock), one.fsType, one.source, one.path],
        ]),
      ).toEqual(Array.from(theirMounts, ([, ...fields]) => fields));
      expect(said).toMatch(/^SWAP_INFO_STRUCT .*\nSHMID_KERNEL .*\n\(none allocated\)$/m);
      expect([swap.devices, segments.segments]).toEqual([[], []]);
      const current = said.matchAll(/^CPU (\d+) RUNQUEUE: .*\n +CURRENT: PID: (\d+) /gm);
      expect(queues.cpus.map((one) => [one.cpu, one.current.pid])).toEqual(
        Array.from(current, ([, cpu, pid]) => [Number(cpu), Number(pid)]),
      );
      expect(queues.cpus.reduce((sum, { running }) => sum + running, 0)).toBe(1);
    });
  },
);
