import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { STEP_MS } from '../../scripts/lab-parts/limits.mjs';
import { openNative } from '../../src/kernel/native/open.js';
import { perCpuAddress } from '../../src/walk/cpus.js';
import { KERNELS, labDump, labKdump, labKernel, labTool } from '../support/lab.js';
import { expectDrgnLists, expectReported, listsOf } from './info-lists.js';

test.each(KERNELS)('lists of a dump equal those of drgn, %s', (version) => {
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

test.each(KERNELS)('one changed word makes a list incomplete, %s', (version) => {
  const kernel = openNative({ files: [labDump(version).elf] });
  const { modules, mounts } = listsOf(kernel);
  const at = (address: string | undefined, type: string, ...paths: readonly string[]) => {
    const member = paths.flatMap((path) => kernel.struct(type)?.member(path) ?? [])[0];
    if (address === undefined || !member) throw new Error(`struct ${type} has no ${paths}`);
    return BigInt(address) + BigInt(member.offset);
  };
  const symbol = (name: string) => `0x${kernel.symbol(name)?.toString(16)}`;
  const used = modules.modules.find(({ usedBy }) => usedBy.length > 0)?.address;
  const [first, second] = modules.modules;
  const [mount] = mounts.mounts.slice(-1);
  const init = kernel.read(at(symbol('init_task'), 'task_struct', 'nsproxy'), 8);
  const proxy = `0x${init.getBigUint64(0, true).toString(16)}`;
  const pointerAt = (address: bigint) => `0x${kernel.read(address, 8).getBigUint64(0, true).toString(16)}`;
  const namespace = pointerAt(at(proxy, 'nsproxy', 'mnt_ns'));
  const shm = at(symbol('init_ipc_ns'), 'ipc_namespace', 'ids');
  const ids = `0x${(shm + 2n * BigInt(kernel.struct('ipc_ids')?.size ?? 0)).toString(16)}`;
  const queue = `0x${perCpuAddress(kernel, BigInt(symbol('runqueues')), 1).toString(16)}`;
  const loop = at(second?.address, 'module', 'list');
  const more = (value: bigint) => value + 1n;
  const most = BigInt.asUintN(64, -1n);
  try {
    expectReported(kernel, [
      ['modules', 'a list that loops', at(first?.address, 'module', 'list'), 8, () => loop - 16n],
      ['modules', 'next of the second module', loop, 8, () => loop],
      ['modules', 'next of the head', BigInt(symbol('modules')), 8, () => loop],
      ['modules', 'state', at(first?.address, 'module', 'state'), 4, () => 9n],
      // Since 6.13 code of modules shares huge pages.
      ...(['mem[0].size', 'mem[1].size'] as const).flatMap((size) => {
        const address = at(first?.address, 'module', 'core_layout.size', size);
        return [-4096n, 4096n].map(
          (more) => ['modules', `${size}: ${more}`, address, 4, (value: bigint) => value + more] as const,
        );
      }),
      ['modules', 'reference count', at(used, 'module', 'refcnt.counter'), 4, () => 1n],
      ['modules', 'users', at(used, 'module', 'source_list'), 8, () => at(used, 'module', 'source_list')],
      ['modules', 'kobject', at(first?.address, 'module', 'mkobj.mod'), 8, more],
      ['mounts', 'count', at(namespace, 'mnt_namespace', 'nr_mounts', 'mounts'), 4, more],
      ['mounts', 'namespace', at(mount?.address, 'mount', 'mnt_ns'), 8, more],
      [
        'mounts',
        'links',
        at(mount?.address, 'mount', kernel.struct('mnt_namespace')?.member('nr_mounts') ? 'mnt_node' : 'mnt_list'),
        8,
        more,
      ],
      ['swap', 'total', BigInt(symbol('total_swap_pages')), 8, more],
      ['swap', 'free', BigInt(symbol('nr_swap_pages')), 8, () => most],
      ['swap', 'number', BigInt(symbol('nr_swapfiles')), 4, () => 33n],
      ['segments', 'count', at(ids, 'ipc_ids', 'in_use'), 4, more],
      ['queues', 'nr_running', at(queue, 'rq', 'nr_running'), 4, more],
      ['queues', 'list', at(queue, 'rq', 'cfs_tasks'), 8, more],
      ['queues', 'tree', at(queue, 'rq', 'dl.root.rb_root.rb_node'), 8, () => loop],
      ['queues', 'on_rq', at(symbol('init_task'), 'task_struct', 'tasks'), 8, more],
    ]);
  } finally {
    kernel.close();
  }
});

// crash 9.0.2 cannot open a 7.2 kernel.
describe.each(KERNELS.filter((version) => version !== 'newest'))('lists compared with crash, %s', (version) => {
  test('equal its mod, mount, swap, ipcs and runq after a panic', () => {
    const [file = ''] = labKdump(version).formats['lzo-d31'];
    const said = execFileSync(labTool('crash'), ['-s', labKernel(version).vmlinux, file], {
      input: 'mod\nmount\nswap\nipcs -m\nrunq\nquit\n',
      timeout: STEP_MS,
    }).toString();
    const kernel = openNative({ files: [file] });
    const { modules, mounts, swap, segments, queues } = listsOf(kernel);
    kernel.close();
    const bare = (address: string) => address.slice(2).padStart(16, '0');
    const theirModules = said.matchAll(/^([0-9a-f]{16}) +(\S+) +[0-9a-f]{16} +(\d+) {2}/gm);
    // Sorted by address for some kernels.
    const byName = (rows: readonly string[]) => rows.toSorted();
    expect(byName(modules.modules.map((one) => `${bare(one.address)} ${one.name} ${one.sizeBytes}`))).toEqual(
      byName(Array.from(theirModules, ([, ...fields]) => fields.join(' '))),
    );
    const theirMounts = said.matchAll(/^([0-9a-f]{16}) ([0-9a-f]{16}) (\S+) +(\S+) +(\/\S*) *$/gm);
    expect(
      mounts.mounts.map((one) => [bare(one.address), bare(one.superBlock), one.fsType, one.source, one.path]),
    ).toEqual(Array.from(theirMounts, ([, ...fields]) => fields));
    expect(said).toMatch(/^SWAP_INFO_STRUCT .*\nSHMID_KERNEL .*\n\(none allocated\)$/m);
    expect([swap.devices, segments.segments]).toEqual([[], []]);
    const current = said.matchAll(/^CPU (\d+) RUNQUEUE: .*\n +CURRENT: PID: (\d+) /gm);
    expect(queues.cpus.map((one) => [one.cpu, one.current.pid])).toEqual(
      Array.from(current, ([, cpu, pid]) => [Number(cpu), Number(pid)]),
    );
    // Current tasks but the idle ones, and those that wait for a CPU.
    const listed = said.matchAll(/^ +(?:CURRENT:|\[ *\d+\]) PID: ([1-9]\d*) /gm);
    expect(queues.cpus.reduce((sum, { running }) => sum + running, 0)).toBe([...listed].length);
  });
});
