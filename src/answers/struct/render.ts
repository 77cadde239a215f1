import { escapeText } from '../../base/escape.js';
import type { LayoutMemberJson, StructJson } from '../../contracts/struct.js';
import { kernelIdentity } from '../../kernel/identity.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { NamedType, TypeDescription } from '../../kernel/layout.js';
import { integer } from '../../walk/values/instance.js';
import { type Aggregate, type Hole, type LayoutMember, layoutOf, paddingOf } from './layout.js';

/** Layouts as the JSON contract has them; `members` replaces those of the only type. */
export function structJson(
  { facts, doubts = [] }: Pick<Kernel, 'facts' | 'doubts'>,
  types: readonly NamedType[],
  members?: readonly LayoutMember[],
): StructJson {
  return {
    schema: 'kdump-mem.struct/1',
    kernel: kernelIdentity(facts),
    types: types.map(({ type, typedef, module }) => ({
      type: type.spelling,
      kind: type.kind,
      ...(typedef === undefined ? {} : { typedef }),
      ...(module === undefined ? {} : { module }),
      size: type.size,
      ...(type.kind === 'struct' || type.kind === 'union'
        ? { members: (members ?? layoutOf(type)).map(memberJson) }
        : {}),
      ...(type.kind === 'enum'
        ? { values: Object.fromEntries([...type.values()].map(([name, value]) => [name, integer(value)])) }
        : {}),
    })),
    warnings: doubts,
  };
}

function memberJson({ name, declaration, offset, size, bits, members }: LayoutMember): LayoutMemberJson {
  return {
    name,
    declaration,
    offset,
    size,
    ...(bits ? { bits } : {}),
    ...(members ? { members: members.map(memberJson) } : {}),
  };
}

/** Bytes of a cache line on x86_64, and on most arm64 machines. */
const CACHE_LINE = 64;
/** Comments stand behind this column, if the declaration is not longer. */
const COMMENT_COLUMN = 56;

/** A type as pahole prints it; the member's name stands where C has it. */
export function typeText({ type, typedef, module }: NamedType): string {
  const parts: string[] = [];
  if (module !== undefined) parts.push(`/* in the module ${escapeText(module)} */`);
  if (typedef !== undefined) {
    parts.push(`typedef ${escapeText(type.spelling)} ${escapeText(typedef)};`);
  }
  if (type.kind === 'struct' || type.kind === 'union') parts.push(aggregateText(type));
  else if (type.kind === 'enum') parts.push(enumText(type));
  else if (typedef === undefined) parts.push(`${escapeText(type.spelling)};`);
  return parts.join('\n');
}

/** Chosen members of a type, each a line as in its layout. */
export function membersText(type: TypeDescription, members: readonly LayoutMember[]): string {
  const lines = members.flatMap((member) => memberLines(member, 1));
  return [`${escapeText(type.spelling)} {`, ...lines, '};'].join('\n');
}

function aggregateText(type: Aggregate): string {
  const members = layoutOf(type);
  const lines = members.flatMap((member) => memberLines(member, 1));
  const footer = footerLines(type, members).map((line) => `\t/* ${line} */`);
  return [`${escapeText(type.spelling)} {`, ...lines, '', ...footer, '};'].join('\n');
}

function memberLines(member: LayoutMember, depth: number): string[] {
  const lines = holeLines(member.hole, depth);
  if (member.members === undefined) {
    lines.push(withPlace(`${escapeText(member.declaration)};`, member, depth));
    return lines;
  }
  const suffix = member.suffix === '' ? '' : ` ${escapeText(member.suffix)}`;
  lines.push(
    `${'\t'.repeat(depth)}${escapeText(member.declaration)} {`,
    ...member.members.flatMap((inner) => memberLines(inner, depth + 1)),
    withPlace(`}${suffix};`, member, depth),
  );
  return lines;
}

function withPlace(text: string, { offset, size, bits }: LayoutMember, depth: number): string {
  const pad = ' '.repeat(Math.max(1, COMMENT_COLUMN - depth * 8 - text.length));
  const from = `${offset}`.padStart(5);
  const comment = bits
    ? `${from}:${`${bits.offset}`.padStart(2)} ${`${size}`.padStart(2)}`
    : `${from} ${`${size}`.padStart(5)}`;
  return `${'\t'.repeat(depth)}${text}${pad}/* ${comment} */`;
}

function holeLines({ bytes, bits }: Hole, depth: number): string[] {
  if (bytes === 0 && bits === 0) return [];
  const line = (what: string): string => `${'\t'.repeat(depth)}/* XXX ${what} hole, try to pack */`;
  return [
    '',
    ...(bits > 0 ? [line(bits === 1 ? '1 bit' : `${bits} bits`)] : []),
    ...(bytes > 0 ? [line(bytes === 1 ? '1 byte' : `${bytes} bytes`)] : []),
    '',
  ];
}

function footerLines(type: Aggregate, members: readonly LayoutMember[]): string[] {
  const lines = [`size: ${type.size}, cachelines: ${Math.ceil(type.size / CACHE_LINE)}, members: ${members.length}`];
  const sum = (of: (member: LayoutMember) => number): number =>
    members.reduce((total, member) => total + of(member), 0);
  const holes = sum(({ hole }) => (hole.bytes > 0 ? 1 : 0));
  const bitHoles = sum(({ hole }) => (hole.bits > 0 ? 1 : 0));
  if (holes > 0) {
    const bytes = sum(({ bits, size }) => (bits ? 0 : size));
    lines.push(`sum members: ${bytes}, holes: ${holes}, sum holes: ${sum(({ hole }) => hole.bytes)}`);
  }
  if (bitHoles > 0) {
    const bits = sum((member) => member.bits?.size ?? 0);
    lines.push(
      `sum bitfield members: ${bits} bits, bit holes: ${bitHoles}, sum bit holes: ${sum(({ hole }) => hole.bits)} bits`,
    );
  }
  const padding = paddingOf(type);
  if (padding.bytes > 0) lines.push(`padding: ${padding.bytes}`);
  if (padding.bits > 0) lines.push(`bit_padding: ${padding.bits} bits`);
  const last = type.size % CACHE_LINE;
  if (last > 0) lines.push(`last cacheline: ${last} bytes`);
  return lines;
}

function enumText(type: Extract<TypeDescription, { kind: 'enum' }>): string {
  const values = [...type.values()].map(([name, value]) => `\t${escapeText(name)} = ${value},`);
  return [`${escapeText(type.spelling)} {`, ...values, '', `\t/* size: ${type.size} */`, '};'].join('\n');
}
