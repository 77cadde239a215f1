import { hex } from '../../base/hex.js';
import { type PtypeMember, parsePtype } from './ptype.js';
import type { CrashSession } from './session.js';

/** A member as gdb tells of it. */
export interface GdbMember {
  /** Its type, in gdb's words (`whatis`). */
  readonly whatis: string;
  /** Bytes from the start of the struct. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

/** What an integer, or what may be one, turns out to be. */
export type Scalar = 'integer' | 'aggregate' | 'unsure';

/** Asks the gdb inside crash about one struct, union or typedef of one. */
export interface GdbType {
  /** Bytes. */
  readonly size: number;
  /** Undefined for a member that it doesn't have. */
  members(paths: readonly string[]): (GdbMember | undefined)[];
  /** Whether each of its members fills its bytes with an integer, or is a struct by a typedef's name. */
  scalars(members: readonly { readonly path: string; readonly size: number }[]): Scalar[];
  /** The members as declared; with their places if `placed`. Undefined if gdb will not tell. */
  declared(placed: boolean): readonly PtypeMember[] | undefined;
}

/** Asks the gdb inside crash about types. Names must be plain words; see PLAIN_NAME in kernel.ts. */
export class GdbTypes {
  readonly #session: CrashSession;
  readonly #readable: () => bigint | undefined;

  /** @param readable an address from which as many bytes as any struct has can be read */
  constructor(session: CrashSession, readable: () => bigint | undefined) {
    this.#session = session;
    this.#readable = readable;
  }

  /** Undefined if there is no struct, union or typedef of that name, or it is incomplete. */
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
   * A variable of gdb's that is a null pointer to the type of that name, and the answer to a question
   * about what it points to; '' where there is no such type.
   *
   * gdb's C parser takes a word that is no variable for the name of a source file first and compares
   * it with all of them, 13 ms at a time. Its Fortran parser looks for a tag at once. Where that finds
   * none, C has the last word: Fortran has keywords of its own.
   */
  #null(
    name: string,
    kinds: readonly ('struct' | 'union' | 'enum' | '')[],
    question: string,
  ): [variable: string, answer: string] {
    const variable = variableFor(`${kinds[0]}_${name}`);
    const described = kinds.map((kind) => `type = ${kind}${kind && ' '}${name} *`);
    const [, , , , found = '', answer = ''] = this.#session.ask([
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
      const refusal = this.#ask(`gdb set ${inC} = (${kind} ${name} *)0`);
      if (refusal === '') return [inC, this.#ask(`${question}(*${inC})`)];
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
          members.set(placed, parsePtype(this.#ask(`gdb ${command}`)));
        }
        return members.get(placed);
      },
    };
  }

  /**
   * Whatever stands behind `->`, the C parser looks for a symbol of that name as well, and reads in
   * every source file that has one: `compound_head` takes it 0.3 s. The Rust parser takes a member for
   * a member. Where that finds none, C has the last word here too.
   */
  #members(null_: string, paths: readonly string[]): (GdbMember | undefined)[] {
    if (paths.length === 0) return [];
    const asked = paths.map((path) => ({ path, at: variableFor(`${null_}.${path}`) }));
    const answers = this.#session.ask([
      'gdb set language rust',
      ...asked.map(({ path, at }) => `gdb set ${at} = &(*${null_}).${path}`),
      'gdb set language c',
      ...asked.flatMap(({ at }) => [
        `gdb whatis *${at}`,
        `gdb printf "%ld %ld\\n", (long)${at}, (long)sizeof(*${at})`,
      ]),
    ]);
    const refusals = answers.slice(1);
    const told = answers.slice(paths.length + 2);
    return paths.map((path, index) => {
      const [whatis = '', numbers = ''] = told.slice(2 * index);
      const found = refusals[index] === '' ? parseMember(whatis, numbers) : undefined;
      return found ?? this.#memberInC(null_, path);
    });
  }

  #memberInC(null_: string, path: string): GdbMember | undefined {
    const member = `${null_}->${path}`;
    const [inC = '', numbersInC = ''] = this.#session.ask([
      `gdb whatis ${member}`,
      `gdb printf "%ld %ld\\n", (long)&${member}, (long)sizeof(${member})`,
    ]);
    return parseMember(inC, numbersInC);
  }

  /** A struct of gdb's own that can be written to. What is in it doesn't matter. */
  #copy(null_: string): string {
    const copy = `${null_}_copy`;
    const from = this.#readable();
    if (from !== undefined) {
      this.#ask(`gdb set ${copy} = *(__typeof__(${null_}))${hex(from)}`);
    }
    return copy;
  }

  /**
   * gdb gives address and size of a bitfield without a word, and `ptype` spells the whole struct
   * (task_struct: 300 ms). But of -1, put into a copy of the struct, as much remains as there is room
   * for: all ones where every bit of those bytes is the member's.
   */
  #scalars(
    copy: string,
    members: readonly { readonly path: string; readonly size: number }[],
  ): Scalar[] {
    const [, ...answers] = this.#session.ask([
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

  #ask(command: string): string {
    return this.#session.ask([command])[0] ?? '';
  }
}

/** A variable of gdb's. Its name tells what is in it, so that each question has one answer, ever. */
function variableFor(what: string): string {
  return `$kdump_mem_${what.replace('$kdump_mem_', '').replaceAll(/\W+/g, '__')}`;
}

function parseMember(whatis: string, numbers: string): GdbMember | undefined {
  const found = /^(\d+) (\d+)$/.exec(numbers.trim());
  if (!found || !whatis.startsWith('type = ')) return undefined;
  return { whatis, offset: Number(found[1]), size: Number(found[2]) };
}

/** The value in gdb's `$1 = 2432`. */
function parseValue(text: string): number | undefined {
  const value = /^\$\d+ = (\d+)$/m.exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
}
