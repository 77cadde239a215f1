import { KernelError, WalkError } from '../../base/errors.js';
import { type MemberDescription, storageUnit, type TypeDescription } from '../../kernel/layout.js';
import { didYouMean, nearestNames } from '../../walk/values/place.js';

export type Aggregate = Extract<TypeDescription, { kind: 'struct' | 'union' }>;

/** A member with its place. Offsets and sizes are bytes, counted from the outermost struct. */
export interface LayoutMember {
  /** '' for an anonymous struct or union, and for unnamed bits. */
  readonly name: string;
  /** C declaration without `;`; for an anonymous struct only the part before its brace. */
  readonly declaration: string;
  /** Text after the closing brace of an anonymous struct: its name, or nothing. */
  readonly suffix: string;
  /** For a bitfield, offset of its storage unit. */
  readonly offset: number;
  readonly size: number;
  readonly bits?: { readonly offset: number; readonly size: number };
  /** Unused bytes before it. */
  readonly hole: Hole;
  /** Members of an anonymous struct or union. */
  readonly members?: readonly LayoutMember[];
  readonly type: TypeDescription;
}

/** Unused bits that end a bitfield's storage unit, and the bytes behind it. */
export interface Hole {
  readonly bytes: number;
  readonly bits: number;
}

const NO_HOLE: Hole = { bytes: 0, bits: 0 };

/** Nested deeper, or with more members than any struct of a kernel, types are damage. */
const MAX_DEPTH = 32;
const MAX_MEMBERS = 65_536;

/** The members of a struct or union with those of its anonymous ones, and the holes between them. */
export function layoutOf(type: Aggregate): LayoutMember[] {
  const budget = { left: MAX_MEMBERS };
  return layMembers(type, 0, 0, budget);
}

/** Unused bytes between the last member and the struct's end. */
export function paddingOf(type: Aggregate): Hole {
  if (type.kind === 'union') return NO_HOLE;
  let cursor: Cursor = { end: 0, unitEnd: 0 };
  for (const member of type.members()) cursor = advance(cursor, member, type.size);
  return holeBetween(cursor, type.size * 8);
}

function layMembers(type: Aggregate, base: number, depth: number, budget: { left: number }): LayoutMember[] {
  const members = type.members();
  budget.left -= members.length;
  if (depth > MAX_DEPTH || budget.left < 0)
    throw new KernelError('damaged', `BTF: ${type.spelling} nests without an end`);
  let cursor: Cursor = { end: 0, unitEnd: 0 };
  return members.map((member) => {
    const hole = type.kind === 'union' ? NO_HOLE : holeBetween(cursor, member.bitOffset);
    cursor = advance(cursor, member, type.size);
    const inner = anonymous(member.type);
    const { offset, size, bits } = placeOf(member, type.size);
    const place = { offset: base + offset, size, ...(bits ? { bits } : {}), hole };
    if (!inner) return { name: member.name, declaration: member.declaration, suffix: '', ...place, type: member.type };
    const brace = member.declaration.indexOf('{...}');
    return {
      name: member.name,
      declaration: member.declaration.slice(0, Math.max(0, brace)).trimEnd(),
      suffix: brace < 0 ? member.name : member.declaration.slice(brace + '{...}'.length).trim(),
      ...place,
      members: layMembers(inner, base + offset, depth + 1, budget),
      type: member.type,
    };
  });
}

/** The struct without a name that a member is, or is an array of. */
function anonymous(type: TypeDescription): Aggregate | undefined {
  let at = type;
  for (let depth = 0; at.kind === 'array' && depth < MAX_DEPTH; depth++) at = at.element();
  if (at.kind !== 'struct' && at.kind !== 'union') return undefined;
  return at.spelling.endsWith('{...}') ? at : undefined;
}

/** Position of a member in bytes; for a bitfield, its storage unit and its bits in it. */
export function placeOf(
  { bitOffset, bitSize, type }: Pick<MemberDescription, 'bitOffset' | 'bitSize' | 'type'>,
  structSize: number,
): Pick<LayoutMember, 'offset' | 'size' | 'bits'> {
  if (bitSize === 0) return { offset: Math.floor(bitOffset / 8), size: type.size };
  return storageUnit(bitOffset, bitSize, type.size, structSize);
}

/** Where the members so far end, and where the storage unit of the last one does, in bits. */
interface Cursor {
  readonly end: number;
  readonly unitEnd: number;
}

