import { KernelError } from '../kernel/error.js';
import type { Kernel } from '../kernel/kernel.js';
import { WalkError } from './error.js';
import { StructReader } from './struct-reader.js';
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
/** Descriptors whose pointers are read at a time: one page of them. */
const BATCH = 512;

/**
 * The open descriptors of a process, in order.
 *
 * @throws {WalkError} `kernel-thread`; {@link ReadError} if its table cannot be read.
 */
export function* openFiles(kernel: Kernel, task: Task): Generator<OpenFile> {
  const table = fdTable(kernel, task);
  for (let first = 0; first < table.maxFds; first += BATCH) {
    const count = Math.min(BATCH, table.maxFds - first);
    // The bitmap tells which of the slots are open without reading the slots of a huge empty table.
    const bitmap = kernel.read(table.openFds + BigInt(first / 8), Math.ceil(count / 64) * 8);
    let open = false;
    for (let byte = 0; byte < bitmap.byteLength && !open; byte++)
      open = bitmap.getUint8(byte) !== 0;
    if (!open) continue;
    const slots = kernel.read(table.fd + BigInt(first * POINTER_SIZE), count * POINTER_SIZE);
    for (let index = 0; index < count; index++) {
      const file = slots.getBigUint64(index * POINTER_SIZE, true);
      if (file !== 0n) yield { fd: first + index, file };
    }
  }
}

/**
 * The file behind one descriptor.
 *
 * @throws {WalkError} `no-such-fd` or `kernel-thread`; {@link KernelError} `damaged`.
 */
export function findFile(kernel: Kernel, task: Task, fd: number): OpenFile {
  const table = fdTable(kernel, task);
  const file =
    fd < table.maxFds
      ? kernel.read(table.fd + BigInt(fd * POINTER_SIZE), POINTER_SIZE).getBigUint64(0, true)
      : 0n;
  if (file === 0n) throw new WalkError('no-such-fd', `fd ${fd} of pid ${task.pid} is not open`);
  return { fd, file };
}

interface FdTable {
  readonly maxFds: number;
  readonly fd: bigint;
  readonly openFds: bigint;
}

function fdTable(kernel: Kernel, task: Task): FdTable {
  if (task.kernelThread) {
    throw new WalkError('kernel-thread', `pid ${task.pid} is a kernel thread and has no files`);
  }
  if (task.files === 0n) return { maxFds: 0, fd: 0n, openFds: 0n };
  const fdt = new StructReader(kernel, 'files_struct', ['fdt']).read(task.files).pointer('fdt');
  const view = new StructReader(kernel, 'fdtable', ['max_fds', 'fd', 'open_fds']).read(fdt);
  const maxFds = view.number('max_fds');
  if (maxFds > MAX_FDS) {
    throw new KernelError(
      'damaged',
      `the file table of pid ${task.pid} at 0x${fdt.toString(16)} claims ${maxFds} descriptors`,
    );
  }
  return { maxFds, fd: view.pointer('fd'), openFds: view.pointer('open_fds') };
}
