import { hex } from '../../base/util.js';
import type { CrashSession } from './session.js';

export interface GdbMember {
  readonly whatis: string;
  /** Bytes from the start of the struct. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

/** Classification of a member that may be an integer. */
export type Scalar = 'integer' | 'aggregate' | 'unsure';

/** Queries the gdb inside crash about one struct, union, or typedef of one. */
export interface GdbType {
  /** Bytes. */
  readonly size: number;
  /** Undefined for members that the type does not have. */
  members(paths: readonly string[]): (GdbMember | undefined)[];
  /** For each member: whether an integer fills its bytes, or it is a struct known by a typedef name. */
  scalars(members: readonly { readonly path: string; readonly size: number }[]): Scalar[];
  /** The members as declared, with their positions if `placed`. Undefined if gdb does not print them. */
  declared(placed: boolean): readonly PtypeMember[] | undefined;
}

/** Queries the gdb inside crash about types. Names must match PLAIN_NAME in kernel.ts. */
export class GdbTypes {
  readonly #session: CrashSession;
  readonly #readable: () => bigint | undefined;

  /** @param readable an address from which the bytes of the largest struct can be read */
  constructor(session: CrashSession, readable: () => bigint | undefined) {
    this.#session = session;
    this.#readable = readable;
  }

  /** Undefined if no struct, union or typedef has that name, or it is incomplete. */
  struct(name: string): GdbType | undefined {
    const [null_, answer] = this.#null(name, ['struct', 'union', ''], 'gdb print/d (long)sizeof');
    const size = parseValue(answer);
    return size === undefined ? undefined : this.#type(null_, size);
  }

  /** `ptype` of an enum; '' if there is none. */
  enumeration(name: string): string {
    return this.#null(name, ['enum'], 'gdb ptype ')[1];
  }

