import { KernelError } from '../../../base/errors/kernel.js';
import type { Btf } from './btf.js';
import { Kind } from './format.js';

/** One member of a struct or union as its own record has it. */
export interface Member {
  /** '' for an anonymous struct or union, and for an unnamed bitfield. */
  readonly name: string;
  readonly type: number;
  /** Bits from the start of the struct that the record belongs to. */
  readonly bitOffset: number;
  /** Bits of a bitfield, or 0 for what is none. */
  readonly bitSize: number;
}

/** Nested deeper than this, anonymous structs are damage or a cycle. */
const MOST_DEPTH = 32;
/** More members than any struct of a kernel has, the anonymous ones' among them. */
const MOST_MEMBERS = 65_536;

/** Reads member `index` of the struct or union `id`, in both encodings of bitfields. */
export function readMember(btf: Btf, id: number, index: number): Member {
  const type = btf.extra(id, index * 3 + 1);
  const offset = btf.extra(id, index * 3 + 2);
  const name = btf.string(btf.extra(id, index * 3));
  if (btf.flag(id))
    return { name, type, bitOffset: offset & 0xffffff, bitSize: (offset >>> 24) & 0xff };
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

/** Whether `id` is a struct or union, and so has members. */
export function isAggregate(btf: Btf, id: number): boolean {
  const kind = btf.kind(id);
  return kind === Kind.STRUCT || kind === Kind.UNION;
}

/**
 * Members of a struct or union by name, with those of its anonymous structs and unions; offsets are
 * from the start of `id`. The first of a name wins, as C allows no second.
 */
export function flattenMembers(btf: Btf, id: number): Map<string, Member> {
  const members = new Map<string, Member>();
  let seen = 0;
  const visit = (aggregate: number, bitOffset: number, depth: number): void => {
    if (depth > MOST_DEPTH)
      throw new KernelError('damaged', `BTF: type ${id} is nested too deeply`);
    const count = btf.vlen(aggregate);
    seen += count;
    if (seen > MOST_MEMBERS)
      throw new KernelError('damaged', `BTF: type ${id} has more than ${MOST_MEMBERS} members`);
    for (let index = 0; index < count; index++) {
      const member = readMember(btf, aggregate, index);
      if (member.name !== '') {
        if (!members.has(member.name))
          members.set(member.name, { ...member, bitOffset: member.bitOffset + bitOffset });
        continue;
      }
      const inner = btf.resolve(member.type);
      if (isAggregate(btf, inner)) visit(inner, bitOffset + member.bitOffset, depth + 1);
    }
  };
  visit(id, 0, 0);
  return members;
}
