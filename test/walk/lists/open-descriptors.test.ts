import { expect, test } from 'vitest';
import { openDescriptors } from '../../../src/walk/lists/open-descriptors.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { FixtureBase } from '../../support/overlaid-kernel.js';
import { Mounted } from './mounted.js';

const BASE = new FixtureBase('6.1');

/** Pid 1 has a file of each kind. */
class Descriptors extends Mounted {
  readonly table = this.make(8 * 64);
  readonly open = this.make(16);
  readonly fdt = this.make('fdtable', {
    max_fds: 64,
    fd: this.table,
    open_fds: this.open,
    close_on_exec: this.open + 8n,
  });
  readonly poll = this.make('eventpoll', { 'rbr.rb_root.rb_node': this.make('rb_node', { __rb_parent_color: 1 }) });
  readonly watches = this.make('fsnotify_group');
  readonly files: readonly bigint[];

  constructor() {
    super(BASE);
    const marks = this.at('fsnotify_group', this.watches, 'marks_list');
    this.link(marks, this.make(16), this.make(16));
    const memory = this.make('shmem_inode_info', { swapped: 1 });
    const inode = this.at('shmem_inode_info', memory, 'vfs_inode');
    this.set('inode', inode, { i_sb: this.superBlock, i_mapping: this.make('address_space', { nrpages: 2 }) });
    const dentry = this.dentry('memfd:pool', undefined, inode);
    this.set('dentry', dentry, { 'd_hash.pprev': 0 });
    const memfd = this.make('file', { f_inode: inode, 'f_path.dentry': dentry, 'f_path.mnt': this.internal() });
    this.files = [
      this.file('data'),
      this.#of('sockfs', 'socket', 0n),
      this.#of('anon_inodefs', '[eventpoll]', this.poll),
      this.#of('anon_inodefs', 'inotify', this.watches),
      memfd,
    ];
    for (const [fd, file] of this.files.entries()) this.word(this.table + BigInt(8 * fd), file);
    this.word(this.open, 2 ** this.files.length - 1);
    const files = this.make('files_struct', { fdt: this.fdt });
    this.set('task_struct', this.task(1), { files });
    this.set('signal_struct', BASE.table.processes[0]!.signal, { 'rlim[7].rlim_cur': 1024 });
  }

  /** A mount that only the kernel has. */
  internal(): bigint {
    const none = BigInt.asUintN(64, -22n);
    return this.at('mount', this.mounted(9, this.dentry('/'), { mnt_ns: none }), 'mnt');
  }

  #of(type: string, name: string, object: bigint): bigint {
    const superBlock = this.make('super_block', { s_type: this.make('file_system_type', { name: this.text(type) }) });
    const file = this.file(name, {}, superBlock);
    this.set('file', file, { private_data: object });
    return file;
  }
}

function descriptors(damage: (one: Descriptors) => void = () => {}) {
  const one = new Descriptors();
  damage(one);
  const warnings = new Warnings();
  return { ...openDescriptors(one.kernel(), 1, warnings), complete: warnings.complete, warnings: warnings.list() };
}

test('groups the descriptors of a process by kind', () => {
  const { groups, ...rest } = descriptors();
  expect(rest).toEqual({
    pid: 1,
    comm: 'init',
    count: 5,
    limit: 1024,
    passed: null,
    unreadable: 0,
    complete: true,
    warnings: [],
  });
  expect(groups.map(({ kind, items, bytes, names }) => [kind, items, bytes, names[0]?.name])).toEqual([
    ['file', null, null, '/data'],
    ['socket', null, null, 'socket'],
    ['epoll', 1, null, 'eventpoll'],
    ['inotify', 2, null, 'inotify'],
    ['memfd', null, 3 * 4096, 'memfd:pool'],
  ]);
});

test.each<readonly [string, RegExp, (one: Descriptors) => void]>([
  [
    'inode',
    /fd 0 of pid 1: file 0x\w+ has another inode than its dentry/,
    (one) => one.set('file', one.files[0]!, { f_inode: one.make('inode', { i_sb: one.superBlock }) }),
  ],
  ['file', /fd 1 of pid 1/, (one) => one.word(one.table + 8n, 8)],
  ['tree', /fd 2 of pid 1/, (one) => one.set('eventpoll', one.poll, { 'rbr.rb_root.rb_node': 8 })],
  ['list of watches', /fd 3 of pid 1/, (one) => one.word(one.at('fsnotify_group', one.watches, 'marks_list'), 8)],
  ['table', /descriptors of pid 1/, (one) => one.set('fdtable', one.fdt, { open_fds: 8 })],
])('reports a wrong %s', (_, message, damage) => {
  const { complete, warnings } = descriptors(damage);
  expect(complete).toBe(false);
  expect(warnings).toContainEqual(expect.objectContaining({ message: expect.stringMatching(message) }));
});

test('counts a descriptor that cannot be read', () => {
  expect(descriptors((one) => one.word(one.table + 8n, 8))).toMatchObject({ count: 5, unreadable: 1 });
});
