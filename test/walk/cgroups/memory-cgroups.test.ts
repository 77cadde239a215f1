import { expect, test } from 'vitest';
import { MemoryCgroups } from '../../../src/walk/cgroups/memory-cgroups.js';
import { made, madeKernel } from '../../support/made-kernel.js';
import { errorOf } from '../../support/native-errors.js';

const [SUBSYSTEM, GROUP, CGROUP, NODE, CHARGE] = [0x80, 0x100, 0x400, 0x600, 0x700];
const USAGES = ['memory.count.counter', 'memory.usage.counter'] as const;

/** A memory cgroup below the root; its cgroup is the root of its hierarchy, so its path is "/". */
function kernelWith(usage: (typeof USAGES)[number], isOnline = true, objects = false) {
  return madeKernel({
    structs: {
      mem_cgroup: { size: 256, members: { memory: [64, 64], [usage]: 64, 'memory.parent': 96 } },
      cgroup_subsys_state: { size: 64, members: { cgroup: 0, ss: 8, flags: [16, 4], parent: 24, online_cnt: [32, 4] } },
      cgroup_subsys: { size: 32, members: { id: [0, 4] } },
      cgroup: { size: 128, members: { subsys: [64, 24, 3], self: [0, 64], 'self.parent': 24, kn: 96 } },
      ...(objects ? { obj_cgroup: { size: 32, members: { memcg: 8 } } } : {}),
      task_struct: { size: 64, members: { cgroups: 0, cg_list: [8, 16] } },
      css_set: {
        size: 96,
        members: { subsys: [0, 24, 3], dfl_cgrp: 24, cgrp_links: [48, 16], tasks: [64, 16], mg_tasks: [80, 16] },
      },
      kernfs_node: { size: 64, members: { parent: 0, name: 8, hash: [16, 4], priv: 24 } },
      cgrp_cset_link: { size: 48, members: { cgrp: 0, cset: 8, cgrp_link: [16, 16] } },
    },
    symbols: { memory_cgrp_subsys: SUBSYSTEM, root_mem_cgroup: 0x90 },
    words: {
      [SUBSYSTEM]: [2, 4],
      [GROUP]: made(CGROUP),
      [GROUP + 8]: made(SUBSYSTEM),
      [GROUP + 16]: [isOnline ? 2 : 0, 4],
      [GROUP + 24]: made(0x800),
      [GROUP + 32]: [1, 4],
      [GROUP + 64]: 4711n,
      [GROUP + 96]: made(0x840),
      [CGROUP + 96]: made(NODE),
      [CGROUP + 80]: made(GROUP),
      [NODE + 24]: made(CGROUP),
      [CHARGE + 8]: made(GROUP),
    },
  });
}

test.each(USAGES)('counts a charge by %s (before 4.18, since)', (usage) => {
  const groups = new MemoryCgroups(kernelWith(usage));
  expect(groups.read(made(GROUP))).toEqual({
    address: made(GROUP),
    cgroup: made(CGROUP),
    path: '/',
    dying: false,
    above: made(0x800),
    usage: 4711,
  });
});

test('follows page charges to memory cgroups (before 5.9) or to their objcgs (since)', () => {
  const old = new MemoryCgroups(kernelWith(USAGES[0]));
  expect(old.charged(made(GROUP))).toBe(made(GROUP));
  expect(errorOf(() => old.charged(made(CHARGE)))).toMatchObject({ code: 'damaged' });
  const objects = new MemoryCgroups(kernelWith(USAGES[1], true, true));
  expect(objects.charged(made(CHARGE))).toBe(made(GROUP));
});

test('reports a memory cgroup with inconsistent online states as damaged', () => {
  const groups = new MemoryCgroups(kernelWith(USAGES[0], false));
  expect(() => groups.read(made(GROUP))).toThrow('has inconsistent online states');
});
