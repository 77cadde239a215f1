import { KernelError } from '../../../base/errors/kernel.js';
import { storageUnit } from '../../bitfields.js';
import type { MemberLayout, StructLayout } from '../../layout.js';
import type { Btf } from './btf.js';
import { Kind } from './format.js';
import { flattenMembers, isAggregate, type Member } from './member.js';

/** Longest path that is looked at, in bytes. */
const MOST_PATH = 512;
const PATH = /^[A-Za-z_$][\w$]*(\[\d{1,9}\])*(\.[A-Za-z_$][\w$]*(\[\d{1,9}\])*)*$/;
const STEPS = /[A-Za-z_$][\w$]*|\d+(?=\])/g;

/** Members of each struct, resolved once and shared by all layouts that step into it. */
export type MemberCache = Map<number, ReadonlyMap<string, Member>>;

/**
 * The layout of one struct or union in BTF. Paths are resolved when asked, and remembered.
 *
 * BTF made by pahole has an array of arrays (`int grid[4][3]`) as one array of all elements: `count` is
 * 12 there, and `grid[3]` the fourth int.
 */
export class BtfStructLayout implements StructLayout {
  readonly name: string;
  readonly size: number;
  readonly #btf: Btf;
  readonly #id: number;
  readonly #cache: MemberCache;
  readonly #paths = new Map<string, MemberLayout | undefined>();

  /** @param id a struct or union; `name` may be that of a typedef that led to it. */
  constructor(btf: Btf, id: number, name: string, cache: MemberCache) {
    this.#btf = btf;
    this.#id = id;
    this.#cache = cache;
    this.name = name;
    this.size = btf.sizeOrType(id);
  }

  get members(): readonly string[] {
    return [...this.#membersOf(this.#id).keys()];
  }

  member(path: string): MemberLayout | undefined {
    if (!this.#paths.has(path)) this.#paths.set(path, this.#find(path));
    return this.#paths.get(path);
  }

  #membersOf(id: number): ReadonlyMap<string, Member> {
    let members = this.#cache.get(id);
    if (!members) {
      members = flattenMembers(this.#btf, id);
      this.#cache.set(id, members);
    }
    return members;
  }

  #find(path: string): MemberLayout | undefined {
    if (path.length > MOST_PATH || !PATH.test(path)) return undefined;
    const btf = this.#btf;
    let type = this.#id;
    let bits = 0;
    let bitSize = 0;
    let flexible = false;
    for (const step of path.match(STEPS) ?? []) {
      const resolved = btf.resolve(type);
      if (!/^\d/.test(step)) {
        if (!isAggregate(btf, resolved)) return undefined;
        const member = this.#membersOf(resolved).get(step);
        if (!member) return undefined;
        bits += member.bitOffset;
        bitSize = member.bitSize;
        type = member.type;
      } else {
        if (btf.kind(resolved) !== Kind.ARRAY) return undefined;
        const count = btf.extra(resolved, 2);
        const index = Number(step);
        // A flexible array has as many elements as its owner says; BTF doesn't know.
        if (count !== 0 && index >= count) return undefined;
        flexible ||= count === 0;
        type = btf.extra(resolved, 0);
        bits += index * btf.size(type) * 8;
      }
      if (!Number.isSafeInteger(bits)) return undefined;
    }
    const member = describeMember(btf, type, bits, bitSize, this.size);
    if (!flexible && member.offset + member.size > this.size) {
      const end = member.offset + member.size;
      const message = `BTF: ${this.name}.${path} ends at byte ${end} of ${this.size}`;
      throw new KernelError('damaged', message);
    }
    return member;
  }
}

function describeMember(
  btf: Btf,
  type: number,
  bits: number,
  bitSize: number,
  structSize: number,
): MemberLayout {
  const { name, pointer, count } = nameOf(btf, type);
  const array = count === undefined ? {} : { count };
  if (bitSize === 0)
    return { offset: Math.floor(bits / 8), size: btf.size(type), ...array, type: name, pointer };
  return { ...storageUnit(bits, bitSize, btf.size(type), structSize), type: name, pointer };
}

/** The bare name under which a member's type is known, and what was around it. */
function nameOf(btf: Btf, type: number): { name: string; pointer: boolean; count?: number } {
  let at = unqualified(btf, type);
  let count: number | undefined;
  let under = btf.resolve(at);
  if (btf.kind(under) === Kind.ARRAY) {
    count = btf.extra(under, 2);
    // Of an array of arrays, the innermost element names the type.
    for (let depth = 0; btf.kind(under) === Kind.ARRAY && depth < 64; depth++) {
      at = unqualified(btf, btf.extra(under, 0));
      under = btf.resolve(at);
    }
  }
  const pointer = btf.kind(under) === Kind.PTR;
  if (pointer) at = unqualified(btf, btf.sizeOrType(under));
  const kind = btf.kind(at);
  const named = kind !== Kind.PTR && kind !== Kind.ARRAY && kind !== Kind.FUNC_PROTO;
  return { name: named ? btf.name(at) : '', pointer, ...(count === undefined ? {} : { count }) };
}

/** Strips qualifiers and type tags, but not typedefs: those have a name of their own. */
function unqualified(btf: Btf, type: number): number {
  let at = type;
  for (let step = 0; step < 64; step++) {
    const kind = btf.kind(at);
    if (
      kind !== Kind.CONST &&
      kind !== Kind.VOLATILE &&
      kind !== Kind.RESTRICT &&
      kind !== Kind.TYPE_TAG
    )
      return at;
    at = btf.sizeOrType(at);
  }
  return at;
}
