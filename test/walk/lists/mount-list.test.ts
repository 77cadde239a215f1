import { describe, expect, test } from 'vitest';
import { readList } from '../../../src/answers/info/lists/lists.js';
import { FixtureBase } from '../../support/overlaid-kernel.js';
import { Mounted } from './mounted.js';

/** The root and /mnt, in the list of a namespace, or in its tree since 6.8. */
class Mounts extends Mounted {
  readonly folder = this.dentry('mnt', this.root);
  readonly root2 = this.dentry('/');
  readonly second = this.mounted(2, this.root2, {
    mnt_parent: this.mount,
    mnt_mountpoint: this.folder,
    'mnt.mnt_flags': 0x43,
  });

  constructor(readonly isTree: boolean) {
    super(isTree ? NEW : OLD);
    const { namespace, second } = this;
    this.set('task_struct', this.task(1), { nsproxy: this.make('nsproxy', { mnt_ns: namespace }) });
    if (isTree) {
      const [first, other] = [this.mount, second].map((at) => this.at('mount', at, 'mnt_node')) as [bigint, bigint];
      this.set('rb_node', first, { __rb_parent_color: 1, rb_right: other });
      this.set('rb_node', other, { __rb_parent_color: first });
      this.set('mnt_namespace', namespace, { nr_mounts: 2, 'mounts.rb_node': first });
    } else {
      const nodes = [this.mount, second].map((at) => this.at('mount', at, 'mnt_list'));
      this.link(this.at('mnt_namespace', namespace, 'list'), ...nodes);
      this.set('mnt_namespace', namespace, { mounts: 2 });
    }
  }

  /** Leaves the namespace without mounts. */
  empty(): void {
    if (!this.isTree) this.link(this.at('mnt_namespace', this.namespace, 'list'));
    const tree = { nr_mounts: 0, 'mounts.rb_node': 0 };
    this.set('mnt_namespace', this.namespace, this.isTree ? tree : { mounts: 0 });
  }
}

const [OLD, NEW] = [new FixtureBase('6.1'), new FixtureBase('6.12')];

describe.each([
  ['list', false],
  ['tree', true],
])('mounts in a %s', (_, isTree) => {
  test('are listed with paths and options', () => {
    const { mounts, namespace, complete, warnings } = readList('mounts', new Mounts(isTree).kernel(), 1);
    expect([namespace, complete, warnings]).toEqual([4026531841, true, []]);
    expect(mounts).toMatchObject([
      { id: 1, path: '/', source: '/dev/sda1', fsType: 'ext4', device: '8:1', options: ['rw', 'sync', 'relatime'] },
      { id: 2, path: '/mnt', options: ['ro', 'sync', 'nosuid', 'nodev'] },
    ]);
  });

  type Members = Readonly<Record<string, bigint | number | string>>;
  const second = (members: Members) => (one: Mounts) => one.set('mount', one.second, members);
  const namespace = (members: Members) => (one: Mounts) => one.set('mnt_namespace', one.namespace, members);

  test.each<readonly [string, RegExp, (one: Mounts) => void]>([
    ['namespace', /mount 2 is listed in a mount namespace that is not its own/, second({ mnt_ns: 8 })],
    ['number', /counts 3 mounts, but 2 were found/, namespace({ [isTree ? 'nr_mounts' : 'mounts']: 3 })],
    ['super block', /^mount: .*super_block at 0x8/, second({ 'mnt.mnt_sb': 8 })],
    ['id', /two mounts have the id 1$/, second({ mnt_id: 1 })],
    [
      'device',
      /^mount 2: the file systems at 0x\w+ and 0x\w+ have the device 8:1$/,
      (one) => second({ 'mnt.mnt_sb': one.make('super_block', { s_type: one.type, s_dev: (8 << 20) | 1 }) })(one),
    ],
    [
      'root',
      /mount 2 has the file system at 0x\w+, but its root that at 0x8$/,
      (one) => one.set('dentry', one.root2, { d_sb: 8 }),
    ],
    ['empty tree', /counts 0 mounts, but 0 were found/, (one) => one.empty()],
    ['type', /super block 0x\w+ has no name/, (one) => one.set('file_system_type', one.type, { name: one.text('') })],
    [
      'list of the type',
      /the super block 0x\w+ is not one of its type "ext4"/,
      (one) => one.set('super_block', one.superBlock, { 's_instances.pprev': one.type }),
    ],
    ['source', /source of mount 2/, second({ mnt_devname: 8 })],
    ['mount point', /path of mount 2/, second({ mnt_mountpoint: 8 })],
    [
      'link',
      /^mounts: /,
      (one) => one.set('mount', one.second, { [isTree ? 'mnt_node.__rb_parent_color' : 'mnt_list.prev']: one.second }),
    ],
  ])('report a wrong %s', (_, message, damage) => {
    const one = new Mounts(isTree);
    damage(one);
    const { complete, warnings } = readList('mounts', one.kernel());
    expect(complete).toBe(false);
    expect(warnings).toContainEqual(expect.objectContaining({ message: expect.stringMatching(message) }));
  });
});

test('the cursor of a reader of /proc/mounts is no mount', () => {
  const one = new Mounts(false);
  one.set('mount', one.second, { 'mnt.mnt_flags': 0x1000_0000, 'mnt.mnt_sb': 0 });
  one.set('mnt_namespace', one.namespace, { mounts: 1 });
  expect(readList('mounts', one.kernel())).toMatchObject({ complete: true, mounts: [{ id: 1 }] });
});

test('a process that exits has no mounts', () => {
  const one = new Mounts(false);
  one.set('task_struct', one.task(1), { nsproxy: 0 });
  expect(() => readList('mounts', one.kernel(), 1)).toThrow('pid 1 has no namespaces: it is exiting');
});
