import { afterAll, describe, expect, test } from 'vitest';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { scanFrames } from '../../../src/walk/memory/frame-scan.js';
import { FrameMap } from '../../../src/walk/memory/page-array.js';
import { ramRanges } from '../../../src/walk/memory/ram.js';
import { openFiles } from '../../../src/walk/tasks/files.js';
import { taskTable } from '../../../src/walk/tasks/task-table.js';
import { type Damage, damagedKernel } from '../../support/damaged-kernel.js';
import { labDump } from '../../support/lab.js';
import { littleEndian } from '../../support/little-endian.js';

// For any damage to a file, the rows sum to the categories, and lost data is reported.
const kernel = openNative({ files: [labDump('6.1').elf] });
afterAll(() => kernel.close());

const offset = (struct: string, member: string) => BigInt(kernel.struct(struct)?.member(member)?.offset ?? Number.NaN);
const word = (address: bigint, value: bigint, bytes = 8): Damage => ({
  patches: [{ address, bytes: littleEndian(value, bytes) }],
  denials: [],
});
const lost = (address: bigint): Damage => ({
  patches: [],
  denials: [{ address, length: 8, code: 'filtered' }],
});
const wordAt = (address: bigint) => kernel.read(address, 8).getBigUint64(0, true);

const { files } = scanFrames(kernel, new FrameMap(ramRanges(kernel)));
const [{ mapping = 0n } = {}] = files.largest();
const inode = wordAt(mapping);
const PARENT = offset('dentry', 'd_parent');
/** The dentry of an inode. */
const nameOf = (one: bigint) => wordAt(one + offset('inode', 'i_dentry')) - offset('dentry', 'd_u.d_alias');
const dentry = nameOf(inode);
const name = wordAt(dentry + offset('dentry', 'd_name.name'));
const superBlock = wordAt(inode + offset('inode', 'i_sb'));

// A file of another file system, mounted on /run, and one that a process has open.
const other = [...files.largest()]
  .map((one) => wordAt(one.mapping))
  .find((one) => wordAt(one + offset('inode', 'i_sb')) !== superBlock)!;
const run = wordAt(other + offset('inode', 'i_sb'));
const mount = wordAt(run + offset('super_block', 's_mounts')) - offset('mount', 'mnt_instance');
const open = taskTable(kernel)
  .processes.filter(({ kernelThread }) => !kernelThread)
  .flatMap((task) => [...openFiles(kernel, task)].map(({ file }) => file))
  .find((file) => isRegular(wordAt(file + offset('file', 'f_inode'))))!;

function isRegular(one: bigint): boolean {
  const mode = kernel.read(one + offset('inode', 'i_mode'), 2).getUint16(0, true);
  return (mode & 0o170000) === 0o100000;
}

describe('reports a damaged word about a file, and loses no byte', () => {
  const cases: readonly (readonly [string, Damage, string])[] = [
    ['how many pages it has', word(mapping + offset('address_space', 'nrpages'), 1n), 'corrupt'],
    ['a tree of mappings that has no root', word(mapping + offset('address_space', 'i_mmap'), 0n), 'corrupt'],
    [
      'a tree of mappings that has no first',
      word(mapping + offset('address_space', 'i_mmap.rb_leftmost'), 0n),
      'corrupt',
    ],
    ['no inode', word(mapping, 0n), 'corrupt'],
    ['an inode that is another’s', word(mapping, inode + 0x1000n), 'corrupt'],
    ['an inode that is not there', lost(inode + offset('inode', 'i_sb')), 'unreadable'],
    ['a file system that is not there', lost(superBlock + offset('super_block', 's_type')), 'unreadable'],
    ['a name of another file', word(dentry + offset('dentry', 'd_inode'), inode + 8n), 'corrupt'],
    ['a name that is another', word(name, 0x78n, 1), 'corrupt'],
    ['a directory of another file', word(dentry + PARENT, wordAt(nameOf(other) + PARENT)), 'corrupt'],
    ['no directory', word(dentry + PARENT, dentry), 'corrupt'],
    ['a file system that is another', word(inode + offset('inode', 'i_sb'), run), 'corrupt'],
    ['a mount point that is another', word(mount + offset('mount', 'mnt_mountpoint'), dentry), 'corrupt'],
    ['the LRU lists', word(kernel.symbol('lru_gen_caps') ?? 0n, 1n, 4), 'corrupt'],
    ['an open file with the pages of another', word(open + offset('file', 'f_mapping'), mapping), 'corrupt'],
    ['a folder within itself', word(dentry + offset('dentry', 'd_parent'), dentry + 8n), 'corrupt'],
    ['a name without end', word(dentry + offset('dentry', 'd_name.len'), 0xffff_ffffn, 4), 'corrupt'],
    ['a name that is not there', lost(wordAt(dentry + offset('dentry', 'd_name.name'))), 'unreadable'],
  ];
  test.each(cases)('%s', (_, damage, code) => {
    const damaged = damagedKernel(kernel, damage);
    const answer = accountMemory(damaged, undefined, { files: true });
    expect(answer.warnings.map((warning) => warning.code)).toContain(code);
    expect(answer.complete).toBe(false);
    const all = [...(answer.files?.files ?? []), ...(answer.files?.unnamed ?? [])];
    const leaves = answer.memory.children.flatMap(({ children }) => children);
    const bytes = (name: string) => leaves.find(({ category }) => category === name)?.bytes ?? 0;
    const sum = all.reduce((total, one) => total + one.bytes, 0);
    expect(sum).toBe(bytes('page-cache') + bytes('shared'));
  });

  test('reports that use of secret memory is unknown', () => {
    const users = kernel.symbol('secretmem_users') ?? 0n;
    const damaged = damagedKernel(kernel, lost(users));
    const { memory, complete } = accountMemory(damaged);
    const secret = memory.children.flatMap(({ children }) => children).find(({ category }) => category === 'secret');
    expect(secret).toMatchObject({ frames: 0, complete: false });
    expect(complete).toBe(false);
  });

  test('a looping chain of dentries terminates', () => {
    const unhashed = word(dentry + offset('dentry', 'd_hash.pprev'), 0n);
    const node = dentry + offset('dentry', 'd_u.d_alias');
    const patches = [...unhashed.patches, ...word(node, node).patches];
    const damaged = damagedKernel(kernel, { patches, denials: [] });
    const { files: found } = accountMemory(damaged, undefined, { files: true });
    expect(found?.files[0]).toMatchObject({ path: { path: '/bin/busybox' }, deleted: true });
  });
});
