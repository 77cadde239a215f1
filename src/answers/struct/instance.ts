import { escapeText } from '../../base/escape.js';
import { hex } from '../../base/util.js';
import type { Value } from '../../contracts/struct.js';
import type { TypeDescription } from '../../kernel/layout.js';

/** How values are written. */
export interface InstanceStyle {
  /** Every number in hex. */
  readonly hex: boolean;
}

const UNREADABLE = {
  filtered: 'filtered out of the dump',
  absent: 'not in the dump',
  unmapped: 'not mapped',
  damaged: 'cannot be decoded',
  truncated: 'beyond the end of the file',
  refused: 'cannot be read',
} as const;

/** Numbers from here on show in hex as well: they are mostly flags, masks or addresses. */
const MIN_HEX = 4096n;
/** As many equal elements in a row are counted instead of repeated. */
const MIN_REPEATS = 3;

/** A value as crash and gdb print it. */
export function valueText(value: Value, type: TypeDescription, style: InstanceStyle, depth = 0): string {
  switch (value.kind) {
    case 'int':
      return intText(BigInt(value.value), type, style);
    case 'float':
      return String(value.value);
    case 'pointer': {
      const symbol = value.symbol === undefined ? '' : ` <${escapeText(value.symbol)}>`;
      return `${hex(value.value)}${symbol}`;
    }
    case 'enum': {
      const number = style.hex ? signedHex(BigInt(value.value)) : value.value;
      return value.name === null ? `${number} (no enumerator)` : `${escapeText(value.name)} (${number})`;
    }
    case 'text':
      return `"${escapeText(value.text).replaceAll('"', '\\"')}"`;
    case 'array':
      return arrayText(value, type, style, depth);
    case 'struct':
    case 'union':
      return blockText(value, type, style, depth);
    case 'opaque':
      return '<no value>';
    case 'unreadable':
      return `<${UNREADABLE[value.reason]}>`;
  }
}

function blockText(
  { members, omitted = 0 }: Extract<Value, { kind: 'struct' | 'union' }>,
  type: TypeDescription,
  style: InstanceStyle,
  depth: number,
): string {
  if (members.length + omitted === 0) return '{}';
  const indent = '  '.repeat(depth + 1);
  const types = type.kind === 'struct' || type.kind === 'union' ? type.members() : [];
  const lines = members.map(({ name, value }, index) => {
    const text = valueText(value, types[index]!.type, style, depth + 1);
    return `${indent}${name === '' ? '' : `${escapeText(name)} = `}${text}`;
  });
  if (omitted > 0) lines.push(`${indent}… ${omitted} more`);
  return `{\n${lines.join(',\n')}\n${'  '.repeat(depth)}}`;
}

function arrayText(
  { elements, omitted }: Extract<Value, { kind: 'array' }>,
  type: TypeDescription,
  style: InstanceStyle,
  depth: number,
): string {
  const inner = type.kind === 'array' ? type.element() : type;
  const all = elements.map((element) => valueText(element, inner, style, depth));
  const texts: string[] = [];
  for (let index = 0; index < all.length; ) {
    const text = all[index]!;
    let end = index + 1;
    while (all[end] === text) end++;
    if (end - index >= MIN_REPEATS) texts.push(`${text} <repeats ${end - index} times>`);
    else texts.push(...all.slice(index, end));
    index = end;
  }
  if (omitted > 0) texts.push(`… ${omitted} more`);
  return `{${texts.join(', ')}}`;
}

function intText(value: bigint, type: TypeDescription, { hex: inHex }: InstanceStyle): string {
  const encoding = type.kind === 'int' ? type.encoding : 'number';
  if (encoding === 'bool' && (value === 0n || value === 1n)) return value === 1n ? 'true' : 'false';
  if (inHex) return signedHex(value);
  if (encoding === 'char' && value >= 0x20n && value < 0x7fn) {
    const char = String.fromCharCode(Number(value));
    return `${value} '${char === "'" || char === '\\' ? `\\${char}` : char}'`;
  }
  const large = value >= MIN_HEX || value <= -MIN_HEX;
  return large ? `${value} (${signedHex(value)})` : `${value}`;
}

/** In hex, also for negative values. */
function signedHex(value: bigint): string {
  return value < 0n ? `-${hex(-value)}` : hex(value);
}

/** An instance: its type, and its values in braces. */
export function instanceText(type: TypeDescription, value: Value, style: InstanceStyle): string {
  return `${escapeText(type.spelling)} ${valueText(value, type, style)}`;
}

/** Chosen members of an instance, a line each. */
export function membersOfInstanceText(
  members: readonly { readonly path: string; readonly type: TypeDescription; readonly value: Value }[],
  style: InstanceStyle,
): string {
  return members
    .map(({ path, type, value }) => `  ${escapeText(path)} = ${valueText(value, type, style, 1)}`)
    .join('\n');
}
