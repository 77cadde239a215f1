/**
 * Parses the `ptype` output of the gdb inside crash: the members of a struct, with anonymous
 * structs and unions expanded; with `/o`, everything expanded and preceded by its offset.
 */

/** A member as gdb declares it; `members` are those of a struct or union that is expanded in place. */
export interface PtypeMember {
  /** Empty for an anonymous struct or union. */
  readonly name: string;
  /** Elements; 0 for a flexible array. */
  readonly count?: number;
  /** Bare name of the type, '' for an anonymous one. */
  readonly type: string;
  readonly pointer: boolean;
  /** Bits of a bitfield. */
  readonly width?: number;
  /** With `/o`, the start of a bitfield: bytes from the outermost struct, and bits from there. */
  readonly at?: { readonly byte: number; readonly bit: number };
  readonly members?: readonly PtypeMember[];
}

/** `/* 126: 2   |       1 *\/    __u8 fclone : 2;`; within unions the place is left out. */
const PLACE = /^\/\*\s*(?:(\d+)(?::\s*(\d+))?\s*\|)?\s*\d+\s*\*\/\s*/;
const OPEN = /^(?:(?:const|volatile) )*(?:struct|union) (?:(\w+) )?\{$/;
const CLOSE = /^\} ?(?:(\w+)((?:\[\d*\])*))?;?$/;

/** Parses the members of a struct or union; undefined if the text describes neither. */
export function parsePtype(text: string): readonly PtypeMember[] | undefined {
  const stack: { type: string; members: PtypeMember[] }[] = [];
  for (const raw of text.split('\n')) {
    const place = PLACE.exec(raw.trim());
    const line = raw.trim().slice(place?.[0].length ?? 0);
    const start = /type = (.*)$/.exec(line);
    const open = OPEN.exec(start?.[1] ?? line);
    if (open) {
      if (start !== null && stack.length > 0) return undefined;
      stack.push({ type: open[1] ?? '', members: [] });
      continue;
    }
    const top = stack.at(-1);
    if (!top) continue;
    const close = CLOSE.exec(line);
    if (close) {
      stack.pop();
      const parent = stack.at(-1);
      if (!parent) return top.members;
      parent.members.push({
        name: close[1] ?? '',
        ...arrayCount(close[2] ?? ''),
        type: top.type,
        pointer: false,
        members: top.members,
      });
      continue;
    }
    const member = parseDeclaration(line);
    if (!member) continue;
    const at = { byte: Number(place?.[1] ?? 0), bit: Number(place?.[2] ?? 0) };
    top.members.push(place && member.width !== undefined ? { ...member, at } : member);
  }
  return undefined;
}

/** Finds a member by name, also within anonymous structs and unions. */
export function findMember(members: readonly PtypeMember[], name: string): PtypeMember | undefined {
  for (const member of members) {
    if (member.name === name) return member;
    if (member.name === '' && member.members) {
      const inner = findMember(member.members, name);
      if (inner) return inner;
    }
  }
  return undefined;
}

/** Names of all members, including those of anonymous structs and unions. */
export function memberNames(members: readonly PtypeMember[]): string[] {
  return members.flatMap((member) =>
    member.name === '' ? memberNames(member.members ?? []) : [member.name],
  );
}

function parseDeclaration(declaration: string): PtypeMember | undefined {
  const callback = /\(\*+(\w+)((?:\[\d*\])*)\)\(/.exec(declaration);
  if (callback) {
    return {
      name: callback[1] ?? '',
      ...arrayCount(callback[2] ?? ''),
      type: '',
      pointer: true,
    };
  }
  const plain = /^(.*?)(\w+)((?:\[\d*\])*)(?: : (\d+))?;$/.exec(declaration);
  if (!plain) return undefined;
  const [, typeText = '', name = '', array = '', width] = plain;
  return {
    name,
    ...arrayCount(array),
    type: typeText.replace(/\b(?:const|volatile|struct|union|enum)\b|\*/g, '').trim(),
    pointer: typeText.includes('*'),
    ...(width === undefined ? {} : { width: Number(width) }),
  };
}

/**
 * Parses `whatis` output: `type = struct list_head`, `type = char [16]`, `type = struct files_struct *`,
 * `type = struct {...}`. `aggregate`: a struct or union under its own name, not a typedef's.
 */
export function parseWhatis(text: string): {
  readonly type: string;
  readonly pointer: boolean;
  readonly count?: number;
  readonly aggregate: boolean;
} {
  const body = /type = (.*)/.exec(text)?.[1] ?? '';
  const array = /((?:\[\d*\])+)$/.exec(body)?.[1] ?? '';
  const element = body.slice(0, body.length - array.length);
  const name = element
    .replace(/\b(?:const|volatile|struct|union|enum)\b|\*|\{\.\.\.\}/g, '')
    .trim();
  return {
    // `(*)(struct sk_buff *)`: a pointer to an unnamed type.
    type: element.includes('(') ? '' : name,
    pointer: element.includes('*'),
    ...arrayCount(array),
    aggregate: /\b(?:struct|union)\b/.test(element),
  };
}

function arrayCount(dimensions: string): { count?: number } {
  if (dimensions === '') return {};
  const counts = dimensions.slice(1, -1).split('][').map(Number);
  return { count: counts.reduce((product, count) => product * count, 1) };
}

/**
 * Parses `ptype enum NAME`: `type = enum pageflags {PG_locked, PG_referenced, PG_readahead = 18}`.
 * A name without a value is one more than the name before it.
 */
export function parseEnum(text: string): Map<string, bigint> | undefined {
  const body = /type = enum \w* ?(?:: [^{]*)?\{([^}]*)\}/.exec(text)?.[1];
  if (body === undefined) return undefined;
  const names = new Map<string, bigint>();
  let next = 0n;
  for (const entry of body.split(',')) {
    const found = /^\s*(\w+)(?:\s*=\s*(-?)(\d+))?\s*$/.exec(entry);
    if (!found) return undefined;
    const [, name = '', sign, value] = found;
    if (value !== undefined) next = sign === '-' ? -BigInt(value) : BigInt(value);
    names.set(name, next);
    next++;
  }
  return names;
}
