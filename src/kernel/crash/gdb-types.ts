import { hex } from '../../base/util.js';
import { type PtypeMember, parsePtype } from './ptype.js';
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
    const [, , , , found = '', answer = ''] = this.#session.execute([
      'gdb set case-sensitive on',
      'gdb set language fortran',
      `gdb set ${variable} = (${name} *) 0`,
      'gdb set language c',
      `gdb whatis ${variable}`,
      `${question}(*${variable})`,
    ]);
    if (described.includes(found.trim())) return [variable, answer];
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
      const found = refusals[index] === '' ? parseMember(whatis, numbers) : undefined;
      return found ?? this.#memberInC(null_, path);
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
  #scalars(
    copy: string,
    members: readonly { readonly path: string; readonly size: number }[],
  ): Scalar[] {
    const [, ...answers] = this.#session.execute([
      'gdb set language rust',
      ...members.flatMap(({ path }) => [
        `gdb set ${copy}.${path} = -1`,
        `gdb print/x ${copy}.${path}`,
      ]),
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
  const found = /^(\d+) (\d+)$/.exec(numbers.trim());
  if (!found || !whatis.startsWith('type = ')) return undefined;
  return { whatis, offset: Number(found[1]), size: Number(found[2]) };
}

/** Parses the value in gdb's `$1 = 2432`. */
function parseValue(text: string): number | undefined {
  const value = /^\$\d+ = (\d+)$/m.exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
}
