/**
 * Reads what gdb, inside crash, prints for `ptype /o struct NAME`: every member with offset and
 * size, structs and unions inside it spelled out (typedefs of one are not). Offsets count from the
 * outermost struct.
 */

/** A member as gdb prints it; `members` are those of a struct or union spelled out in place. */
export interface PtypeMember {
  /** Empty for an anonymous struct or union. */
  readonly name: string;
  readonly offset: number;
  /** Bytes, of all elements for an array. */
  readonly size: number;
  readonly bits?: { readonly offset: number; readonly size: number };
  /** Elements; 0 for a flexible array. */
  readonly count?: number;
  /** Bare name of the type, '' for an anonymous one. */
  readonly type: string;
  readonly pointer: boolean;
  readonly members?: readonly PtypeMember[];
}

export interface PtypeStruct {
  readonly name: string;
  readonly size: number;
  readonly members: readonly PtypeMember[];
}

/** `/* 126: 2   |       1 *\/    __u8 fclone : 2;`, the offset left out inside a union. */
const LINE = /^\/\*\s*(?:(\d+)(?::\s*(\d+))?\s*\|)?\s*(\d+)\s*\*\/\s*(.*)$/;
const OPEN = /^(?:const |volatile )*(struct|union) (?:(\w+) )?\{$/;
const CLOSE = /^\} ?(?:(\w+)((?:\[\d*\])*))?;?$/;
const TOTAL = /^\/\* total size \(bytes\):\s*(\d+) \*\/$/;

interface Open {
  readonly type: string;
  readonly offset: number;
  readonly size: number;
  readonly members: PtypeMember[];
}

/** Gives undefined for anything that is no such text (crash's "No struct type named …"). */
export function parsePtype(text: string): PtypeStruct | undefined {
  const stack: Open[] = [];
  let total = 0;
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    const header = /^(?:\/\* offset\s+\|\s+size \*\/\s+)?type = (.*)$/.exec(line);
    if (header) {
      const open = OPEN.exec(header[1] ?? '');
      if (!open || stack.length > 0) return undefined;
      stack.push({ type: open[2] ?? '', offset: 0, size: 0, members: [] });
      continue;
    }
    const totalSize = TOTAL.exec(line);
    if (totalSize) {
      total = Number(totalSize[1]);
      continue;
    }
    const top = stack.at(-1);
    if (!top) continue;
    const close = CLOSE.exec(line);
    if (close) {
      stack.pop();
      const parent = stack.at(-1);
      if (!parent) return { name: top.type, size: total, members: top.members };
      parent.members.push({
        name: close[1] ?? '',
        offset: top.offset,
        size: top.size,
        ...arrayCount(close[2] ?? ''),
        type: top.type,
        pointer: false,
        members: top.members,
      });
      continue;
    }
    const found = LINE.exec(line);
    if (!found) continue;
    const [, at, bit, size, declaration] = found;
    const offset = at === undefined ? top.offset : Number(at);
    const open = OPEN.exec(declaration ?? '');
    if (open) {
      stack.push({ type: open[2] ?? '', offset, size: Number(size), members: [] });
      continue;
    }
    const member = parseDeclaration(declaration ?? '', offset, Number(size), Number(bit ?? 0));
    if (member) top.members.push(member);
  }
  return undefined;
}

/**
 * Reads one declaration, `char cb[48];` or `__u8 cloned : 1;`, of a member at a known place.
 * Undefined for anything else.
 */
export function parseDeclaration(
  declaration: string,
  offset: number,
  size: number,
  bit: number,
): PtypeMember | undefined {
  const callback = /\(\*+(\w+)((?:\[\d*\])*)\)\(/.exec(declaration);
  if (callback) {
    const array = arrayCount(callback[2] ?? '');
    return { name: callback[1] ?? '', offset, size, ...array, type: '', pointer: true };
  }
  const plain = /^(.*?)(\w+)((?:\[\d*\])*)(?: : (\d+))?;$/.exec(declaration);
  if (!plain) return undefined;
  const [, typeText = '', name = '', array = '', width] = plain;
  const type = typeText.replace(/\b(?:const|volatile|struct|union|enum)\b|\*/g, '').trim();
  const common = { name, offset, type, pointer: typeText.includes('*') };
  if (width === undefined) return { ...common, size, ...arrayCount(array) };
  // gdb gives the first byte that the bits touch: read as few bytes from there as hold them all.
  const bytes = Math.ceil((bit + Number(width)) / 8);
  const unit = bytes <= 2 ? bytes : bytes <= 4 ? 4 : 8;
  return { ...common, size: unit, bits: { offset: bit, size: Number(width) } };
}

function arrayCount(dimensions: string): { count?: number } {
  if (dimensions === '') return {};
  const counts = dimensions.slice(1, -1).split('][').map(Number);
  return { count: counts.reduce((product, count) => product * count, 1) };
}

/**
 * Reads `ptype enum NAME`: `type = enum pageflags {PG_locked, PG_referenced, PG_readahead = 18}`.
 * A name without a value is one more than the name before it.
 */
export function parseEnum(text: string): Map<string, bigint> | undefined {
  const body = /type = enum \w* ?(?:: [^{]*)?\{([^}]*)\}/.exec(text)?.[1];
  if (body === undefined) return undefined;
  const names = new Map<string, bigint>();
  let next = 0n;
  for (const entry of body.split(',')) {
    const found = /^\s*(\w+)(?:\s*=\s*(-?\w+))?\s*$/.exec(entry);
    if (!found) return undefined;
    if (found[2] !== undefined) {
      next = found[2].startsWith('-') ? -BigInt(found[2].slice(1)) : BigInt(found[2]);
    }
    names.set(found[1] ?? '', next);
    next++;
  }
  return names;
}
