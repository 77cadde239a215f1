import type { NativeKernel } from '../../kernel/native/parts.js';
import { StructReader } from '../../walk/struct-reader.js';

/** A reader of those members that this kernel has. */
export function present(kernel: NativeKernel, name: string, members: readonly string[]) {
  const layout = kernel.struct(name);
  return new StructReader(
    kernel,
    name,
    members.filter((member) => layout?.member(member) !== undefined),
  );
}
