import { describe, expect, test } from 'vitest';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { scanFrames } from '../../../src/walk/memory/frame-scan.js';
import { FrameMap } from '../../../src/walk/memory/page-array.js';
import { ramRanges } from '../../../src/walk/memory/ram.js';
import { openFiles } from '../../../src/walk/tasks/files.js';
import { taskTable } from '../../../src/walk/tasks/task-table.js';
import type { Damage } from '../../support/damaged-kernel.js';
import { dumpKernel } from '../../support/opened-kernel.js';

// For any damage to a file, the rows sum to the categories, and lost data is reported.
const { kernel, addressOf, offset, read, set, lose, damagedBy } = dumpKernel('6.1');

const { files } = scanFrames(kernel, new FrameMap(ramRanges(kernel)));
const [{ mapping = 0n } = {}] = files.largest();
const inode = read(mapping);
/** The dentry of an inode. */
const nameOf = (one: bigint) => read(one, 'inode.i_dentry') - offset('dentry.d_u.d_alias');
const dentry = nameOf(inode);
const name = read(dentry, 'dentry.d_name.name');
const superBlock = read(inode, 'inode.i_sb');

// A file of another file system, mounted on /run, and one that a process has open.
const other = [...files.largest()]
  .map((one) => read(one.mapping))
  .find((one) => read(one, 'inode.i_sb') !== superBlock)!;
const run = read(other, 'inode.i_sb');
const mount = read(run, 'super_block.s_mounts') - offset('mount.mnt_instance');
const open = taskTable(kernel)
  .processes.filter(({ kernelThread }) => !kernelThread)
  .flatMap((task) => [...openFiles(kernel, task)].map(({ file }) => file))
  .find((file) => isRegular(read(file, 'file.f_inode')))!;

function isRegular(one: bigint): boolean {
  return (read(one, 'inode.i_mode') & 0o170000n) === 0o100000n;
}

describe('reports a damaged word about a file, and loses no byte', () => {
  const cases: readonly (readonly [string, Damage, string])[] = [
    ['how many pages it has', set(mapping, 'address_space.nrpages', 1n), 'corrupt'],
    ['a tree of mappings that has no root', set(mapping, 'address_space.i_mmap', 0n), 'corrupt'],
    ['a tree of mappings that has no first', set(mapping, 'address_space.i_mmap.rb_leftmost', 0n), 'corrupt'],
    ['no inode', set(mapping, 8, 0n), 'corrupt'],
    ['an inode that is another’s', set(mapping, 8, inode + 0x1000n), 'corrupt'],
    ['an inode that is not there', lose(inode, 'inode.i_sb'), 'unreadable'],
    ['a file system that is not there', lose(superBlock, 'super_block.s_type'), 'unreadable'],
    ['a name of another file', set(dentry, 'dentry.d_inode', inode + 8n), 'corrupt'],
    ['a name that is another', set(name, 1, 0x78n), 'corrupt'],
    ['a directory of another file', set(dentry, 'dentry.d_parent', read(nameOf(other), 'dentry.d_parent')), 'corrupt'],
    ['no directory', set(dentry, 'dentry.d_parent', dentry), 'corrupt'],
    ['a file system that is another', set(inode, 'inode.i_sb', run), 'corrupt'],
    ['a mount point that is another', set(mount, 'mount.mnt_mountpoint', dentry), 'corrupt'],
    ['the LRU lists', set('lru_gen_caps', 4, 1n), 'corrupt'],
    ['an open file with the pages of another', set(open, 'file.f_mapping', mapping), 'corrupt'],
    ['a folder within itself', set(dentry, 'dentry.d_parent', dentry + 8n), 'corrupt'],
    ['a name without end', set(dentry, 'dentry.d_name.len', 0xffff_ffffn), 'corrupt'],
    ['a name that is not there', lose(read(dentry, 'dentry.d_name.name'), 8), 'unreadable'],
  ];
  test.each(cases)('%s', (_, damage, code) => {
    const answer = accountMemory(damagedBy(damage), undefined, { files: true });
    expect(answer.warnings.map((warning) => warning.code)).toContain(code);
    expect(answer.complete).toBe(false);
    const all = [...(answer.files?.files ?? []), ...(answer.files?.unnamed ?? [])];
    const leaves = answer.memory.children.flatMap(({ children }) => children);
    const bytes = (name: string) => leaves.find(({ category }) => category === name)?.bytes ?? 0;
    const sum = all.reduce((total, one) => total + one.bytes, 0);
    expect(sum).toBe(bytes('page-cache') + bytes('shared'));
  });

  test('reports that use of secret memory is unknown', () => {
    const { memory, complete } = accountMemory(damagedBy(lose('secretmem_users', 8)));
    const secret = memory.children.flatMap(({ children }) => children).find(({ category }) => category === 'secret');
    expect(secret).toMatchObject({ frames: 0, complete: false });
    expect(complete).toBe(false);
  });

  test('a looping chain of dentries terminates', () => {
    const node = addressOf(dentry, 'dentry.d_u.d_alias');
    const damaged = damagedBy(set(dentry, 'dentry.d_hash.pprev', 0n), set(node, 8, node));
    const { files: found } = accountMemory(damaged, undefined, { files: true });
    expect(found?.files[0]).toMatchObject({ path: '/bin/busybox', deleted: true });
  });
});
