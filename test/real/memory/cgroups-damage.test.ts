import { afterAll, describe, expect, test } from 'vitest';
import type { CgroupsAnswer } from '../../../src/account/memory/cgroups.js';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { needSymbol } from '../../../src/walk/cpus.js';
import { type Damage, damagedKernel, UNDAMAGED } from '../../support/damaged-kernel.js';
import { labDump } from '../../support/lab.js';
import { littleEndian } from '../../support/little-endian.js';

// For any damage to a charge, the rows sum to all memory, and lost data is reported.
const kernel = openNative({ files: [labDump('6.1').elf] });
afterAll(() => kernel.close());

const offset = (struct: string, member: string) => BigInt(kernel.struct(struct)?.member(member)?.offset ?? Number.NaN);
const word = (address: bigint, value: bigint, bytes = 8): Damage => ({
  patches: [{ address, bytes: littleEndian(value, bytes) }],
  denials: [],
});
const wordAt = (address: bigint) => kernel.read(address, 8).getBigUint64(0, true);
const root = wordAt(needSymbol(kernel, 'root_mem_cgroup'));
const css = (member: string) => root + offset('cgroup_subsys_state', member);

const sumOf = ({ cgroups, uncharged, slabs, unnamed }: CgroupsAnswer) =>
  [...cgroups, uncharged, slabs, ...unnamed].reduce((sum, { bytes }) => sum + bytes, 0);

const answerWith = (damage: Damage) => accountMemory(damagedKernel(kernel, damage), undefined, { cgroups: true });

/** The `struct page` of a page of shared memory, which is charged to the root. */
function chargedPage(): bigint {
  const page = kernel.struct('page');
  for (let frame = 0x2000; frame < 0x1f000; frame++) {
    const at = kernel.pages.pageOfFrame(frame);
    if (wordAt(at + BigInt(page?.member('memcg_data')?.offset ?? 0)) === root) return at;
  }
  throw new Error('no page is charged');
}

describe('reports a damaged word about a cgroup, and loses no byte', () => {
  const cases: readonly (readonly [string, () => Damage, code: string])[] = [
    [
      'a charge that leads to no cgroup',
      () => word(chargedPage() + offset('page', 'memcg_data'), root + 0x40n),
      'corrupt',
    ],
    [
      'a charge that leads nowhere',
      () => word(chargedPage() + offset('page', 'memcg_data'), 0xffff_c000_0000_0000n),
      'unreadable',
    ],
    ['a cgroup of another subsystem', () => word(css('ss'), css('ss')), 'corrupt'],
    ['a tree that is torn', () => word(css('children'), css('sibling')), 'torn-list'],
    [
      'a cgroup that is not there',
      () => ({
        patches: [],
        denials: [{ address: wordAt(css('cgroup')), length: 4096, code: 'filtered' }],
      }),
      'unreadable',
    ],
    ['a cgroup of another folder', () => word(wordAt(css('cgroup')) + offset('cgroup', 'kn'), css('ss')), 'corrupt'],
    ['a memory cgroup of another cgroup', () => word(css('cgroup'), wordAt(css('cgroup')) + 8n), 'corrupt'],
    ['a cgroup that counts as removed', () => word(css('flags'), 0n, 4), 'corrupt'],
    ['a cgroup whose count says that', () => word(css('online_cnt'), 0n, 4), 'corrupt'],
    ['a cgroup that counts less than it is charged for', () => word(css('parent'), root), 'corrupt'],
  ];
  test.each(cases)('%s', (what, damage, code) => {
    const changes = damage();
    const patches =
      what === 'a cgroup that counts less than it is charged for'
        ? [...changes.patches, ...word(root + offset('mem_cgroup', 'memory.usage.counter'), 1n).patches]
        : changes.patches;
    const answer = answerWith({ ...changes, patches });
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