function advance(cursor: Cursor, member: MemberDescription, structSize: number): Cursor {
  const { offset, size } = placeOf(member, structSize);
  const bits = member.bitSize === 0 ? member.type.size * 8 : member.bitSize;
  const end = Math.max(cursor.end, member.bitOffset + bits);
  return { end, unitEnd: member.bitSize === 0 ? end : (offset + size) * 8 };
}

function holeBetween({ end, unitEnd }: Cursor, start: number): Hole {
  if (start <= end) return NO_HOLE;
  const unit = Math.min(Math.max(unitEnd, Math.ceil(end / 8) * 8), start);
  // Unused bytes of the unit count as bytes if a complete member would fit.
  const bits = unit - end;
  const bytes = Math.floor((start - unit) / 8);
  return { bits: bits + ((start - unit) % 8), bytes };
}

/** A requested member by its path, with its offset in the outermost type. */
export interface SelectedMember {
  /** As it was written: `sk_buff.len` without the type, `__sk_common.skc_family`, `frags[3]`. */
  readonly path: string;
  readonly type: TypeDescription;
  /** Bits from the start of the outermost type. */
  readonly bitOffset: number;
  /** Bits of a bitfield; 0 otherwise. */
  readonly bitSize: number;
}

const STEP = /^([A-Za-z_$][\w$]*)((?:\[\d{1,9}\])*)$/;
const MAX_NAMED = 8;

/**
 * Finds a member by its path; anonymous structs and unions are looked through.
 *
 * @throws {WalkError} `no-such-member`, naming those that are most like it
 */
export function selectMember(outer: TypeDescription, path: string): SelectedMember {
  let type = outer;
  let bitOffset = 0;
  let bitSize = 0;
  for (const step of path.split('.')) {
    const [, name = '', indexes = ''] = STEP.exec(step) ?? [];
    const inner = name === '' ? undefined : findMember(type, name, 0);
    if (inner === undefined) throw noSuchMember(type, step);
    bitOffset += inner.bitOffset;
    bitSize = inner.bitSize;
    type = inner.type;
    for (const [, digits = ''] of indexes.matchAll(/\[(\d+)\]/g)) {
      const index = Number(digits);
      if (type.kind !== 'array' || (type.count !== 0 && index >= type.count))
        throw new WalkError('no-such-member', `${type.spelling} has no element ${index}`);
      type = type.element();
      bitOffset += index * type.size * 8;
    }
  }
  return { path, type, bitOffset, bitSize };
}

/** A member found by its path, as a line of the layout. */
export function selectedLayout(outer: TypeDescription, member: SelectedMember): LayoutMember {
  const { path, type, bitSize } = member;
  const declaration = `${type.spelling} ${path}${bitSize > 0 ? `:${bitSize}` : ''}`;
  const hole = { bytes: 0, bits: 0 };
  return { name: path, declaration, suffix: '', ...placeOf(member, outer.size), hole, type };
}

function findMember(
  type: TypeDescription,
  name: string,
  depth: number,
): Pick<MemberDescription, 'type' | 'bitOffset' | 'bitSize'> | undefined {
  if ((type.kind !== 'struct' && type.kind !== 'union') || depth > MAX_DEPTH) return undefined;
  const members = type.members();
  const own = members.find((member) => member.name === name);
  if (own) return own;
  for (const member of members) {
    if (member.name !== '') continue;
    const inner = findMember(member.type, name, depth + 1);
    if (inner) return { ...inner, bitOffset: member.bitOffset + inner.bitOffset };
  }
  return undefined;
}

function noSuchMember(type: TypeDescription, step: string): WalkError {
  const names = memberNames(type, 0);
  const near = nearestNames(/^[\w$]*/.exec(step)?.[0] ?? '', names);
  // A short list is printed in full if no name is similar.
  const few = names.length > 0 && names.length <= MAX_NAMED ? `; it has ${names.join(', ')}` : '';
  const hint = near.length > 0 ? didYouMean(near) : few;
  return new WalkError('no-such-member', `${type.spelling} has no member ${step}${hint}`);
}

function memberNames(type: TypeDescription, depth: number): string[] {
  if ((type.kind !== 'struct' && type.kind !== 'union') || depth > MAX_DEPTH) return [];
  return type.members().flatMap((member) => (member.name === '' ? memberNames(member.type, depth + 1) : [member.name]));
}
