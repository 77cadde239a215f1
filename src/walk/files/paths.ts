import { damaged, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import { bytesOf } from '../../kernel/bytes.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { decodeText, StructReader } from '../struct-reader.js';
import { type Mount, Mounts } from './mounts.js';

/** The path of a file. */
export interface FilePath {
  /** Untrusted. */
  readonly path: string;
  /**
   * Mounts that the path goes by: those of the first process, of another mount namespace such as a
   * container's, or none: then it begins at the root of its file system.
   */
  readonly mounts: 'init' | 'other' | 'none';
  /** The name was deleted. */
  readonly deleted: boolean;
}

/**
 * NAME_MAX; nested directories are limited by PATH_MAX, which holds half as many
 * (include/uapi/linux/limits.h).
 */
const MAX_NAME = 255;
const MAX_FOLDERS = 2048;
/** Maximum number of hard links searched for one that still has a name. */
const MAX_LINKS = 64;
/** Maximum number of stacked mounts. */
const MAX_MOUNTS = 64;

/** `dentry.d_flags` of a directory whose file system has a hash of its own (DCACHE_OP_HASH). */
const OWN_HASH = 1;

/** Location of a path component, for anonymization. */
export interface NamePlace {
  /** Address of the `struct dentry`, and that of its directory; 0n: the name is not a file's. */
  readonly dentry: bigint;
  readonly parent: bigint;
  readonly address: bigint;
  readonly length: number;
}

/** Inodes with names, by address. */
export interface NamedInode {
  readonly inode: bigint;
  /** Address of the head of its list of `struct dentry`. */
  readonly dentries: bigint;
  readonly superBlock: bigint;
}

/** A name in a directory. */
interface Name {
  readonly parent: bigint;
  readonly text: string;
  /** Lookups no longer find it; also true for a file that never had a name. */
  readonly unhashed: boolean;
}

/** Finds paths of files through the dentries of their inodes, as /proc/PID/maps shows them. */
export class Paths {
  readonly #kernel: Kernel;
  readonly #dentry;
  readonly #inode;
  readonly #superBlock;
  readonly #hash;
  readonly #flags;
  readonly #alias: bigint;
  readonly #mounts: Mounts;
  readonly #names = new Map<bigint, Name>();
  readonly #onName: (place: NamePlace) => void;

  /** @param onName receives each name once, when it is read */
  constructor(kernel: Kernel, onName: (place: NamePlace) => void = () => {}) {
    this.#kernel = kernel;
    this.#onName = onName;
    this.#dentry = new StructReader(kernel, 'dentry', ['d_parent', 'd_name.len', 'd_name.name', 'd_hash.pprev']);
    this.#inode = new StructReader(kernel, 'dentry', ['d_inode']);
    this.#superBlock = new StructReader(kernel, 'dentry', ['d_sb']);
    this.#hash = new StructReader(kernel, 'dentry', ['d_name.hash']);
    this.#flags = new StructReader(kernel, 'dentry', ['d_flags']);
    const union = kernel.struct('dentry')?.member('d_u.d_alias') ? 'd_u.d_alias' : 'd_alias';
    this.#alias = BigInt(new StructReader(kernel, 'dentry', [union]).offset(union));
    this.#mounts = new Mounts(kernel);
  }

  /** @returns undefined if the kernel has no dentry for it: its name is only on disk */
  of({ inode, dentries, superBlock }: NamedInode): FilePath | undefined {
    const dentry = this.#named(dentries);
    if (dentry === undefined) return undefined;
    const named = this.#inode.read(dentry).pointer('d_inode');
    if (named !== inode && !this.#kernel.facts.live)
      throw damaged(`${hex(dentry)} names ${hex(named)}, not ${hex(inode)}`);
    // Extracts of earlier versions lack it.
    const own = readOrNot(() => this.#superBlock.read(dentry).pointer('d_sb')) ?? superBlock;
    if (own !== superBlock && !this.#kernel.facts.live)
      throw damaged(`${hex(inode)} is of the superblock ${hex(superBlock)}, its name at ${hex(dentry)} of ${hex(own)}`);
    const { unhashed, parent } = this.#name(dentry);
    const deleted = unhashed && parent !== dentry;
    const up = this.#up(dentry);
    const mount = this.#mounts.of(superBlock, up);
    if (!mount) return { path: this.#unmounted(up), mounts: 'none', deleted };
    return { path: this.#throughMounts(up, mount), mounts: mount.of, deleted };
  }

  /**
   * Returns the path of an open file, from its own dentry and mount (`struct path`).
   *
   * @param mount address of its `struct vfsmount`
   * @returns `own` is true for a kernel-internal file that was never in a directory (memfd, System V)
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

  /** Of several links, one that still has a name. */
  #named(dentries: bigint): bigint | undefined {
    const what = 'the dentries of an inode';
    let first: bigint | undefined;
    let node = readPartOf(this.#kernel, what, dentries, dentries, 8).getBigUint64(0, true);
    for (let links = 0; node !== 0n && links < MAX_LINKS; links++) {
      const dentry = node - this.#alias;
      first ??= dentry;
      if (!this.#name(dentry).unhashed) return dentry;
      node = readPartOf(this.#kernel, what, dentries, node, 8).getBigUint64(0, true);
    }
    return first;
  }

  /** Returns a dentry and its parent directories; the root of its file system is last. */
  #up(dentry: bigint): bigint[] {
    const up = [dentry];
    for (let at = dentry; ; ) {
      const { parent } = this.#name(at);
      if (parent === at) return up;
      if (up.length >= MAX_FOLDERS) {
        throw damaged(`parent chain of the dentry ${hex(dentry)} does not terminate (loop?)`);
      }
      up.push(parent);
      at = parent;
    }
  }

  /** Returns the path relative to the last of these dentries. */
  #below(up: readonly bigint[]): string {
    const names = up.slice(0, -1).map((dentry) => this.#name(dentry).text);
    return `/${names.reverse().join('/')}`;
  }

  /**
   * Returns the path of an unmounted file: one that was never in a directory, such as a memfd, is its own
   * root.
   */
  #unmounted(up: readonly bigint[]): string {
    const root = this.#name(up.at(-1)!).text;
    const below = this.#below(up);
    return root === '/' ? below : `/${root}${below === '/' ? '' : below}`;
  }

  /**
   * Returns the path below the root of a mount, prefixed by the path of each mount point up to the root
   * mount.
   */
  #throughMounts(from: readonly bigint[], first: Mount): string {
    let path = '';
    let [up, mount] = [from, first];
    for (let mounts = 0; mounts < MAX_MOUNTS; mounts++) {
      const root = up.indexOf(mount.root);
      if (root < 0) throw damaged(`${hex(up[0]!)} is not below its mount`);
      if (root > 0) path = `${this.#below(up.slice(0, root + 1))}${path}`;
      if (mount.parent === mount.address) return path === '' ? '/' : path;
      up = this.#up(mount.on);
      mount = this.#mounts.read(mount.parent);
    }
    throw damaged(`parent chain of the mount ${hex(first.address)} does not terminate (loop?)`);
  }

  #name(dentry: bigint): Name {
    const known = this.#names.get(dentry);
    if (known) return known;
    const view = this.#dentry.read(dentry);
    const length = view.number('d_name.len');
    if (length > MAX_NAME) throw damaged(`the dentry at ${hex(dentry)} has a name of ${length} bytes`);
    const at = view.pointer('d_name.name');
    const parent = view.pointer('d_parent');
    const unhashed = view.pointer('d_hash.pprev') === 0n;
    this.#onName({ dentry, parent, address: at, length });
    const bytes = readPartOf(this.#kernel, 'the name', at, at, length);
    const name = { parent, text: decodeText(bytes, 0, length), unhashed };
    this.#compare(dentry, parent, bytesOf(bytes, 0, length));
    this.#names.set(dentry, name);
    return name;
  }

  /**
   * Compares the hash of a name with the name and its directory. A root has no hash (0), and neither has a file that
   * was created without a name (O_TMPFILE), or one of an anonymous extract of an earlier version.
   */
  #compare(dentry: bigint, parent: bigint, name: Uint8Array): void {
    if (this.#kernel.facts.live) return;
    const hash = readOrNot(() => this.#hash.read(dentry).number('d_name.hash')) ?? 0;
    if (hash === 0 || (parent !== dentry && nameHashes(parent, name).includes(hash))) return;
    const flags = readOrNot(() => this.#flags.read(parent).number('d_flags')) ?? OWN_HASH;
    if ((flags & OWN_HASH) !== 0) return;
    throw damaged(`the name at ${hex(dentry)} and its directory do not match their hash`);
  }
}

const WORD = 2n ** 64n - 1n;

/** GOLDEN_RATIO_64 (include/linux/hash.h). */
const GOLDEN_RATIO = 0x61c8_8646_80b5_83ebn;

/**
 * Returns the hash of a name in a directory (`dentry.d_name.hash`) as the kernel computes it by words
 * (DCACHE_WORD_ACCESS, all usual kernels) and by bytes (full_name_hash in fs/namei.c). Since 4.8 it depends on
 * the address of the directory's dentry.
 */
export function nameHashes(parent: bigint, name: Uint8Array): readonly [number, number] {
  return [hashByWords(parent, name), hashByBytes(parent, name)];
}

function hashByWords(parent: bigint, name: Uint8Array): number {
  let [x, y] = [0n, parent];
  const whole = name.length - (name.length % 8);
  for (let at = 0; at < whole; at += 8) {
    x ^= littleEndian(name, at, at + 8);
    y ^= x;
    x = (rotated(x, 12n) + y) & WORD;
    y = (rotated(y, 45n) * 9n) & WORD;
  }
  x ^= littleEndian(name, whole, name.length);
  return upper((y ^ (x * GOLDEN_RATIO)) & WORD);
}

function hashByBytes(parent: bigint, name: Uint8Array): number {
  let hash = parent;
  for (const byte of name) hash = ((hash + BigInt(byte << 4) + BigInt(byte >> 4)) * 11n) & WORD;
  return upper(hash);
}

/** The upper half of the product, as hash_long() and fold_hash() return it. */
function upper(value: bigint): number {
  return Number(((value * GOLDEN_RATIO) & WORD) >> 32n);
}

function rotated(value: bigint, bits: bigint): bigint {
  return ((value << bits) | (value >> (64n - bits))) & WORD;
}

function littleEndian(bytes: Uint8Array, from: number, to: number): bigint {
  let value = 0n;
  for (let at = to - 1; at >= from; at--) value = (value << 8n) | BigInt(bytes[at]!);
  return value;
}
