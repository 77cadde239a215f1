import type { Described, MemberDescription, TypeDescription } from '../../type-description.js';
import type { Btf } from './btf.js';
import { enumeratorsOf } from './enumerators.js';
import { Kind } from './format.js';
import { readMember } from './member.js';
import { spell } from './spelling.js';

/** Describes a type by its id. Throws {KernelError} `damaged` as Btf does, also later, in its parts. */
export function describeType(btf: Btf, id: number): TypeDescription {
  const resolved = btf.resolve(id);
  const base = { spelling: spell(btf, id), size: btf.size(resolved) };
  switch (btf.kind(resolved)) {
    case Kind.INT: {
      const flags = btf.extra(resolved, 0) >>> 24;
      const encoding = flags & 4 ? 'bool' : flags & 2 || isChar(base) ? 'char' : 'number';
      return { ...base, kind: 'int', signed: (flags & 1) !== 0, encoding };
    }
    case Kind.FLOAT:
      return { ...base, kind: 'float' };
    case Kind.PTR:
      return {
        ...base,
        kind: 'pointer',
        target: () => describeType(btf, btf.sizeOrType(resolved)),
      };
    case Kind.ARRAY:
      return {
        ...base,
        kind: 'array',
        count: btf.extra(resolved, 2),
        element: () => describeType(btf, btf.extra(resolved, 0)),
      };
    case Kind.STRUCT:
    case Kind.UNION:
      return {
        ...base,
        kind: btf.kind(resolved) === Kind.STRUCT ? 'struct' : 'union',
        members: () => describeMembers(btf, resolved),
      };
    case Kind.ENUM:
    case Kind.ENUM64: {
      const values = (): ReadonlyMap<string, bigint> => enumeratorsOf(btf, resolved);
      return { ...base, kind: 'enum', signed: btf.signedEnum(resolved), values };
    }
    default:
      return { ...base, kind: 'opaque' };
  }
}

/** GCC does not mark `char` and `unsigned char` as such in DWARF's way of BTF: their size does. */
function isChar({ spelling, size }: Described): boolean {
  return size === 1 && /\bchar$/.test(spelling);
}

function describeMembers(btf: Btf, id: number): MemberDescription[] {
  return Array.from({ length: btf.vlen(id) }, (_, index) => {
    const { name, type, bitOffset, bitSize } = readMember(btf, id, index);
    const declaration = spell(btf, type, name) + (bitSize > 0 ? `:${bitSize}` : '');
    return { name, declaration, bitOffset, bitSize, type: describeType(btf, type) };
  });
}
