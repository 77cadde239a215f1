import { damaged, readOrNot, WalkError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readFresh } from '../live-reads.js';
import { readPartOf } from '../named-read.js';
import { decodeText, StructReader } from '../struct-reader.js';
import { taskTable } from './task-table.js';
import type { Task } from './tasks.js';

/** An open file descriptor. */
export interface OpenFile {
  readonly fd: number;
  /** Address of the `struct file`; descriptors created by dup or fork share one. */
  readonly file: bigint;
}

/** Maximum of fs.nr_open (fs/file.c, `sysctl_nr_open_max`, rounded up). */
const MAX_FDS = 2 ** 30;
const POINTER_SIZE = 8;
/** Descriptors of the table inside the files_struct (NR_OPEN_DEFAULT). */
const SMALL = 64;
/** Maximum number of descriptors that one system call reserves. */
const MAX_RESERVED = 2;
/** More allocated but closed slots mean that the memory is no table. */
const MAX_ODD = 64;
/** Number of descriptor pointers per read: one page. */
const BATCH = 512;

interface FdTable {
  readonly address: bigint;
  readonly maxFds: number;
  readonly fd: bigint;
  readonly openFds: bigint;
  /** Contradiction to the address or size of its bitmap; undefined: none. */
  readonly anomaly: string | undefined;
}

