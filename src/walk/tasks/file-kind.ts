import { ReadError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { decodeText, StructReader } from '../struct-reader.js';

/** Whether a `struct file` is of some kind. */
export type FileTest = (file: bigint) => boolean;

/**
 * Tells files of a kind that lies in no file system that has paths (fs/anon_inodes.c).
 *
 * @param operations the symbol of their `struct file_operations`
 * @param name of their dentry, such as `[io_uring]`: for kernels that name no data. A name that cannot
 *   be read is another's.
 */
export function fileTest(kernel: Kernel, operations: string, name: string): FileTest {
  const known = kernel.symbol(operations);
  if (known === undefined) return hasName(kernel, name);
  const file = new StructReader(kernel, 'file', ['f_op']);
  return (address) => file.read(address).pointer('f_op') === known;
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
