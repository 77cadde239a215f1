import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { listNodes } from '../list.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { taskTable } from '../tasks/task-table.js';

/** A place where a file system, or a folder of it, is mounted (`struct mount` in fs/mount.h). */
export interface Mount {
  readonly address: bigint;
  /** The dentry that is seen there. */
  readonly root: bigint;
  /** The mount that it is on, and the dentry there; of one on no other itself. */
  readonly parent: bigint;
  readonly on: bigint;
  /** In whose namespace: that of the first process, another, or none (the kernel's own). */
  readonly of: 'init' | 'other' | 'none';
}

/** A machine with many containers has some ten thousand mounts of one file system. */
const MOST_MOUNTS = 2 ** 17;

/** No address of a namespace. */
const NOBODYS = 1n;

/** Finds where file systems are mounted. */
export class Mounts {
  readonly #kernel: Kernel;
  readonly #mount;
  readonly #superBlock;
  /** Since 6.18 the mounts of a file system are a chain of their own. */
  readonly #chain: 'mnt_next_for_sb' | undefined;
  readonly #instance: bigint;
  /** Bytes from a `struct mount` to the vfsmount in it. */
  readonly #inMount: bigint;
  readonly #all = new Map<bigint, readonly Mount[]>();
  #init: bigint | undefined;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#mount = new StructReader(kernel, 'mount', [
      ...(['mnt.mnt_root', 'mnt_parent', 'mnt_mountpoint', 'mnt_ns'] as const),
    ]);
    this.#inMount = BigInt(new StructReader(kernel, 'mount', ['mnt']).offset('mnt'));
    this.#superBlock = new StructReader(kernel, 'super_block', ['s_mounts']);
    const chain = kernel.struct('mount')?.member('mnt_next_for_sb');
    this.#chain = chain ? 'mnt_next_for_sb' : undefined;
    const link = this.#chain ?? 'mnt_instance';
    this.#instance = BigInt(new StructReader(kernel, 'mount', [link]).offset(link));
  }

  /**
   * The mount by which a file is to be found, best in the namespace of the first process; undefined: its
   * file system, or that part of it, is mounted nowhere.
   *
   * @param up its dentry and all above
   * @throws {ReadError}; {@link KernelError} `damaged`
   */
  of(superBlock: bigint, up: readonly bigint[]): Mount | undefined {
    const above = new Set(up);
    const fit = this.#mountsOf(superBlock).filter(({ root }) => above.has(root));
    return fit.find(({ of }) => of === 'init') ?? fit.find(({ of }) => of === 'other');
  }

  /** The mount that a `struct vfsmount` is part of. @throws {ReadError} */
  at(vfsmount: bigint): Mount {
    return this.read(vfsmount - this.#inMount);
  }

  /** @throws {ReadError} */
  read(address: bigint): Mount {
    const view = this.#mount.read(address);
    const namespace = view.pointer('mnt_ns');
    this.#init ??= this.#initNamespace();
    return {
      address,
      root: view.pointer('mnt.mnt_root'),
      parent: view.pointer('mnt_parent'),
      on: view.pointer('mnt_mountpoint'),
      // The kernel's own have an error in place of it (MNT_NS_INTERNAL).
      of: namespace === this.#init ? 'init' : isNone(namespace) ? 'none' : 'other',
    };
  }

  #mountsOf(superBlock: bigint): readonly Mount[] {
    const known = this.#all.get(superBlock);
    if (known) return known;
    const found: Mount[] = [];
    for (const address of this.#addresses(superBlock)) {
      if (found.length >= MOST_MOUNTS)
        throw new KernelError(
          'damaged',
          `mount list of the superblock ${hex(superBlock)} does not terminate (loop?)`,
        );
      found.push(this.read(address));
    }
    this.#all.set(superBlock, found);
    return found;
  }

  *#addresses(superBlock: bigint): Generator<bigint> {
    const view = this.#superBlock.read(superBlock);
    if (this.#chain === undefined) {
      for (const node of listNodes(this.#kernel, view.addressOf('s_mounts')))
        yield node - this.#instance;
      return;
    }
    const what = 'the mounts of a file system';
    for (let at = view.pointer('s_mounts'); at !== 0n; ) {
      yield at;
      at = pointerPartOf(this.#kernel, what, superBlock, at + this.#instance);
    }
  }

  /** That of the first process; of a kernel without, one that no mount has. */
  #initNamespace(): bigint {
    const task = new StructReader(this.#kernel, 'task_struct', ['nsproxy']);
    const proxy = new StructReader(this.#kernel, 'nsproxy', ['mnt_ns']);
    try {
      for (const { address } of taskTable(this.#kernel).processes)
        return proxy.read(task.read(address).pointer('nsproxy')).pointer('mnt_ns');
    } catch (error) {
      // All namespaces are others' then.
      if (!(error instanceof ReadError || error instanceof KernelError)) throw error;
    }
    return NOBODYS;
  }
}

/** NULL, or an error in place of a pointer (ERR_PTR). */
function isNone(pointer: bigint): boolean {
  return pointer === 0n || pointer >= 2n ** 64n - 4096n;
}