/** Reads file descriptor tables (include/linux/fdtable.h). */
export class FileTables {
  readonly #kernel: Kernel;
  readonly #files;
  readonly #users;
  readonly #table;
  /** Offsets in a files_struct of its embedded small table and of that table's array. */
  readonly #inside: {
    readonly fdtab: bigint;
    readonly fdArray: bigint;
    readonly openFds: bigint;
    readonly closeOnExec: bigint;
  };

  constructor(kernel: Kernel) {
    const at = (member: string) => BigInt(kernel.struct('files_struct')?.member(member)?.offset ?? 0);
    this.#inside = {
      fdtab: at('fdtab'),
      fdArray: at('fd_array'),
      openFds: at('open_fds_init'),
      closeOnExec: at('close_on_exec_init'),
    };
    this.#kernel = kernel;
    this.#files = new StructReader(kernel, 'files_struct', ['fdt']);
    this.#users = new StructReader(kernel, 'files_struct', ['count.counter']);
    this.#table = new StructReader(kernel, 'fdtable', ['max_fds', 'fd', 'open_fds', 'close_on_exec']);
  }

  /**
   * Yields the open descriptors of a `struct files_struct`, in order.
   *
   * @throws {ReadError} if its table cannot be read; {@link KernelError} `damaged`, after the last
   * descriptor, if the descriptors do not match the table's bitmap
   */
  *open(files: bigint): Generator<OpenFile> {
    const table = this.#read(files);
    const odd: number[] = [];
    let reserved = 0;
    for (let first = 0; first < table.maxFds; first += BATCH) {
      const count = Math.min(BATCH, table.maxFds - first);
      // With the bitmap, the slots of a huge empty table need not be read.
      const words = Math.ceil(count / 64) * 8;
      const bitmap = this.#part(table, table.openFds + BigInt(first / 8), words);
      // The first slots are always read: an all-zero bitmap may be corrupt.
      if (first > 0 && isZero(bitmap)) continue;
      const isOpen = (index: number) => (bitmap.getUint8(Math.floor(index / 8)) & (1 << (index % 8))) !== 0;
      const from = table.fd + BigInt(first * POINTER_SIZE);
      const slots = this.#part(table, from, count * POINTER_SIZE);
      for (let index = 0; index < count; index++) {
        const file = slots.getBigUint64(index * POINTER_SIZE, true);
        if (file === 0n && isOpen(index)) reserved++;
        if (file === 0n) continue;
        // Except for a moment in dup2, the bit is set before the slot and cleared after it (fs/file.c).
        if (!isOpen(index) && !this.#hasChanged(files, table, first + index, file)) odd.push(first + index);
        if (odd.length > MAX_ODD) break;
        yield { fd: first + index, file };
      }
      if (odd.length > MAX_ODD) break;
    }
    if (odd.length === 0) {
      if (table.anomaly !== undefined) throw damaged(table.anomaly);
      this.#checkReserved(files, table, reserved);
      return;
    }
    const many = odd.length > MAX_ODD ? `more than ${MAX_ODD} descriptors` : 'descriptors';
    throw damaged(`${many} (such as ${odd[0]}) have a file, but are not in open_fds`);
  }

  /** Returns the `struct file` of a descriptor, or undefined if it is not open. */
  find(files: bigint, fd: number): bigint | undefined {
    const table = this.#read(files);
    if (fd >= table.maxFds) return undefined;
    const slot = this.#part(table, table.fd + BigInt(fd * POINTER_SIZE), POINTER_SIZE);
    return slot.getBigUint64(0, true) || undefined;
  }

  /**
   * Checks the number of reserved descriptors: a system call reserves descriptors before it has their files,
   * accept() one, pipe() and socketpair() two.
   */
  #checkReserved(files: bigint, { address }: FdTable, reserved: number): void {
    if (reserved === 0 || this.#kernel.facts.live) return;
    const users = readOrNot(() => this.#users.read(files).number('count.counter'));
    if (users === undefined || reserved <= users * MAX_RESERVED) return;
    const message = `file table ${hex(address)} has ${reserved} descriptors in open_fds without a file, but ${users} users (files_struct.count)`;
    throw damaged(message);
  }

  /**
   * Whether a descriptor of a running kernel was opened, closed or moved between the reads of the bitmap and
   * of the table.
   */
  #hasChanged(files: bigint, table: FdTable, fd: number, file: bigint): boolean {
    if (!this.#kernel.facts.live) return false;
    return readFresh(this.#kernel, () => {
      if (this.#read(files).address !== table.address || this.find(files, fd) !== file) return true;
      const bits = this.#part(table, table.openFds + BigInt(fd >> 3), 1).getUint8(0);
      return (bits & (1 << (fd & 7))) !== 0;
    });
  }

  #part(table: FdTable, address: bigint, length: number): DataView {
    return readPartOf(this.#kernel, 'the file table', table.address, address, length);
  }

  #read(files: bigint): FdTable {
    const fdt = this.#files.read(files).pointer('fdt');
    const view = this.#table.read(fdt);
    const maxFds = view.number('max_fds');
    // A table has complete words of bits (alloc_fdtable, fs/file.c).
    if (maxFds > MAX_FDS || maxFds === 0 || maxFds % 64 !== 0) {
      throw damaged(`file table ${hex(fdt)} has an invalid size (${maxFds} descriptors)`);
    }
    const fd = view.pointer('fd');
    // A small table and its array are inside the files_struct; larger ones are separate allocations.
    const { fdtab, fdArray } = this.#inside;
    const expected = fdt === files + fdtab ? fd === files + fdArray : fd % 64n === 0n;
    if (!expected) {
      throw damaged(`file table ${hex(fdt)} has an invalid array pointer (${hex(fd)})`);
    }
    const [openFds, closeOnExec] = [view.pointer('open_fds'), view.pointer('close_on_exec')];
    const { openFds: own, closeOnExec: ownCloseOnExec } = this.#inside;
    // A separately allocated table has one bitmap directly after the other (alloc_fdtable in fs/file.c).
    const isSound =
      fdt === files + fdtab
        ? openFds === files + own && closeOnExec === files + ownCloseOnExec && maxFds === SMALL
        : closeOnExec === openFds + BigInt(maxFds / 8);
    const anomaly = isSound
      ? undefined
      : `file table ${hex(fdt)} is inconsistent: max_fds is ${maxFds}, open_fds ${hex(openFds)}, and close_on_exec ${hex(closeOnExec)}`;
    return { address: fdt, maxFds, fd, openFds, anomaly };
  }
}

/**
 * Returns the open descriptors of a process, in order; none for an exiting one. Those of threads with a
 * separate table follow.
 *
 * @throws {WalkError} `kernel-thread`; and as {@link FileTables.open}, {@link taskTable}
 */
