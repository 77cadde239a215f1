import { expect, test } from 'vitest';
import { blockedTasks } from '../../../src/account/blocked.js';
import { FixtureBase } from '../../support/overlaid-kernel.js';
import { Waiting } from './waiting.js';

const BASE = new FixtureBase('6.1');

/** The disk sda with one request, for whose bio pid 5 waits; ext4 on it. */
class Disk extends Waiting {
  readonly requests = this.make(8 * 4);
  readonly map = this.make('sbitmap_word', { word: 4 });
  readonly tags = this.make('blk_mq_tags', {
    nr_tags: 4,
    rqs: this.requests,
    'bitmap_tags.sb.depth': 4,
    'bitmap_tags.sb.shift': 6,
    'bitmap_tags.sb.map': this.map,
  });
  readonly context = this.make('blk_mq_hw_ctx', { tags: this.tags, queue_num: 0 });
  readonly tagSet = this.make('blk_mq_tag_set', { nr_hw_queues: 1 });
  readonly requestQueue = this.make('request_queue', {
    mq_ops: 1,
    tag_set: this.tagSet,
    nr_hw_queues: 1,
    'hctx_table.xa_head': this.context,
  });
  readonly part = this.make('block_device', { bd_dev: 8 << 20 });
  readonly disk = this.make('gendisk', { queue: this.requestQueue, part0: this.part, disk_name: 'sda', major: 8 });
  readonly completion = this.make('completion');
  readonly bio = this.make('bio', { bi_private: this.completion, bi_bdev: this.part });
  readonly request = this.make('request', {
    q: this.requestQueue,
    mq_hctx: this.context,
    tag: 2,
    state: 1,
    ref: 1,
    bio: this.bio,
  });

  constructor() {
    super(BASE);
    this.word(this.requests + 16n, this.request);
    this.set('block_device', this.part, { bd_disk: this.disk });
    this.set('request_queue', this.requestQueue, { disk: this.disk });
    const device = this.at('block_device', this.part, 'bd_device');
    this.set('device', device, { 'kobj.name': this.text('sda'), devt: 8 << 20 });
    const node = this.make('device_private', { device });
    const own = this.make('subsys_private');
    this.link(
      this.at('subsys_private', own, 'klist_devices.k_list'),
      this.at('device_private', node, 'knode_class.n_node'),
    );
    const object = this.at('kset', this.at('subsys_private', own, 'subsys'), 'kobj');
    this.set('kobject', object, { name: this.text('block') });
    const classes = this.make('kset');
    this.link(this.at('kset', classes, 'list'), this.at('kobject', object, 'entry'));
    this.symbols.class_kset = this.make(8);
    this.word(this.symbols.class_kset, classes);
    const waiter = this.waiter(5, 'swait_queue', 'wait_for_completion_io', 'submit_bio_wait');
    this.queue(this.at('completion', this.completion, 'wait.task_list'), 'swait_queue', waiter);
    this.word(waiter + 0x100n, this.bio);
  }

  /** A file system, in whose freeze pid 6 waits. @returns its super block */
  fileSystem(): bigint {
    const type = this.make('file_system_type', { name: this.text('ext4') });
    const at = this.make('super_block', {
      s_type: type,
      s_dev: 8 << 20,
      s_bdev: this.part,
      s_id: 'sda',
      's_writers.frozen': 2,
    });
    const node = this.at('super_block', at, 's_instances');
    this.word(this.at('file_system_type', type, 'fs_supers'), node);
    this.word(node + 8n, this.at('file_system_type', type, 'fs_supers'));
    this.link(this.symbols.super_blocks!, this.at('super_block', at, 's_list'));
    const lock = this.at('super_block', at, 's_writers.rw_sem');
    this.set('percpu_rw_semaphore', lock, { 'block.counter': 1 });
    const entry = this.waiter(6, 'wait_queue_entry', 'percpu_rwsem_wait');
    this.set('wait_queue_entry', entry, { func: this.wakes('percpu_rwsem_wake_function') });
    this.queue(this.at('percpu_rw_semaphore', lock, 'waiters.head'), 'wait_queue_entry', entry);
    return at;
  }
}

function devices(scene: (one: Disk) => void = () => {}) {
  const one = new Disk();
  scene(one);
  const { locks, complete, warnings } = blockedTasks(one.kernel());
  const of = (pid: number) => locks.find(({ waiters }) => waiters.some((each) => each.pid === pid));
  return { io: of(5), frozen: of(6), complete, messages: warnings.map(({ message }) => message) };
}

