import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { StructLayout } from '../../kernel/layout.js';

/** The layout of a struct of the log, undefined without types too: VMCOREINFO states most of the log. */
export function typeOf(kernel: Kernel, name: string): StructLayout | undefined {
  try {
    return kernel.struct(name);
  } catch (error) {
    if (error instanceof KernelError && error.code === 'no-types') return undefined;
    throw error;
  }
}
