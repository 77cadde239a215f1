import type { NamedType } from '../layout.js';
import { describeType } from './btf/describe.js';
import { Kind } from './btf/format.js';
import type { NativeKernel } from './kernel.js';

const KEYWORD = /^(struct|union|enum)\s+/;

/**
 * Every type of a name, `struct x` before a typedef x: the kernel's own, or else its modules'. The name
 * may include its keyword (`union nf_inet_addr`), which then selects.
 *
 * @throws {KernelError} as Btf does, on invalid types
 */
export function namedTypes(kernel: NativeKernel, written: string): NamedType[] {
  const keyword = KEYWORD.exec(written)?.[1];
  const name = written.replace(KEYWORD, '');
  const tagged: NamedType[] = [];
  const typedefs: NamedType[] = [];
  for (const { btf, id } of kernel.types.find(name)) {
    const isTypedef = btf.kind(id) === Kind.TYPEDEF;
    const type = describeType(btf, btf.resolve(id));
    if (keyword !== undefined && (isTypedef || type.kind !== keyword)) continue;
    const module =
      btf === kernel.types.base ? undefined : kernel.moduleTypes.modules.find((entry) => entry.btf === btf)?.module;
    const named = { type, ...(module === undefined ? {} : { module }) };
    if (isTypedef) typedefs.push({ ...named, typedef: name });
    else tagged.push(named);
  }
  return [...tagged, ...typedefs];
}
