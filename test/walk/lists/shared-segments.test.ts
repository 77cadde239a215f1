import { expect, test } from 'vitest';
import { readList } from '../../../src/answers/info/lists/lists.js';
import { FixtureBase } from '../../support/overlaid-kernel.js';
import { Mounted } from './mounted.js';

const BASE = new FixtureBase('6.1');

/** One segment of 3 pages, 2 of which are in memory and one in swap, mapped by one area. */
class Segments extends Mounted {
  readonly node = this.make('rb_node', { __rb_parent_color: 1 });
  readonly info = this.make('shmem_inode_info', { swapped: 1 });
  readonly inode = this.at('shmem_inode_info', this.info, 'vfs_inode');
  readonly space = this.make('address_space', { nrpages: 2, host: this.inode, 'i_mmap.rb_root.rb_node': this.node });
  readonly pid = this.make('pid');
  readonly segment = this.make('shmid_kernel', {
    'shm_perm.key': 0x1234,
    'shm_perm.id': 32768 * 2,
    'shm_perm.uid.val': 1000,
    'shm_perm.mode': 0o1640,
    shm_file: this.make('file', { f_inode: this.inode }),
    shm_nattch: 1,
    shm_segsz: 3 * 4096,
    shm_cprid: this.pid,
    shm_atim: 1_700_000_000,
  });
  readonly ipc = this.make('ipc_namespace');
  readonly ids = this.at('ipc_namespace', this.ipc, 'ids') + 2n * BigInt(this.size('ipc_ids'));

  constructor() {
    super(BASE);
    this.set('inode', this.inode, { i_sb: this.superBlock, i_mapping: this.space, i_size: 3 * 4096 });
    this.set('upid', this.at('pid', this.pid, 'numbers'), { nr: 42 });
    this.set('ipc_ids', this.ids, { in_use: 1, 'ipcs_idr.idr_rt.xa_head': this.segment, max_idx: 0 });
    this.set('task_struct', this.task(1), { nsproxy: this.make('nsproxy', { ipc_ns: this.ipc }) });
  }
}

test('lists segments with their memory', () => {
  const { segments, complete, warnings } = readList('shared-memory', new Segments().kernel());
  expect([complete, warnings]).toEqual([true, []]);
  expect(segments).toMatchObject([
    {
      id: 65536,
      key: 0x1234n,
      uid: 1000,
      permissions: '640',
      removed: true,
      sizeBytes: 12288,
      attaches: 1,
      creatorPid: 42,
      lastPid: null,
      attachTime: '2023-11-14T22:13:20.000Z',
      detachTime: null,
      residentBytes: 8192,
      swapBytes: 4096,
    },
  ]);
});

type Members = Readonly<Record<string, bigint | number | string>>;
const ids = (members: Members) => (one: Segments) => one.set('ipc_ids', one.ids, members);
const segment = (members: Members) => (one: Segments) => one.set('shmid_kernel', one.segment, members);
const node = (members: Members) => (one: Segments) => one.set('rb_node', one.node, members);

test.each<readonly [string, RegExp, (one: Segments) => void]>([
  ['number', /in_use of shared memory is 2, but 1 segments were found/, ids({ in_use: 2 })],
  ['last index', /max_idx of shared memory is -1, but index 0 is in use/, ids({ max_idx: -1 })],
  ['id', /shared memory segment 65537: it has index 0/, segment({ 'shm_perm.id': 65537 })],
  ['size', /shm_segsz is 8192, but its file has 12288 bytes/, segment({ shm_segsz: 8192 })],
  ['host', /its pages belong to another file/, (one) => one.set('address_space', one.space, { host: one.node })],
  ['attaches', /shm_nattch is 2, but 1 areas map it/, segment({ shm_nattch: 2 })],
  ['tree', /shared memory segment 0x/, node({ __rb_parent_color: 0x101 })],
  ['file', /shared memory segment 0x/, segment({ shm_file: 8 })],
  ['table', /table of shared memory segments/, ids({ 'ipcs_idr.idr_rt.xa_head': 8194 })],
])('reports a wrong %s', (_, message, damage) => {
  const one = new Segments();
  damage(one);
  const { complete, warnings } = readList('shared-memory', one.kernel());
  expect(complete).toBe(false);
  expect(warnings).toContainEqual(expect.objectContaining({ message: expect.stringMatching(message) }));
});

test('a segment of huge pages is rounded up, and its memory is counted elsewhere', () => {
  const one = new Segments();
  one.set('file_system_type', one.type, { name: one.text('hugetlbfs') });
  one.set('inode', one.inode, { i_size: 2 ** 21 });
  const { segments, complete } = readList('shared-memory', one.kernel());
  expect([complete, segments[0]?.residentBytes, segments[0]?.swapBytes]).toEqual([true, null, null]);
});