  /**
   * Defines a gdb convenience variable that is a null pointer to the named type, and evaluates an
   * expression on its target; '' if there is no such type.
   *
   * gdb's C parser first takes a word that is not a variable for a source file name and compares it
   * with all of them (13 ms each). Its Fortran parser looks up a tag directly. Where that fails,
   * the C parser is the fallback, because Fortran has keywords of its own.
   */
  #null(
    name: string,
    kinds: readonly ('struct' | 'union' | 'enum' | '')[],
    question: string,
  ): [variable: string, answer: string] {
    const variable = variableFor(`${kinds[0]}_${name}`);
    const described = kinds.map((kind) => `type = ${kind}${kind && ' '}${name} *`);
    const [, , , , value = '', answer = ''] = this.#session.execute([
      'gdb set case-sensitive on',
      'gdb set language fortran',
      `gdb set ${variable} = (${name} *) 0`,
      'gdb set language c',
      `gdb whatis ${variable}`,
      `${question}(*${variable})`,
    ]);
    if (described.includes(value.trim())) return [variable, answer];
    const inC = `${variable}_in_c`;
    for (const kind of kinds) {
      const refusal = this.#query(`gdb set ${inC} = (${kind} ${name} *)0`);
      if (refusal === '') return [inC, this.#query(`${question}(*${inC})`)];
    }
    return [inC, ''];
  }

  #type(null_: string, size: number): GdbType {
    const members = new Map<boolean, readonly PtypeMember[] | undefined>();
    let copy: string | undefined;
    return {
      size,
      members: (paths) => this.#members(null_, paths),
      scalars: (members) => {
        if (members.length === 0) return [];
        copy ??= this.#copy(null_);
        return this.#scalars(copy, members);
      },
      declared: (placed) => {
        if (!members.has(placed)) {
          const command = placed ? `ptype /o __typeof__(*${null_})` : `ptype *${null_}`;
          members.set(placed, parsePtype(this.#query(`gdb ${command}`)));
        }
        return members.get(placed);
      },
    };
  }

  /**
   * The C parser also looks up any name behind `->` as a symbol and reads in every source file that
   * has one: 0.3 s for `compound_head`. The Rust parser treats a member as a member. Where that
   * fails, the C parser is the fallback here too.
   */
  #members(null_: string, paths: readonly string[]): (GdbMember | undefined)[] {
    if (paths.length === 0) return [];
    const queries = paths.map((path) => ({ path, at: variableFor(`${null_}.${path}`) }));
    const answers = this.#session.execute([
      'gdb set language rust',
      ...queries.map(({ path, at }) => `gdb set ${at} = &(*${null_}).${path}`),
      'gdb set language c',
      ...queries.flatMap(({ at }) => [
        `gdb whatis *${at}`,
        `gdb printf "%ld %ld\\n", (long)${at}, (long)sizeof(*${at})`,
      ]),
    ]);
    const refusals = answers.slice(1);
    const sizeAnswers = answers.slice(paths.length + 2);
    return paths.map((path, index) => {
      const [whatis = '', numbers = ''] = sizeAnswers.slice(2 * index);
      const member = refusals[index] === '' ? parseMember(whatis, numbers) : undefined;
      return member ?? this.#memberInC(null_, path);
    });
  }

  #memberInC(null_: string, path: string): GdbMember | undefined {
    const member = `${null_}->${path}`;
    const [inC = '', numbersInC = ''] = this.#session.execute([
      `gdb whatis ${member}`,
      `gdb printf "%ld %ld\\n", (long)&${member}, (long)sizeof(${member})`,
    ]);
    return parseMember(inC, numbersInC);
  }

  /** A writable copy of the struct in gdb's memory. Its contents do not matter. */
  #copy(null_: string): string {
    const copy = `${null_}_copy`;
    const from = this.#readable();
    if (from !== undefined) {
      this.#query(`gdb set ${copy} = *(__typeof__(${null_}))${hex(from)}`);
    }
    return copy;
  }

  /**
   * gdb returns address and size of a bitfield without reporting that it is one, and `ptype` prints
   * the whole struct (task_struct: 300 ms). Therefore -1 is stored into a copy of the struct: the
   * value reads back as all ones only if the member owns every bit of its bytes.
   */
  #scalars(copy: string, members: readonly { readonly path: string; readonly size: number }[]): Scalar[] {
    const [, ...answers] = this.#session.execute([
      'gdb set language rust',
      ...members.flatMap(({ path }) => [`gdb set ${copy}.${path} = -1`, `gdb print/x ${copy}.${path}`]),
      'gdb set language c',
    ]);
    return members.map(({ size }, index) => {
      const value = /^\$\d+ = (.*)$/m.exec(answers[2 * index + 1] ?? '')?.[1] ?? '';
      if (value.endsWith('{')) return 'aggregate';
      const ones = hex((1n << BigInt(size * 8)) - 1n);
      return value === ones ? 'integer' : 'unsure';
    });
  }

  #query(command: string): string {
    return this.#session.execute([command])[0] ?? '';
  }
}

/** A gdb convenience variable. Its name encodes the expression, so each query always has the same result. */
function variableFor(expression: string): string {
  return `$kdump_mem_${expression.replace('$kdump_mem_', '').replaceAll(/\W+/g, '__')}`;
}

function parseMember(whatis: string, numbers: string): GdbMember | undefined {
  const match = /^(\d+) (\d+)$/.exec(numbers.trim());
  if (!match || !whatis.startsWith('type = ')) return undefined;
  return { whatis, offset: Number(match[1]), size: Number(match[2]) };
}

/** Parses the value in gdb's `$1 = 2432`. */
function parseValue(text: string): number | undefined {
  const value = /^\$\d+ = (\d+)$/m.exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
}

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
  return members.flatMap((member) => (member.name === '' ? memberNames(member.members ?? []) : [member.name]));
}

function parseDeclaration(declaration: string): PtypeMember | undefined {
  const callback = /\(\*+(\w+)((?:\[\d*\])*)\)\(/.exec(declaration);
  if (callback) {
    return { name: callback[1] ?? '', ...arrayCount(callback[2] ?? ''), type: '', pointer: true };
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
  const name = element.replace(/\b(?:const|volatile|struct|union|enum)\b|\*|\{\.\.\.\}/g, '').trim();
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
    const match = /^\s*(\w+)(?:\s*=\s*(-?)(\d+))?\s*$/.exec(entry);
    if (!match) return undefined;
    const [, name = '', sign, value] = match;
    if (value !== undefined) next = sign === '-' ? -BigInt(value) : BigInt(value);
    names.set(name, next);
    next++;
  }
  return names;
}