test('finds the disk for whose bio a task waits, and its requests', () => {
  const { io, complete, messages } = devices();
  expect([complete, messages]).toEqual([true, []]);
  expect(io).toMatchObject({
    kind: 'io',
    device: {
      name: 'sda',
      number: '8:0',
      frozen: false,
      requests: { outstanding: 1, started: 1, hardwareQueues: [0], oldestSeconds: null },
    },
  });
});

test('finds the file system that is frozen, and its disk', () => {
  const { frozen, complete, messages } = devices((one) => one.fileSystem());
  expect([complete, messages]).toEqual([true, []]);
  const device = { fileSystem: 'ext4', name: 'sda', number: '8:0', frozen: true };
  expect(frozen).toMatchObject({ kind: 'percpu-rw-semaphore', device });
});

test('a bio of another task is not waited for', () => {
  const { io, messages } = devices((one) => {
    one.set('bio', one.bio, { bi_private: 8 });
  });
  expect(io?.kind).toBe('completion');
  expect(messages).toContainEqual(expect.stringContaining('no bio or request is for its completion'));
});

const other = (one: Disk) => one.make('gendisk', { disk_name: 'sdb' });

type Members = Readonly<Record<string, bigint | number | string>>;
const map = (members: Members) => (one: Disk) => one.set('sbitmap_word', one.map, members);
const request = (members: Members) => (one: Disk) => one.set('request', one.request, members);
const tags = (members: Members) => (one: Disk) => one.set('blk_mq_tags', one.tags, members);
const tagSet = (members: Members) => (one: Disk) => one.set('blk_mq_tag_set', one.tagSet, members);
const requestQueue = (members: Members) => (one: Disk) => one.set('request_queue', one.requestQueue, members);
const disk = (members: Members) => (one: Disk) => one.set('gendisk', one.disk, members);
const fileSystem = (members: Members) => (one: Disk) => one.set('super_block', one.fileSystem(), members);

test.each<readonly [string, RegExp, (one: Disk) => void]>([
  ['tag', /with tag 2 of the queue at 0x\w+ is in use, but its tag is free/, map({ word: 0 })],
  ['state', /is free, but its tag is in use/, request({ ref: 0 })],
  ['request', /tag 3 of the queue at 0x\w+ is in use, but has no request/, map({ word: 12 })],
  ['queue of a request', /has a tag of another queue than its own/, request({ q: 8 })],
  ['depth', /have more bits than tags/, tags({ 'bitmap_tags.sb.depth': 5 })],
  ['number of reserved tags', /are none, or all reserved/, tags({ nr_reserved_tags: 4 })],
  ['word size', /the words of a map of tags have 2\^7 bits/, tags({ 'bitmap_tags.sb.shift': 7 })],
  ['number of tags', /a block device has 10241 tags/, tags({ nr_tags: 10_241 })],
  ['number of queues', /has fewer hardware queues than its tags/, tagSet({ nr_hw_queues: 2 })],
  ['kind of queue', /has tags according to one of two words/, requestQueue({ mq_ops: 0 })],
  ['freeze', /the queue of sda is frozen according to one of two words/, requestQueue({ mq_freeze_depth: 1 })],
  [
    'disk of a queue',
    /has a queue that is not its own/,
    (one) => one.set('request_queue', one.requestQueue, { disk: other(one) }),
  ],
  ['name', /and its device have different names or numbers/, disk({ disk_name: 'sdc' })],
  ...[0, 1, 3, 4, 5].map(
    (frozen) =>
      [
        `level of a freeze (${frozen})`,
        /is frozen according to one of two words/,
        fileSystem({ 's_writers.frozen': frozen, ...(frozen === 1 ? { 's_writers.rw_sem[1].block.counter': 1 } : {}) }),
      ] as const,
  ),
  [
    'list of file systems',
    /is not on the list of its file system/,
    (one) =>
      one.set('super_block', one.fileSystem(), { s_type: one.make('file_system_type', { name: one.text('xfs') }) }),
  ],
  ['device number', /names two devices, 8:1 and 8:0/, fileSystem({ s_dev: (8 << 20) + 1 })],
  ['device', /has the device number 8:0, but its s_bdev is 0x0/, fileSystem({ s_bdev: 0 })],
  ['name of a file system', /is on a disk that it does not name/, fileSystem({ s_id: 'vda' })],
  [
    'disk of a file system',
    /is on a disk that is not listed/,
    (one) =>
      one.set('super_block', one.fileSystem(), {
        s_bdev: one.make('block_device', { bd_dev: 8 << 20, bd_disk: other(one) }),
      }),
  ],
])('reports a wrong %s', (_, message, scene) => {
  const { complete, messages } = devices(scene);
  expect(complete).toBe(false);
  expect(messages).toContainEqual(expect.stringMatching(message));
});
