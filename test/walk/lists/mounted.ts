import { type FixtureBase, OverlaidKernel } from '../../support/overlaid-kernel.js';

/** A file system `ext4` that is mounted at /, and files in it. */
export class Mounted extends OverlaidKernel {
  readonly type = this.make('file_system_type', { name: this.text('ext4') });
  readonly superBlock = this.make('super_block', { s_type: this.type, s_dev: (8 << 20) | 1, s_flags: 0x10 });
  readonly root = this.dentry('/');
  readonly namespace = this.make('mnt_namespace', { 'ns.inum': 4026531841 });
  readonly mount = this.mounted(1, this.root, { mnt_mountpoint: this.root, 'mnt.mnt_flags': 0x20 });

  constructor(base: FixtureBase) {
    super(base);
    this.set('mount', this.mount, { mnt_parent: this.mount });
  }

  /** A name in a directory (default: the root itself); without a hash, which is not compared then. */
  dentry(name: string, parent?: bigint, inode = 0n): bigint {
    const text = this.text(name);
    const at = this.make('dentry', {
      'd_name.len': name.length,
      'd_name.name': text,
      d_inode: inode,
      d_sb: this.superBlock,
    });
    this.set('dentry', at, { d_parent: parent ?? at, 'd_hash.pprev': at });
    return at;
  }

  mounted(id: number, root: bigint, members: Readonly<Record<string, bigint | number>>): bigint {
    return this.make('mount', {
      mnt_id: id,
      mnt_devname: this.text('/dev/sda1'),
      mnt_ns: this.namespace,
      'mnt.mnt_root': root,
      'mnt.mnt_sb': this.superBlock,
      ...members,
    });
  }

  /** An open file of this file system by its name below the root. */
  file(name: string, members: Readonly<Record<string, bigint | number>> = {}, superBlock = this.superBlock): bigint {
    const inode = this.make('inode', { i_sb: superBlock, i_ino: 77, ...members });
    return this.make('file', {
      f_inode: inode,
      'f_path.dentry': this.dentry(name, this.root, inode),
      'f_path.mnt': this.at('mount', this.mount, 'mnt'),
    });
  }
}
