import { WalkError } from '../../base/errors.js';
import type { MemberDescription, TypeDescription } from '../../kernel/type-description.js';
import { didYouMean, nearestNames } from '../../walk/values/nearest-names.js';
import { type LayoutMember, placeOf } from './layout.js';

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
const MOST_DEPTH = 32;
const MOST_NAMED = 8;

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
    const found = name === '' ? undefined : findMember(type, name, 0);
    if (found === undefined) throw noSuchMember(type, step);
    bitOffset += found.bitOffset;
    bitSize = found.bitSize;
    type = found.type;
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
  if ((type.kind !== 'struct' && type.kind !== 'union') || depth > MOST_DEPTH) return undefined;
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
  const few = names.length > 0 && names.length <= MOST_NAMED ? `; it has ${names.join(', ')}` : '';
  const hint = near.length > 0 ? didYouMean(near) : few;
  return new WalkError('no-such-member', `${type.spelling} has no member ${step}${hint}`);
}

function memberNames(type: TypeDescription, depth: number): string[] {
  if ((type.kind !== 'struct' && type.kind !== 'union') || depth > MOST_DEPTH) return [];
  return type
    .members()
    .flatMap((member) =>
      member.name === '' ? memberNames(member.type, depth + 1) : [member.name],
    );
}
