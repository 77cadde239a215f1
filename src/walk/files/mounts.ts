import { damaged, KernelError, ReadError, readOrNot, WalkError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader, textAt } from '../struct-reader.js';
import { findTask, taskTable } from '../tasks/task-table.js';

/** A mount of a file system, or of a directory of it (`struct mount` in fs/mount.h). */
export interface Mount {
  readonly address: bigint;
  /** The mounted root dentry. */
  readonly root: bigint;
  /** The parent mount, and the mount point's dentry; a root mount has itself. */
  readonly parent: bigint;
  readonly on: bigint;
  /** Mount namespace: that of the init process, another, or none (kernel-internal mounts). */
  readonly of: 'init' | 'other' | 'none';
}

/** Maximum number of mounts of one file system: a machine with many containers has about ten thousand. */
const MAX_MOUNTS = 2 ** 17;

/** Value that is no namespace's address. */
const NO_NAMESPACE = 1n;

/** Finds where file systems are mounted. */
export class Mounts {
  readonly #kernel: Kernel;
  readonly #mount;
  readonly #point: StructReader<'mnt_mp'> | undefined;
  readonly #mountPoint: StructReader<'m_dentry'> | undefined;
  readonly #superBlock;
  /** Since 6.18, the mounts of a file system are linked in a chain of their own. */
  readonly #chain: StructReader<'mnt_next_for_sb'> | undefined;
  readonly #list: StructReader<'mnt_instance'> | undefined;
  readonly #vfsmount;
  readonly #all = new Map<bigint, readonly Mount[]>();
  #init: bigint | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#mount = new StructReader(kernel, 'mount', ['mnt.mnt_root', 'mnt_parent', 'mnt_mountpoint', 'mnt_ns']);
    this.#point = StructReader.ifPresent(kernel, 'mount', ['mnt_mp']);
    this.#mountPoint = StructReader.ifPresent(kernel, 'mountpoint', ['m_dentry']);
    this.#vfsmount = new StructReader(kernel, 'mount', ['mnt']);
    this.#superBlock = new StructReader(kernel, 'super_block', ['s_mounts']);
    this.#chain = StructReader.ifPresent(kernel, 'mount', ['mnt_next_for_sb']);
    this.#list = this.#chain ? undefined : new StructReader(kernel, 'mount', ['mnt_instance']);
  }

  /**
   * Returns the mount through which a file is visible, preferably in the namespace of the init process;
   * undefined: its file system, or that part of it, is not mounted.
   *
   * @param up the file's dentry and all its ancestors
   */
  of(superBlock: bigint, up: readonly bigint[]): Mount | undefined {
    const above = new Set(up);
    const fit = this.#mountsOf(superBlock).filter(({ root }) => above.has(root));
    return fit.find(({ of }) => of === 'init') ?? fit.find(({ of }) => of === 'other');
  }

  /** Returns the mount that contains a `struct vfsmount`. */
  at(vfsmount: bigint): Mount {
    return this.read(this.#vfsmount.containerOf(vfsmount, 'mnt'));
  }

  read(address: bigint): Mount {
    const view = this.#mount.read(address);
    const namespace = view.pointer('mnt_ns');
    const on = view.pointer('mnt_mountpoint');
    this.#init ??= this.#initNamespace();
    this.#compare(address, on);
    return {
      address,
      root: view.pointer('mnt.mnt_root'),
      parent: view.pointer('mnt_parent'),
      on,
      // Kernel-internal mounts have an error pointer instead (MNT_NS_INTERNAL).
      of: namespace === this.#init ? 'init' : isNone(namespace) ? 'none' : 'other',
    };
  }

  /** Compares a mount point with its `struct mountpoint`, which a root mount lacks. @throws {KernelError} `damaged` */
  #compare(mount: bigint, on: bigint): void {
    if (this.#kernel.facts.live) return;
    const point = readOrNot(() => this.#point?.read(mount).pointer('mnt_mp')) ?? 0n;
    if (point === 0n) return;
    const known = readOrNot(() => this.#mountPoint?.read(point).pointer('m_dentry')) ?? on;
    if (known !== on) throw damaged(`the mount at ${hex(mount)} is on ${hex(on)}, its mount point on ${hex(known)}`);
  }

  #mountsOf(superBlock: bigint): readonly Mount[] {
    const known = this.#all.get(superBlock);
    if (known) return known;
    const mounts: Mount[] = [];
    for (const address of this.#addresses(superBlock)) {
      if (mounts.length >= MAX_MOUNTS)
        throw damaged(`mount list of the superblock ${hex(superBlock)} does not terminate (loop?)`);
      mounts.push(this.read(address));
    }
    this.#all.set(superBlock, mounts);
    return mounts;
  }

  *#addresses(superBlock: bigint): Generator<bigint> {
    const view = this.#superBlock.read(superBlock);
    if (this.#list) yield* this.#list.entryAddresses(view.addressOf('s_mounts'), 'mnt_instance');
    if (this.#chain === undefined) return;
    const what = 'the mounts of a file system';
    for (let at = view.pointer('s_mounts'); at !== 0n; ) {
      yield at;
      const next = this.#chain.addressOf(at, 'mnt_next_for_sb');
      at = pointerPartOf(this.#kernel, what, superBlock, next);
    }
  }

  /** Mount namespace of the first process; for a kernel without one, a value that no mount has. */
  #initNamespace(): bigint {
    try {
      return namespaceOf(this.#kernel, 'mnt_ns', undefined);
    } catch (error) {
      // Every namespace then counts as another one.
      const isOfMemory = error instanceof ReadError || error instanceof KernelError;
      if (!isOfMemory && !(error instanceof WalkError)) throw error;
    }
    return NO_NAMESPACE;
  }
}

/** Whether a pointer is NULL or an error (ERR_PTR). */
function isNone(pointer: bigint): boolean {
  return pointer === 0n || pointer >= 2n ** 64n - 4096n;
}

/** Facts about a file system from its `struct super_block`. */
interface FileSystemFacts {
  /** Such as `ext4`; untrusted. */
  readonly fsType: string;
  /** `major:minor` of its device; tmpfs and the like have a number of their own. */
  readonly device: string;
}

/** Names of file system types are short. */
const MAX_NAME = 64;

/** Reads file systems by super block, each once. */
export class FileSystems {
  readonly #kernel: Kernel;
  readonly #superBlock;
  readonly #type;
  readonly #instance: StructReader<'s_instances.next' | 's_instances.pprev'> | undefined;
  readonly #list: StructReader<'fs_supers.first'> | undefined;
  readonly #known = new Map<bigint, FileSystemFacts>();
  /** Super blocks by type; undefined: the list cannot be read. */
  readonly #supers = new Map<bigint, ReadonlySet<bigint> | undefined>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#superBlock = new StructReader(kernel, 'super_block', ['s_type', 's_dev']);
    this.#type = new StructReader(kernel, 'file_system_type', ['name']);
    this.#instance = StructReader.ifPresent(kernel, 'super_block', ['s_instances.next', 's_instances.pprev']);
    this.#list = StructReader.ifPresent(kernel, 'file_system_type', ['fs_supers.first']);
  }

  /** @throws {ReadError}; {@link KernelError} `damaged`: it has no type, or is not a file system of its type */
  of(superBlock: bigint): FileSystemFacts {
    const known = this.#known.get(superBlock);
    if (known) return known;
    const view = this.#superBlock.read(superBlock);
    const type = view.pointer('s_type');
    const fsType = textAt(this.#kernel, 'the name of a file system', this.#type.read(type).pointer('name'), MAX_NAME);
    if (fsType === '') throw damaged(`the type of the super block ${hex(superBlock)} has no name`);
    if (!this.#isListed(superBlock, type))
      throw damaged(`the super block ${hex(superBlock)} is not one of its type ${JSON.stringify(fsType)}`);
    const facts = { fsType, device: deviceNumber(view.number('s_dev')) };
    this.#known.set(superBlock, facts);
    return facts;
  }

  /** Whether the list of a type has a super block. One without links is being freed. */
  #isListed(superBlock: bigint, type: bigint): boolean {
    // Extracts of earlier versions lack these links, as others lack the list.
    const links = readOrNot(() => this.#instance?.read(superBlock).pointer('s_instances.pprev')) ?? 0n;
    if (this.#kernel.facts.live || links === 0n) return true;
    if (!this.#supers.has(type))
      this.#supers.set(
        type,
        readOrNot(() => this.#superBlocks(type)),
      );
    return this.#supers.get(type)?.has(superBlock) ?? true;
  }

  #superBlocks(type: bigint): Set<bigint> | undefined {
    const [instance, list] = [this.#instance, this.#list];
    if (!instance || !list) return undefined;
    const superBlocks = new Set<bigint>();
    for (let node = list.read(type).pointer('fs_supers.first'); node !== 0n; ) {
      const view = instance.readContainer(node, 's_instances.next');
      if (superBlocks.has(view.address) || superBlocks.size >= MAX_MOUNTS) return superBlocks;
      superBlocks.add(view.address);
      node = view.pointer('s_instances.next');
    }
    return superBlocks;
  }
}

/** Formats a device number as `ls -l` and /proc do (MINORBITS in include/linux/kdev_t.h). */
export function deviceNumber(device: number): string {
  return `${device >>> 20}:${device & 0xf_ffff}`;
}

/**
 * Returns the address of a namespace of a process, by its `struct nsproxy`.
 *
 * @param pid default: the first process
 * @throws {WalkError} `no-such-pid`: also for a process that exits; {@link ReadError}
 */
export function namespaceOf(kernel: Kernel, member: 'mnt_ns' | 'ipc_ns', pid: number | undefined): bigint {
  const task = new StructReader(kernel, 'task_struct', ['nsproxy']);
  const proxy = new StructReader(kernel, 'nsproxy', [member]);
  const process = pid === undefined ? taskTable(kernel).processes[0] : findTask(kernel, pid);
  const at = process && task.read(process.address).pointer('nsproxy');
  if (at) return proxy.read(at).pointer(member);
  throw new WalkError('no-such-pid', `pid ${pid ?? 1} has no namespaces: it is exiting`);
}
