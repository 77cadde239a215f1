import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readOrNot } from '../read-or-not.js';
import { decodeText, StructReader } from '../struct-reader.js';

/** Whether a `struct file` is of some kind. */
export type FileTest = (file: bigint) => boolean;

/**
 * Tells files of a kind that lies in no file system that has paths (fs/anon_inodes.c).
 *
 * @param operations the symbol of their `struct file_operations`
 * @param name of their dentry, such as `[io_uring]`: for kernels that name no data. A name that cannot
 *   be read is another's.
 * @returns a test, which throws {@link KernelError} `damaged` for a file whose name and operations contradict each other
 */
export function fileTest(kernel: Kernel, operations: string, name: string): FileTest {
  const known = kernel.symbol(operations);
  if (known === undefined) return hasName(kernel, name);
  const file = new StructReader(kernel, 'file', ['f_op']);
  // An engine that takes a call for each read compares nothing.
  const isNamed = kernel.symbolAt && !kernel.facts.live && name !== '' && hasName(kernel, name);
  return (address) => {
    if (file.read(address).pointer('f_op') === known) return true;
    if (isNamed && isNamed(address) && isPseudo(kernel, address))
      throw new KernelError('damaged', `file ${hex(address)} is ${name} by name, not by its f_op`);
    return false;
  };
}

/** Whether a file has a dentry in no directory (alloc_file_pseudo): a file of any name may lie in one. */
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
    try {
      const view = dentry.read(file.read(address).pointer('f_path.dentry'));
      if (view.number('d_name.len') !== name.length) return false;
      const text = kernel.read(view.pointer('d_name.name'), name.length);
      return decodeText(text, 0, name.length) === name;
    } catch (error) {
      if (error instanceof ReadError) return false;
      throw error;
    }
  };
}
