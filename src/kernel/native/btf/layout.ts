import { KernelError } from '../../../base/errors.js';
import { type MemberLayout, type StructLayout, storageUnit } from '../../layout.js';
import type { Btf } from './btf.js';
import { Kind } from './format.js';

/** Maximum length of a path, in bytes. */
const MAX_PATH = 512;
const PATH = /^[A-Za-z_$][\w$]*(\[\d{1,9}\])*(\.[A-Za-z_$][\w$]*(\[\d{1,9}\])*)*$/;
const STEPS = /[A-Za-z_$][\w$]*|\d+(?=\])/g;

/** Members of each struct, resolved once and shared by all layouts that step into it. */
export type MemberCache = Map<number, ReadonlyMap<string, Member>>;

/**
 * The layout of one struct or union in BTF. Paths are resolved on demand and cached.
 *
 * pahole encodes an array of arrays (`int grid[4][3]`) as one array of all elements: `count` is 12
 * there, and `grid[3]` the fourth int.
 */
export class BtfStructLayout implements StructLayout {
  readonly name: string;
  readonly size: number;
  readonly #btf: Btf;
  readonly #id: number;
  readonly #cache: MemberCache;
  readonly #paths = new Map<string, MemberLayout | undefined>();

  /** @param id a struct or union; `name` may be a typedef of it. */
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
    if (path.length > MAX_PATH || !PATH.test(path)) return undefined;
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
        // BTF does not contain the number of elements of a flexible array.
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

function describeMember(btf: Btf, type: number, bits: number, bitSize: number, structSize: number): MemberLayout {
  const { name, pointer, count } = nameOf(btf, type);
  const array = count === undefined ? {} : { count };
  if (bitSize === 0) return { offset: Math.floor(bits / 8), size: btf.size(type), ...array, type: name, pointer };
  return { ...storageUnit(bits, bitSize, btf.size(type), structSize), type: name, pointer };
}

/** Returns the bare name of a member's type, and the pointer or array around it. */
function nameOf(btf: Btf, type: number): { name: string; pointer: boolean; count?: number } {
  let at = unqualified(btf, type);
  let count: number | undefined;
  let under = btf.resolve(at);
  if (btf.kind(under) === Kind.ARRAY) {
    count = btf.extra(under, 2);
    // An array of arrays is named by its innermost element.
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

/** Strips qualifiers and type tags, but not typedefs, which have names of their own. */
function unqualified(btf: Btf, type: number): number {
  let at = type;
  for (let step = 0; step < 64; step++) {
    const kind = btf.kind(at);
    if (kind !== Kind.CONST && kind !== Kind.VOLATILE && kind !== Kind.RESTRICT && kind !== Kind.TYPE_TAG) return at;
    at = btf.sizeOrType(at);
  }
  return at;
}

/** One member of a struct or union as recorded in BTF. */
interface Member {
  /** '' for an anonymous struct or union, and for an unnamed bitfield. */
  readonly name: string;
  readonly type: number;
  /** Bits from the start of the struct that contains the record. */
  readonly bitOffset: number;
  /** Bits of a bitfield, or 0 for other members. */
  readonly bitSize: number;
}

/** Deeper nesting of anonymous structs indicates corruption or a cycle. */
const MAX_DEPTH = 32;
/** More members than any kernel struct has, including those of anonymous structs. */
const MAX_MEMBERS = 65_536;

/** Reads member `index` of the struct or union `id`, in both encodings of bitfields. */
export function readMember(btf: Btf, id: number, index: number): Member {
  const type = btf.extra(id, index * 3 + 1);
  const offset = btf.extra(id, index * 3 + 2);
  const name = btf.string(btf.extra(id, index * 3));
  if (btf.flag(id)) return { name, type, bitOffset: offset & 0xffffff, bitSize: (offset >>> 24) & 0xff };
  // Without kind_flag, a bitfield is a member of an int type that covers fewer bits than its size.
  const base = btf.resolve(type);
  if (btf.kind(base) === Kind.INT) {
    const encoding = btf.extra(base, 0);
    const bits = encoding & 0xff;
    const shift = (encoding >>> 16) & 0xff;
    if (bits !== btf.sizeOrType(base) * 8 || shift !== 0)
      return { name, type, bitOffset: offset + shift, bitSize: bits };
  }
  return { name, type, bitOffset: offset, bitSize: 0 };
}

/** Whether `id` is a struct or union. */
export function isAggregate(btf: Btf, id: number): boolean {
  const kind = btf.kind(id);
  return kind === Kind.STRUCT || kind === Kind.UNION;
}

/**
 * Members of a struct or union by name, including those of its anonymous structs and unions;
 * offsets are from the start of `id`. The first of a name wins; C allows no duplicates.
 */
export function flattenMembers(btf: Btf, id: number): Map<string, Member> {
  const members = new Map<string, Member>();
  let visited = 0;
  const visit = (aggregate: number, bitOffset: number, depth: number): void => {
    if (depth > MAX_DEPTH) throw new KernelError('damaged', `BTF: type ${id} is nested too deeply`);
    const count = btf.vlen(aggregate);
    visited += count;
    if (visited > MAX_MEMBERS) throw new KernelError('damaged', `BTF: type ${id} has more than ${MAX_MEMBERS} members`);
    for (let index = 0; index < count; index++) {
      const member = readMember(btf, aggregate, index);
      if (member.name !== '') {
        if (!members.has(member.name)) members.set(member.name, { ...member, bitOffset: member.bitOffset + bitOffset });
        continue;
      }
      const inner = btf.resolve(member.type);
      if (isAggregate(btf, inner)) visit(inner, bitOffset + member.bitOffset, depth + 1);
    }
  };
  visit(id, 0, 0);
  return members;
}
