import { hex } from '../../base/util.js';
import type { SharedMemoryAnswer } from '../../contracts/lists.js';
import type { Kernel } from '../../kernel/kernel.js';
import { FileSystems, namespaceOf } from '../files/mounts.js';
import { StructReader } from '../struct-reader.js';
import { treeNodes, XarrayReader } from '../trees.js';
import { addError, type Warnings } from '../warnings.js';

type SharedSegment = SharedMemoryAnswer['segments'][number];

/** SHM_DEST (include/uapi/linux/shm.h). */
const REMOVED = 0o1000;
/** IPC_SHM_IDS (ipc/util.h). */
const SHM_IDS = 2;
/** Identifiers contain the index in these bits at least (IPCMNI_SHIFT). */
const INDEX_BITS = 15;
/** IPCMNI_EXTEND: maximum number of segments. */
const MAX_SEGMENTS = 2 ** 24;

/**
 * Returns the System V shared memory segments of an IPC namespace. Their number is compared with `ids.in_use`, the
 * size of each with its file.
 *
 * @param pid a process of the namespace (default: the first process)
 * @throws {KernelError} `no-symbols`, `unsupported-layout`; {@link WalkError} `no-such-pid`; {@link ReadError}
 */
export function sharedSegments(
  kernel: Kernel,
  warnings: Warnings,
  pid: number | undefined,
): Pick<SharedMemoryAnswer, 'segments'> {
  const namespace = namespaceOf(kernel, 'ipc_ns', pid);
  const ids = new StructReader(kernel, 'ipc_ids', ['in_use', 'ipcs_idr.idr_rt.xa_head', 'max_idx']);
  const all = new StructReader(kernel, 'ipc_namespace', ['ids']);
  const view = ids.read(ids.element(all.addressOf(namespace, 'ids'), SHM_IDS));
  const [inUse, last] = [view.number('in_use'), view.number('max_idx') | 0];
  const code = kernel.facts.live ? 'torn-list' : 'corrupt';
  const reader = new SegmentReader(kernel);
  const segments: SharedSegment[] = [];
  let found = 0;
  try {
    for (const [index, entry] of new XarrayReader(kernel).entries(view.pointer('ipcs_idr.idr_rt.xa_head'))) {
      if (++found > MAX_SEGMENTS) break;
      if (index > last) warnings.add(code, `max_idx of shared memory is ${last}, but index ${index} is in use`);
      try {
        segments.push(reader.read(entry, index));
      } catch (error) {
        addError(warnings, `shared memory segment ${hex(entry)}`, error);
      }
    }
  } catch (error) {
    addError(warnings, 'table of shared memory segments', error);
  }
  if (found !== inUse) warnings.add(code, `in_use of shared memory is ${inUse}, but ${found} segments were found`);
  for (const { id, problem } of reader.problems) warnings.add(code, `shared memory segment ${id}: ${problem}`);
  return { segments };
}

class SegmentReader {
  readonly problems: { readonly id: number; readonly problem: string }[] = [];
  readonly #segment;
  readonly #number;
  readonly #pid;
  readonly #file;
  readonly #inode;
  readonly #kernel: Kernel;
  readonly #space;
  readonly #shmem;
  readonly #systems: FileSystems;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#segment = new StructReader(kernel, 'shmid_kernel', [
      'shm_perm.key',
      'shm_perm.id',
      'shm_perm.uid.val',
      'shm_perm.mode',
      'shm_file',
      'shm_nattch',
      'shm_segsz',
      'shm_cprid',
      'shm_lprid',
      'shm_atim',
      'shm_dtim',
    ]);
    this.#pid = new StructReader(kernel, 'pid', ['numbers']);
    this.#number = new StructReader(kernel, 'upid', ['nr']);
    this.#file = new StructReader(kernel, 'file', ['f_inode']);
    this.#inode = new StructReader(kernel, 'inode', ['i_sb', 'i_mapping', 'i_size']);
    this.#space = new StructReader(kernel, 'address_space', ['nrpages', 'host', 'i_mmap.rb_root.rb_node']);
    this.#shmem = new StructReader(kernel, 'shmem_inode_info', ['swapped', 'vfs_inode']);
    this.#systems = new FileSystems(kernel);
  }

  /** @param entry address of its `struct kern_ipc_perm`, the first member */
  read(entry: bigint, index: number): SharedSegment {
    const view = this.#segment.read(entry);
    const id = view.number('shm_perm.id') | 0;
    const bytes = view.number('shm_segsz');
    const address = this.#file.read(view.pointer('shm_file')).pointer('f_inode');
    const inode = this.#inode.read(address);
    const huge = this.#systems.of(inode.pointer('i_sb')).fsType === 'hugetlbfs';
    if ((id ^ index) & (2 ** INDEX_BITS - 1)) this.problems.push({ id, problem: `it has index ${index}` });
    const size = inode.number('i_size');
    // The file of huge pages is rounded up to a page of theirs.
    if (huge ? size < bytes : size !== bytes)
      this.problems.push({ id, problem: `shm_segsz is ${bytes}, but its file has ${size} bytes` });
    const space = this.#space.read(inode.pointer('i_mapping'));
    if (space.pointer('host') !== address) this.problems.push({ id, problem: 'its pages belong to another file' });
    const attaches = view.number('shm_nattch');
    let mappings = 0;
    for (const _ of treeNodes(this.#kernel, space.pointer('i_mmap.rb_root.rb_node'))) mappings++;
    if (mappings !== attaches)
      this.problems.push({ id, problem: `shm_nattch is ${attaches}, but ${mappings} areas map it` });
    const { pageSize } = this.#kernel.facts;
    const swapped = () => this.#shmem.read(this.#shmem.containerOf(address, 'vfs_inode')).number('swapped');
    const mode = view.number('shm_perm.mode');
    return {
      address: entry,
      id,
      key: BigInt(view.number('shm_perm.key')),
      uid: view.number('shm_perm.uid.val'),
      permissions: (mode & 0o777).toString(8).padStart(3, '0'),
      removed: (mode & REMOVED) !== 0,
      sizeBytes: bytes,
      attaches,
      creatorPid: this.#pidOf(view.pointer('shm_cprid')),
      lastPid: this.#pidOf(view.pointer('shm_lprid')),
      attachTime: timeOf(view.number('shm_atim')),
      detachTime: timeOf(view.number('shm_dtim')),
      residentBytes: huge ? null : space.number('nrpages') * pageSize,
      swapBytes: huge ? null : swapped() * pageSize,
    };
  }

  /** A `struct pid` that outlives its process. */
  #pidOf(pid: bigint): number | null {
    if (pid === 0n) return null;
    return this.#number.read(this.#pid.addressOf(pid, 'numbers')).number('nr') || null;
  }
}

/** @param seconds since 1970; 0: never */
function timeOf(seconds: number): string | null {
  const time = new Date(1000 * seconds);
  return seconds === 0 || Number.isNaN(time.getTime()) ? null : time.toISOString();
}
