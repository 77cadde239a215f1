import { KernelError } from '../../base/errors/kernel.js';
import { WalkError } from '../../base/errors/walk.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';
import { taskTable } from './task-table.js';
import type { Task } from './tasks.js';

/** An open file descriptor. */
export interface OpenFile {
  readonly fd: number;
  /** Address of the `struct file`; descriptors that dup or fork made share one. */
  readonly file: bigint;
}

/** fs.nr_open cannot be raised beyond this (fs/file.c, `sysctl_nr_open_max`, rounded up). */
const MAX_FDS = 2 ** 30;
const POINTER_SIZE = 8;
/** Descriptors of the table that lies in the files_struct (NR_OPEN_DEFAULT). */
const SMALL = 64;
/** Descriptors that one system call reserves at most. */
const MOST_RESERVED = 2;
/** So many slots that are used and not open are no table, but what lies behind one. */
const MOST_ODD = 64;
/** Descriptors whose pointers are read at a time: one page of them. */
const BATCH = 512;

interface FdTable {
  readonly address: bigint;
  readonly maxFds: number;
  readonly fd: bigint;
  readonly openFds: bigint;
  /** What contradicts that its bitmap lies there and has so many bits; undefined: nothing. */
  readonly anomaly: string | undefined;
}

/** Reads tables of open files (include/linux/fdtable.h). */
export class FileTables {
  readonly #kernel: Kernel;
  readonly #files;
  readonly #users;
  readonly #table;
  /** Bytes from a files_struct to the small table in it, and to that one's array. */
  readonly #inside: {
    readonly fdtab: bigint;
    readonly fdArray: bigint;
    readonly openFds: bigint;
    readonly closeOnExec: bigint;
  };

  constructor(kernel: Kernel) {
    const at = (member: string) =>
      BigInt(kernel.struct('files_struct')?.member(member)?.offset ?? 0);
    this.#inside = {
      fdtab: at('fdtab'),
      fdArray: at('fd_array'),
      openFds: at('open_fds_init'),
      closeOnExec: at('close_on_exec_init'),
    };
    this.#kernel = kernel;
    this.#files = new StructReader(kernel, 'files_struct', ['fdt']);
    this.#users = new StructReader(kernel, 'files_struct', ['count.counter']);
    this.#table = new StructReader(kernel, 'fdtable', [
      ...(['max_fds', 'fd', 'open_fds', 'close_on_exec'] as const),
    ]);
  }

  /**
   * The open descriptors of a `struct files_struct`, in order.
   *
   * @throws {ReadError} if its table cannot be read; {@link KernelError} `damaged`, after the last
   *   descriptor if these do not agree with the table's bitmap
   */
  *open(files: bigint): Generator<OpenFile> {
    const table = this.#read(files);
    const odd: number[] = [];
    let reserved = 0;
    for (let first = 0; first < table.maxFds; first += BATCH) {
      const count = Math.min(BATCH, table.maxFds - first);
      // The bitmap tells which slots are open without reading the slots of a huge empty table.
      const words = Math.ceil(count / 64) * 8;
      const bitmap = this.#part(table, table.openFds + BigInt(first / 8), words);
      // The first slots are looked at in any case: a bitmap of zeros may be damage.
      if (first > 0 && isZero(bitmap)) continue;
      const isOpen = (index: number) =>
        (bitmap.getUint8(Math.floor(index / 8)) & (1 << (index % 8))) !== 0;
      const from = table.fd + BigInt(first * POINTER_SIZE);
      const slots = this.#part(table, from, count * POINTER_SIZE);
      for (let index = 0; index < count; index++) {
        const file = slots.getBigUint64(index * POINTER_SIZE, true);
        if (file === 0n && isOpen(index)) reserved++;
        if (file === 0n) continue;
        // But for a moment in dup2, the bit is set before and cleared after (fs/file.c).
        if (!isOpen(index)) odd.push(first + index);
        if (odd.length > MOST_ODD) break;
        yield { fd: first + index, file };
      }
      if (odd.length > MOST_ODD) break;
    }
    if (odd.length === 0) {
      if (table.anomaly !== undefined) throw new KernelError('damaged', table.anomaly);
      this.#checkReserved(files, table, reserved);
      return;
    }
    const many = odd.length > MOST_ODD ? `more than ${MOST_ODD} descriptors` : 'descriptors';
    throw new KernelError(
      'damaged',
      `${many} (such as ${odd[0]}) have a file, but are not in open_fds`,
    );
  }

  /** The `struct file` behind one descriptor, or undefined if it is not open. */
  find(files: bigint, fd: number): bigint | undefined {
    const table = this.#read(files);
    if (fd >= table.maxFds) return undefined;
    const slot = this.#part(table, table.fd + BigInt(fd * POINTER_SIZE), POINTER_SIZE);
    return slot.getBigUint64(0, true) || undefined;
  }

  /** A system call reserves descriptors before it has their files: accept() one, pipe() and socketpair() two. */
  #checkReserved(files: bigint, { address }: FdTable, reserved: number): void {
    if (reserved === 0 || this.#kernel.facts.live) return;
    const users = readOrNot(() => this.#users.read(files).number('count.counter'));
    if (users === undefined || reserved <= users * MOST_RESERVED) return;
    const message = `file table ${hex(address)} has ${reserved} descriptors in open_fds without a file, but ${users} users (files_struct.count)`;
    throw new KernelError('damaged', message);
  }

  #part(table: FdTable, address: bigint, length: number): DataView {
    return readPartOf(this.#kernel, 'the file table', table.address, address, length);
  }

  #read(files: bigint): FdTable {
    const fdt = this.#files.read(files).pointer('fdt');
    const view = this.#table.read(fdt);
    const maxFds = view.number('max_fds');
    // A table has whole words of bits (alloc_fdtable in fs/file.c).
    if (maxFds > MAX_FDS || maxFds === 0 || maxFds % 64 !== 0) {
      throw new KernelError(
        'damaged',
        `file table ${hex(fdt)} has an invalid size (${maxFds} descriptors)`,
      );
    }
    const fd = view.pointer('fd');
    // A small table and its array lie in the files_struct; larger ones are allocations.
    const { fdtab, fdArray } = this.#inside;
    const expected = fdt === files + fdtab ? fd === files + fdArray : fd % 64n === 0n;
    if (!expected) {
      const message = `file table ${hex(fdt)} has an invalid array pointer (${hex(fd)})`;
      throw new KernelError('damaged', message);
    }
    const [openFds, closeOnExec] = [view.pointer('open_fds'), view.pointer('close_on_exec')];
    const { openFds: own, closeOnExec: ownCloseOnExec } = this.#inside;
    // In an allocation one bitmap follows the other (alloc_fdtable in fs/file.c).
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
 * The open descriptors of a process, in order; none of one that is exiting. Threads with a table of
 * their own have theirs after the others.
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

/** The leader's table; then others of its threads, which it may lack itself: it may have exited. */
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
 * The file behind one descriptor; of threads with tables of their own, the first that has it open.
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