export function openFiles(kernel: Kernel, task: Task): Iterable<OpenFile> {
  refuseKernelThread(task);
  return filesOfTables(kernel, task);
}

function* filesOfTables(kernel: Kernel, task: Task): Generator<OpenFile> {
  const tables = new FileTables(kernel);
  for (const files of tablesOf(kernel, task)) yield* tables.open(files);
}

/** Yields the leader's table, then other tables of its threads; a leader that exited has none. */
function* tablesOf(kernel: Kernel, task: Task): Generator<bigint> {
  const seen = new Set([0n, task.files]);
  if (task.files !== 0n) yield task.files;
  const table = taskTable(kernel);
  for (const { files } of table.threads(task)) {
    if (seen.has(files)) continue;
    seen.add(files);
    yield files;
  }
  table.checkThreads(task);
}

/**
 * The file behind one descriptor; of threads with separate tables, the first that has it open.
 *
 * @throws {WalkError} `no-such-fd` or `kernel-thread`; and as {@link openFiles}
 */
export function findFile(kernel: Kernel, task: Task, fd: number): OpenFile {
  refuseKernelThread(task);
  const tables = new FileTables(kernel);
  for (const files of tablesOf(kernel, task)) {
    const file = tables.find(files, fd);
    if (file !== undefined) return { fd, file };
  }
  throw new WalkError('no-such-fd', `fd ${fd} of pid ${task.pid} is not open`);
}

/** @throws {WalkError} `kernel-thread` */
export function refuseKernelThread(task: Task): void {
  if (task.kernelThread) {
    throw new WalkError('kernel-thread', `pid ${task.pid} is a kernel thread and has no files`);
  }
}

function isZero(view: DataView): boolean {
  for (let byte = 0; byte < view.byteLength; byte++) {
    if (view.getUint8(byte) !== 0) return false;
  }
  return true;
}

/** Whether a `struct file` is of a certain kind. */
export type FileTest = (file: bigint) => boolean;

/**
 * Returns a test for files of a kind without a path in any file system (fs/anon_inodes.c).
 *
 * @param operations symbol of their `struct file_operations`
 * @param name name of their dentry, such as `[io_uring]`: for kernels without data symbols. An unreadable
 * name counts as another name.
 * @returns a test, which throws {@link KernelError} `damaged` for a file whose name and operations are
 * inconsistent
 */
export function fileTest(kernel: Kernel, operations: string, name: string): FileTest {
  const known = kernel.symbol(operations);
  if (known === undefined) return hasName(kernel, name);
  const file = new StructReader(kernel, 'file', ['f_op']);
  // No comparison with an engine that needs a call per read.
  const compares = kernel.symbolAt && !kernel.facts.live && name !== '';
  const isNamed = compares ? hasName(kernel, name) : undefined;
  return (address) => {
    if (file.read(address).pointer('f_op') === known) return true;
    if (isNamed?.(address) && isPseudo(kernel, address))
      throw damaged(`file ${hex(address)} is ${name} by name, not by its f_op`);
    return false;
  };
}

/**
 * Whether a file has a dentry in no directory (alloc_file_pseudo): a directory may contain files of any name.
 */
function isPseudo(kernel: Kernel, file: bigint): boolean {
  const path = new StructReader(kernel, 'file', ['f_path.dentry']);
  const parent = new StructReader(kernel, 'dentry', ['d_parent']);
  const dentry = path.read(file).pointer('f_path.dentry');
  return readOrNot(() => parent.read(dentry).pointer('d_parent')) === dentry;
}

function hasName(kernel: Kernel, name: string): FileTest {
  const file = new StructReader(kernel, 'file', ['f_path.dentry']);
  const dentry = new StructReader(kernel, 'dentry', ['d_name.name', 'd_name.len']);
  return (address) => {
    const isNamed = readOrNot(() => {
      const view = dentry.read(file.read(address).pointer('f_path.dentry'));
      if (view.number('d_name.len') !== name.length) return false;
      const text = kernel.read(view.pointer('d_name.name'), name.length);
      return decodeText(text, 0, name.length) === name;
    });
    return isNamed ?? false;
  };
}
