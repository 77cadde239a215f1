import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { decodeText, StructReader } from '../struct-reader.js';
import { type Mount, Mounts } from './mounts.js';

/** A way to a file. */
export interface FilePath {
  /** Hostile. */
  readonly path: string;
  /**
   * Whose mounts it goes by: those of the first process, of another mount namespace, such as a container's,
   * or none: then it begins at the root of its file system.
   */
  readonly mounts: 'init' | 'other' | 'none';
  /** The name is no more. */
  readonly deleted: boolean;
}

/** NAME_MAX, and folders within folders: PATH_MAX has room for half as many (include/uapi/linux/limits.h). */
const MOST_NAME = 255;
const MOST_FOLDERS = 2048;
/** Hard links that are looked at for one that has a name yet. */
const MOST_LINKS = 64;
/** Mounts on mounts. */
const MOST_MOUNTS = 64;

/** Where a name of a folder's lies: for who must not let it out. */
export interface NamePlace {
  /** Address of the `struct dentry`; 0n: it is no file's. */
  readonly dentry: bigint;
  readonly address: bigint;
  readonly length: number;
}

/** What names lead to, by addresses. */
export interface NamedInode {
  readonly inode: bigint;
  /** Where its list of `struct dentry` begins. */
  readonly dentries: bigint;
  readonly superBlock: bigint;
}

/** A name in a folder. */
interface Name {
  readonly parent: bigint;
  readonly text: string;
  /** Not to be found by its name any more; that of a file that never had one neither. */
  readonly unhashed: boolean;
}

/** Finds paths of files by the dentries of their inodes, as /proc/PID/maps shows them. */
export class Paths {
  readonly #kernel: Kernel;
  readonly #dentry;
  readonly #inode;
  readonly #alias: bigint;
  readonly #mounts: Mounts;
  readonly #names = new Map<bigint, Name>();
  readonly #onName: (place: NamePlace) => void;

  /**
   * @param onName told of each name that is read, once
   * @throws {KernelError} `unsupported-layout`
   */
  constructor(kernel: Kernel, onName: (place: NamePlace) => void = () => {}) {
    this.#kernel = kernel;
    this.#onName = onName;
    this.#dentry = new StructReader(kernel, 'dentry', [
      ...(['d_parent', 'd_name.len', 'd_name.name', 'd_hash.pprev'] as const),
    ]);
    this.#inode = new StructReader(kernel, 'dentry', ['d_inode']);
    const union = kernel.struct('dentry')?.member('d_u.d_alias') ? 'd_u.d_alias' : 'd_alias';
    this.#alias = BigInt(new StructReader(kernel, 'dentry', [union]).offset(union));
    this.#mounts = new Mounts(kernel);
  }

  /**
   * @returns undefined if it has none: the kernel has forgotten its name, which is on the disk
   * @throws {ReadError}; {@link KernelError} `damaged`
   */
  of({ inode, dentries, superBlock }: NamedInode): FilePath | undefined {
    const dentry = this.#named(dentries);
    if (dentry === undefined) return undefined;
    const named = this.#inode.read(dentry).pointer('d_inode');
    if (named !== inode && !this.#kernel.facts.live)
      throw new KernelError('damaged', `${hex(dentry)} names ${hex(named)}, not ${hex(inode)}`);
    const { unhashed, parent } = this.#name(dentry);
    const deleted = unhashed && parent !== dentry;
    const up = this.#up(dentry);
    const mount = this.#mounts.of(superBlock, up);
    if (!mount) return { path: this.#unmounted(up), mounts: 'none', deleted };
    return { path: this.#throughMounts(up, mount), mounts: mount.of, deleted };
  }

  /**
   * The path of an open file, by its own dentry and mount (`struct path`).
   *
   * @param mount address of its `struct vfsmount`
   * @returns with `own`: a file of the kernel's that never had a place (memfd, System V)
   * @throws {ReadError}; {@link KernelError} `damaged`
   */
  ofPlace(dentry: bigint, mount: bigint): FilePath & { readonly own: boolean } {
    const { unhashed, parent } = this.#name(dentry);
    const up = this.#up(dentry);
    const on = this.#mounts.at(mount);
    const deleted = unhashed && parent !== dentry;
    if (on.of === 'none') {
      const own = parent === dentry && dentry !== on.root;
      return { path: this.#unmounted(up), mounts: 'none', deleted, own };
    }
    return { path: this.#throughMounts(up, on), mounts: on.of, deleted, own: false };
  }

  /** Of several links one that has a name yet. */
  #named(dentries: bigint): bigint | undefined {
    const what = 'the dentries of an inode';
    let first: bigint | undefined;
    let node = readPartOf(this.#kernel, what, dentries, dentries, 8).getBigUint64(0, true);
    for (let links = 0; node !== 0n && links < MOST_LINKS; links++) {
      const dentry = node - this.#alias;
      first ??= dentry;
      if (!this.#name(dentry).unhashed) return dentry;
      node = readPartOf(this.#kernel, what, dentries, node, 8).getBigUint64(0, true);
    }
    return first;
  }

  /** A dentry and the folders above it, the root of its file system last. */
  #up(dentry: bigint): bigint[] {
    const up = [dentry];
    for (let at = dentry; ; ) {
      const { parent } = this.#name(at);
      if (parent === at) return up;
      if (up.length >= MOST_FOLDERS) {
        throw new KernelError(
          'damaged',
          `parent chain of the dentry ${hex(dentry)} does not terminate (loop?)`,
        );
      }
      up.push(parent);
      at = parent;
    }
  }

  /** The path below the last of these. */
  #below(up: readonly bigint[]): string {
    const names = up.slice(0, -1).map((dentry) => this.#name(dentry).text);
    return `/${names.reverse().join('/')}`;
  }

  /** A file that never had a place, such as memfd's, is the root of its own. */
  #unmounted(up: readonly bigint[]): string {
    const root = this.#name(up.at(-1)!).text;
    const below = this.#below(up);
    return root === '/' ? below : `/${root}${below === '/' ? '' : below}`;
  }

  /** The path below the root of a mount, and where that mount is, up to the one that is on no other. */
  #throughMounts(from: readonly bigint[], first: Mount): string {
    let path = '';
    let [up, mount] = [from, first];
    for (let mounts = 0; mounts < MOST_MOUNTS; mounts++) {
      const root = up.indexOf(mount.root);
      if (root < 0) throw new KernelError('damaged', `${hex(up[0]!)} is not below its mount`);
      if (root > 0) path = `${this.#below(up.slice(0, root + 1))}${path}`;
      if (mount.parent === mount.address) return path === '' ? '/' : path;
      up = this.#up(mount.on);
      mount = this.#mounts.read(mount.parent);
    }
    throw new KernelError(
      'damaged',
      `parent chain of the mount ${hex(first.address)} does not terminate (loop?)`,
    );
  }

  #name(dentry: bigint): Name {
    const known = this.#names.get(dentry);
    if (known) return known;
    const view = this.#dentry.read(dentry);
    const length = view.number('d_name.len');
    if (length > MOST_NAME)
      throw new KernelError(
        'damaged',
        `the dentry at ${hex(dentry)} has a name of ${length} bytes`,
      );
    const at = view.pointer('d_name.name');
    this.#onName({ dentry, address: at, length });
    const name = {
      parent: view.pointer('d_parent'),
      text: decodeText(readPartOf(this.#kernel, 'the name', at, at, length), 0, length),
      unhashed: view.pointer('d_hash.pprev') === 0n,
    };
    this.#names.set(dentry, name);
    return name;
  }
}
