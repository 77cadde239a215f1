import { type KernelError, unsupportedLayout } from '../../base/errors.js';
import type { Kernel, StatedLayout } from '../../kernel/kernel.js';

/** Offsets and sizes, in bytes, that the kernel itself records for readers of its dump. */
export interface Fields {
  /** @throws {KernelError} `unsupported-layout`, or `no-types` as the kernel does */
  offset(struct: string, member: string): number;
  /** @throws as offset does */
  size(struct: string): number;
}

/** Maximum size of a struct: none that is read this way is nearly as large. */
const MAX_BYTES = 1 << 16;

/** Returns fields from VMCOREINFO, or from the kernel's types where VMCOREINFO lacks them. */
export function fieldsOf(
  kernel: Pick<Kernel, 'struct' | 'stated'>,
  stated: StatedLayout | undefined = kernel.stated,
): Fields {
  const sound = (value: number | undefined): number | undefined =>
    value !== undefined && value <= MAX_BYTES ? value : undefined;
  return {
    offset(struct, member) {
      const offset = sound(stated?.offset(`${struct}.${member}`)) ?? kernel.struct(struct)?.member(member)?.offset;
      if (offset === undefined) throw unknown(`struct ${struct} with a member ${member}`);
      return offset;
    },
    size(struct) {
      const size = sound(stated?.size(struct)) ?? kernel.struct(struct)?.size;
      if (size === undefined || size === 0) throw unknown(`struct ${struct}`);
      return size;
    },
  };
}

function unknown(what: string): KernelError {
  return unsupportedLayout(`this kernel has no ${what}`);
}
