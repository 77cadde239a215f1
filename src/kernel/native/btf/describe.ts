import { KernelError } from '../../../base/errors.js';
import type { Described, MemberDescription, TypeDescription } from '../../layout.js';
import type { Btf } from './btf.js';
import { Kind } from './format.js';
import { readMember } from './layout.js';

/**
 * Describes a type by its id. Throws {KernelError} `damaged` as Btf does, also later, when nested
 * types are accessed.
 */
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
      return { ...base, kind: 'pointer', target: () => describeType(btf, btf.sizeOrType(resolved)) };
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

/** GCC's BTF does not mark `char` and `unsigned char` as such: they are recognized by their size. */
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

/** Pointers, arrays, functions and qualifiers around one name; a longer chain indicates corruption or a cycle. */
const MAX_DEPTH = 64;
/** Maximum number of types in one declaration: functions that take functions can be wide without being deep. */
const MAX_TYPES = 4096;
const MAX_LENGTH = 4096;

/**
 * Spells a declaration in C: `char comm[16]`, `void (*destructor)(struct sk_buff *)`. Without a
 * name, the type alone. Anonymous structs are written `struct {...}`.
 */
export function spell(btf: Btf, id: number, name = ''): string {
  const spelled = declare(btf, id, name, 0, { types: MAX_TYPES });
  return spelled.length > MAX_LENGTH ? `${spelled.slice(0, MAX_LENGTH)}…` : spelled;
}

function declare(btf: Btf, id: number, inner: string, depth: number, budget: { types: number }): string {
  if (depth > MAX_DEPTH || --budget.types < 0)
    throw new KernelError('damaged', `BTF: declaration of type ${id} does not terminate`);
  if (inner.length > MAX_LENGTH) return inner;
  const next = (type: number, text: string): string => declare(btf, type, text, depth + 1, budget);
  switch (btf.kind(id)) {
    case Kind.VOID:
      return join('void', inner);
    case Kind.STRUCT:
      return join(`struct ${btf.name(id) || '{...}'}`, inner);
    case Kind.UNION:
      return join(`union ${btf.name(id) || '{...}'}`, inner);
    case Kind.ENUM:
    case Kind.ENUM64:
      return join(`enum ${btf.name(id) || '{...}'}`, inner);
    case Kind.FWD:
      return join(`${btf.flag(id) ? 'union' : 'struct'} ${btf.name(id)}`, inner);
    case Kind.PTR: {
      const target = btf.sizeOrType(id);
      const binds = bindsTighter(btf, target);
      return next(target, binds ? `(*${inner})` : `*${inner}`);
    }
    case Kind.CONST:
    case Kind.VOLATILE:
    case Kind.RESTRICT: {
      const target = btf.sizeOrType(id);
      const word = QUALIFIERS[btf.kind(id)]!;
      // A pointer's qualifier follows the asterisk; all others precede the type.
      return btf.kind(target) === Kind.PTR ? next(target, join(word, inner)) : join(word, next(target, inner));
    }
    case Kind.ARRAY: {
      const count = btf.extra(id, 2);
      return next(btf.extra(id, 0), `${inner}[${count === 0 ? '' : count}]`);
    }
    case Kind.FUNC_PROTO: {
      const parameters = Array.from({ length: Math.min(btf.vlen(id), 32) }, (_, index) => {
        const type = btf.extra(id, index * 2 + 1);
        // A last parameter without name or type stands for `...`.
        return type === 0 && index === btf.vlen(id) - 1 ? '...' : next(type, '');
      });
      return next(btf.sizeOrType(id), `${inner}(${parameters.join(', ') || 'void'})`);
    }
    case Kind.TYPE_TAG:
    case Kind.FUNC:
    case Kind.VAR:
      return next(btf.sizeOrType(id), inner);
    default:
      return join(btf.name(id), inner);
  }
}

const QUALIFIERS: Readonly<Record<number, string>> = {
  [Kind.CONST]: 'const',
  [Kind.VOLATILE]: 'volatile',
  [Kind.RESTRICT]: 'restrict',
};

function bindsTighter(btf: Btf, id: number): boolean {
  let at = id;
  for (let step = 0; step < MAX_DEPTH; step++) {
    const kind = btf.kind(at);
    if (kind === Kind.ARRAY || kind === Kind.FUNC_PROTO) return true;
    if (kind !== Kind.TYPE_TAG) return false;
    at = btf.sizeOrType(at);
  }
  return false;
}

function join(type: string, inner: string): string {
  return inner === '' ? type : `${type} ${inner}`;
}

/** Names and values of an enum, in the order of its declaration. */
export function enumeratorsOf(btf: Btf, id: number): Map<string, bigint> {
  const values = new Map<string, bigint>();
  const wide = btf.kind(id) === Kind.ENUM64;
  const words = wide ? 3 : 2;
  const signed = btf.signedEnum(id);
  for (let index = 0; index < btf.vlen(id); index++) {
    const low = BigInt(btf.extra(id, index * words + 1));
    const high = wide ? BigInt(btf.extra(id, index * words + 2)) : 0n;
    const value = (high << 32n) | low;
    const name = btf.string(btf.extra(id, index * words));
    values.set(name, signed ? BigInt.asIntN(wide ? 64 : 32, value) : value);
  }
  return values;
}
