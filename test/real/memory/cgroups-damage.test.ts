import { describe, expect, test } from 'vitest';
import type { CgroupsAnswer } from '../../../src/account/memory/cgroups.js';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { type Damage, together, UNDAMAGED } from '../../support/damaged-kernel.js';
import { dumpKernel } from '../../support/opened-kernel.js';

// For any damage to a charge, the rows sum to all memory, and lost data is reported.
const { kernel, addressOf, read, set, add, lose, damagedBy } = dumpKernel('6.1');
const root = read('root_mem_cgroup');
const css = (member: string) => addressOf(root, `cgroup_subsys_state.${member}`);

const sumOf = ({ cgroups, uncharged, slabs, unnamed }: CgroupsAnswer) =>
  [...cgroups, uncharged, slabs, ...unnamed].reduce((sum, { bytes }) => sum + bytes, 0);

const answerWith = (damage: Damage) => accountMemory(damagedBy(damage), undefined, { cgroups: true });

/** The `struct page` of a page of shared memory, which is charged to the root. */
function chargedPage(): bigint {
  for (let frame = 0x2000; frame < 0x1f000; frame++) {
    const page = kernel.pages.pageOfFrame(frame);
    if (read(page, 'page.memcg_data') === root) return page;
  }
  throw new Error('no page is charged');
}

describe('reports a damaged word about a cgroup, and loses no byte', () => {
  const cases: readonly (readonly [string, () => Damage, code: string])[] = [
    ['a charge that leads to no cgroup', () => set(chargedPage(), 'page.memcg_data', root + 0x40n), 'corrupt'],
    ['a charge that leads nowhere', () => set(chargedPage(), 'page.memcg_data', 0xffff_c000_0000_0000n), 'unreadable'],
    ['a cgroup of another subsystem', () => set(root, 'cgroup_subsys_state.ss', css('ss')), 'corrupt'],
    ['a tree that is torn', () => set(root, 'cgroup_subsys_state.children', css('sibling')), 'torn-list'],
    ['a cgroup that is not there', () => lose(read(css('cgroup')), 4096), 'unreadable'],
    ['a cgroup of another folder', () => set(read(css('cgroup')), 'cgroup.kn', css('ss')), 'corrupt'],
    ['a memory cgroup of another cgroup', () => add(root, 'cgroup_subsys_state.cgroup', 8n), 'corrupt'],
    ['a cgroup that counts as removed', () => set(root, 'cgroup_subsys_state.flags', 0n), 'corrupt'],
    ['a cgroup whose count says that', () => set(root, 'cgroup_subsys_state.online_cnt', 0n), 'corrupt'],
    [
      'a cgroup that counts less than it is charged for',
      () => together(set(root, 'cgroup_subsys_state.parent', root), set(root, 'mem_cgroup.memory.usage.counter', 1n)),
      'corrupt',
    ],
  ];
  test.each(cases)('%s', (_, damage, code) => {
    const answer = answerWith(damage());
    expect(answer.warnings.map((warning) => warning.code)).toContain(code);
    expect(answer.complete).toBe(false);
    if (answer.cgroups) expect(sumOf(answer.cgroups)).toBe(answer.memory.bytes);
  });

  test('reports nothing about an undamaged dump', () => {
    const answer = answerWith(UNDAMAGED);
    expect(answer.warnings).toEqual([]);
    expect(answer.cgroups && sumOf(answer.cgroups)).toBe(answer.memory.bytes);
    expect(answer.cgroups?.cgroups.map(({ path }) => path)).toEqual(['/']);
  });
});
