import { damaged, KernelError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { DescriptorGroups, type DescriptorKind, type Descriptors } from '../../records/files.js';
import { FileSystems } from '../files/mounts.js';
import { Paths } from '../files/paths.js';
import { closedListNodes } from '../list.js';
import { PipeReader } from '../memory/open-files.js';
import { StructReader } from '../struct-reader.js';
import { openFiles } from '../tasks/files.js';
import { findTask } from '../tasks/task-table.js';
import { treeNodes } from '../trees.js';
import { addError, type Warnings } from '../warnings.js';

/** RLIMIT_NOFILE (include/uapi/asm-generic/resource.h). */
const NOFILE = 'rlim[7].rlim_cur';
/** RLIM_INFINITY, and higher than any limit of descriptors. */
const UNLIMITED = 2n ** 63n;

/**
 * Reads the open descriptors of a process of a dump. Kinds and names are those of /proc/PID/fd, except that paths are
 * those of the first process.
 *
 * @throws {WalkError} `no-such-pid`, `kernel-thread`; {@link KernelError} `unsupported-layout`; as {@link findTask}
 */
export function openDescriptors(kernel: Kernel, pid: number, warnings: Warnings): Descriptors {
  const task = findTask(kernel, pid);
  const limits = new StructReader(kernel, 'signal_struct', [NOFILE]);
  const reader = new LinkReader(kernel);
  const groups = new DescriptorGroups();
  let unreadable = 0;
  try {
    for (const { fd, file } of openFiles(kernel, task)) {
      const what = `fd ${fd} of pid ${pid}`;
      try {
        const link = reader.link(file);
        const { kind, group } = groups.add(link.name);
        addDetails(() => reader.details(file, { ...link, kind }), what, warnings, group);
      } catch (error) {
        addError(warnings, what, error);
        unreadable++;
      }
    }
  } catch (error) {
    addError(warnings, `descriptors of pid ${pid}`, error);
  }
  let limit: number | null = null;
  try {
    const value = limits.read(task.signal).pointer(NOFILE);
    if (value < UNLIMITED) limit = Number(value);
  } catch (error) {
    addError(warnings, `limits of pid ${pid}`, error);
  }
  const { count } = groups;
  const all = { count: count + unreadable, limit, groups: groups.list(), passed: null, unreadable };
  return { pid, comm: task.comm, ...all };
}

/** Adds the memory or watches of a descriptor; a failure is a warning, and leaves the descriptor counted. */
function addDetails(
  read: () => Details,
  what: string,
  warnings: Warnings,
  group: ReturnType<DescriptorGroups['add']>['group'],
): void {
  try {
    const { object, bytes, items = 0 } = read();
    if (bytes !== undefined) group.bytes.set(`${object}`, bytes);
    group.items += items;
  } catch (error) {
    if (error instanceof KernelError && error.code === 'unsupported-layout')
      warnings.add(error.code, `${what}: ${error.message}`);
    else addError(warnings, what, error);
  }
}

interface Link {
  readonly name: string;
  /** Address of its `struct inode`. */
  readonly inode: bigint;
  readonly fsType: string;
}

interface Details {
  /** Memory in bytes, and the object that has it: several descriptors may share one. */
  readonly bytes?: number;
  readonly object?: bigint;
  /** Number of watched files. */
  readonly items?: number;
}

/** File systems of objects that have no path, and how /proc/PID/fd names them (their `d_dname`). */
const NUMBERED: Readonly<Record<string, string>> = { sockfs: 'socket', pipefs: 'pipe' };

class LinkReader {
  readonly #kernel: Kernel;
  readonly #file;
  readonly #inode;
  readonly #dentry;
  readonly #systems: FileSystems;
  readonly #paths: Paths;
  readonly #pipes: PipeReader;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#file = new StructReader(kernel, 'file', ['f_inode', 'private_data', 'f_path.dentry', 'f_path.mnt']);
    this.#inode = new StructReader(kernel, 'inode', ['i_sb', 'i_ino', 'i_mapping']);
    this.#dentry = new StructReader(kernel, 'dentry', ['d_inode']);
    this.#systems = new FileSystems(kernel);
    this.#paths = new Paths(kernel);
    this.#pipes = new PipeReader(kernel);
  }

  /** The link of a descriptor as /proc/PID/fd has it. */
  link(file: bigint): Link {
    const view = this.#file.read(file);
    const inode = view.pointer('f_inode');
    const own = this.#inode.read(inode);
    const { fsType } = this.#systems.of(own.pointer('i_sb'));
    const dentry = view.pointer('f_path.dentry');
    if (this.#dentry.read(dentry).pointer('d_inode') !== inode && !this.#kernel.facts.live)
      throw damaged(`file ${hex(file)} has another inode than its dentry`);
    const numbered = NUMBERED[fsType];
    if (numbered !== undefined) return { name: `${numbered}:[${own.pointer('i_ino')}]`, inode, fsType };
    const { path, deleted, own: isNameless } = this.#paths.ofPlace(dentry, view.pointer('f_path.mnt'));
    const bare = path.slice(1);
    if (fsType === 'anon_inodefs') return { name: `anon_inode:${bare}`, inode, fsType };
    if (fsType === 'dmabuf') return { name: `/dmabuf:${bare}`, inode, fsType };
    // simple_dname adds the same.
    return { name: `${path}${deleted || isNameless ? ' (deleted)' : ''}`, inode, fsType };
  }

  /** Memory and watches of the object behind a file; empty for kinds that have neither. */
  details(file: bigint, { inode, fsType, kind }: Link & { readonly kind: DescriptorKind }): Details {
    const { pageSize } = this.#kernel.facts;
    const object = this.#file.read(file).pointer('private_data');
    if (kind === 'memfd' && fsType !== 'hugetlbfs') {
      const shmem = new StructReader(this.#kernel, 'shmem_inode_info', ['swapped', 'vfs_inode']);
      const space = new StructReader(this.#kernel, 'address_space', ['nrpages']);
      const mapping = this.#inode.read(inode).pointer('i_mapping');
      const swapped = shmem.read(shmem.containerOf(inode, 'vfs_inode')).number('swapped');
      return { object: inode, bytes: (space.read(mapping).number('nrpages') + swapped) * pageSize };
    }
    if (kind === 'pipe') return { object, bytes: new Set(this.#pipes.frames(object)).size * pageSize };
    if (kind === 'dma-buf') {
      const buffer = new StructReader(this.#kernel, 'dma_buf', ['size']);
      return { object, bytes: buffer.read(object).number('size') };
    }
    if (kind === 'epoll') {
      const poll = new StructReader(this.#kernel, 'eventpoll', ['rbr.rb_root.rb_node']);
      const root = poll.read(object).pointer('rbr.rb_root.rb_node');
      return { items: countOf(treeNodes(this.#kernel, root)) };
    }
    // Both have their group as private data.
    if (kind === 'inotify' || kind === 'fanotify') {
      const group = new StructReader(this.#kernel, 'fsnotify_group', ['marks_list']);
      return { items: countOf(closedListNodes(this.#kernel, group.addressOf(object, 'marks_list'))) };
    }
    return {};
  }
}

function countOf(nodes: Iterable<unknown>): number {
  let count = 0;
  for (const _ of nodes) count++;
  return count;
}
