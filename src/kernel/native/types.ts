import { KernelError } from '../../base/errors/kernel.js';
import type { MemberLayout, StructLayout } from '../layout.js';
import type { TypeDescription } from '../type-description.js';
import type { Btf } from './btf/btf.js';
import { describeType } from './btf/describe.js';
import { enumeratorsOf } from './btf/enumerators.js';
import { Kind } from './btf/format.js';
import { BtfStructLayout, type MemberCache } from './btf/layout.js';
import { flattenMembers, isAggregate } from './btf/member.js';
import { type SectionVariable, sectionVariables } from './btf/section-variables.js';

/** A type by name, and the blob that defines it. */
export interface FoundType {
  readonly btf: Btf;
  readonly id: number;
}

/** Types of one module. */
export interface ModuleTypes {
  readonly module: string;
  readonly btf: Btf;
}

/**
 * All types of a kernel: its own first, and those of its modules where its own have no such name.
 * Modules are not even listed before a name is asked for that the kernel lacks.
 */
export class KernelTypes {
  readonly base: Btf;
  readonly #modules: () => readonly ModuleTypes[];
  readonly #structs = new Map<string, StructLayout | undefined>();
  readonly #enums = new Map<string, ReadonlyMap<string, bigint> | undefined>();
  readonly #caches = new Map<Btf, MemberCache>();
  readonly #shapes = new Map<Btf, Shapes>();

  constructor(base: Btf, modules: () => readonly ModuleTypes[]) {
    this.base = base;
    this.#modules = modules;
  }

  /**
   * The layout of a struct or union, or of a typedef of one.
   *
   * @throws {KernelError} `unsupported-layout` when types of that name differ in their size, or later in
   * a member that is asked for; `damaged` when the types lead nowhere
   */
  struct(name: string): StructLayout | undefined {
    if (!this.#structs.has(name)) this.#structs.set(name, this.#findStruct(name));
    return this.#structs.get(name);
  }

  enumerators(name: string): ReadonlyMap<string, bigint> | undefined {
    if (!this.#enums.has(name)) this.#enums.set(name, this.#findEnum(name));
    return this.#enums.get(name);
  }

  /** The kernel's own per-CPU variables, by their places in the template; empty where not told. */
  perCpuVariables(): ReadonlyMap<string, SectionVariable> {
    return sectionVariables(this.base, '.data..percpu');
  }

  /** Every struct, union, enum or typedef of that name; the kernel's, or else its modules'. */
  find(name: string): readonly FoundType[] {
    const own = this.base.find(name).map((id) => ({ btf: this.base, id }));
    if (own.length > 0) return own;
    return this.#modules().flatMap(({ btf }) => btf.find(name).map((id) => ({ btf, id })));
  }

  /** The names that {@link find} finds: the kernel's, then its modules'. */
  *names(): Generator<string> {
    yield* this.base.names();
    for (const { btf } of this.#modules()) yield* btf.names();
  }

  /**
   * Every type of that name, to be printed: `struct x`, `union x`, `enum x` and a typedef may all be
   * called x, and some names are defined more than once.
   */
  describe(name: string): TypeDescription[] {
    return this.find(name).map(({ btf, id }) => describeType(btf, id));
  }

  #findStruct(name: string): StructLayout | undefined {
    const [, plain = name, member] = /^(\w+)\{(\w+)\}$/.exec(name) ?? [];
    const found = this.find(plain).filter(
      ({ btf, id }) => member === undefined || hasMember(btf, id, member),
    );
    // `struct x` and `union x` come before a typedef x, which C lets be another type.
    const tagged = found.filter(({ btf, id }) => isAggregate(btf, id));
    const resolved = (tagged.length > 0 ? tagged : found)
      .map(({ btf, id }) => ({ btf, id: btf.resolve(id) }))
      .filter(({ btf, id }) => isAggregate(btf, id));
    const [first, ...others] = this.#distinct(resolved).map(({ btf, id }) => {
      const cache = this.#caches.get(btf) ?? new Map();
      this.#caches.set(btf, cache);
      return new BtfStructLayout(btf, id, name, cache);
    });
    return first && others.length > 0 ? new CopiesLayout([first, ...others]) : first;
  }

  /** One of each shape: two types in different blobs count as two. */
  #distinct(types: readonly FoundType[]): readonly FoundType[] {
    if (types.length < 2) return types;
    const seen = new Map<Btf, Set<number>>();
    return types.filter(({ btf, id }) => {
      const shapes = this.#shapes.get(btf) ?? new Shapes(btf);
      this.#shapes.set(btf, shapes);
      const shape = shapes.of(id);
      const known = seen.get(btf) ?? new Set();
      seen.set(btf, known);
      return !known.has(shape) && known.add(shape);
    });
  }

  #findEnum(name: string): ReadonlyMap<string, bigint> | undefined {
    const [first, ...others] = this.find(name)
      .map(({ btf, id }) => ({ btf, id: btf.resolve(id) }))
      .filter(({ btf, id }) => btf.kind(id) === Kind.ENUM || btf.kind(id) === Kind.ENUM64)
      .map(({ btf, id }) => enumeratorsOf(btf, id));
    for (const other of others)
      for (const key of new Set([...(first?.keys() ?? []), ...other.keys()]))
        if (first?.get(key) !== other.get(key)) {
          const message = `enum ${name}: several definitions with different values of ${key}`;
          throw new KernelError('unsupported-layout', message);
        }
    return first;
  }
}

function hasMember(btf: Btf, id: number, member: string): boolean {
  const resolved = btf.resolve(id);
  return isAggregate(btf, resolved) && flattenMembers(btf, resolved).has(member);
}

/** Nested deeper than this, types are damage or a cycle. */
const MOST_DEPTH = 64;

/**
 * The shapes of types: equal for types of the same size whose members have the same names, places and
 * sizes, all the way down. Pointers are equal where the names that they point to are.
 *
 * One for each blob: names are compared by their place in its strings.
 */
class Shapes {
  readonly #btf: Btf;
  readonly #shapes = new Map<number, number>();
  readonly #numbers = new Map<string, number>();

  constructor(btf: Btf) {
    this.#btf = btf;
  }

  /** A number that types of one shape share. @throws {KernelError} `damaged` as Btf does */
  of(id: number, depth = 0): number {
    const known = this.#shapes.get(id);
    if (known !== undefined) return known;
    if (depth > MOST_DEPTH)
      throw new KernelError('damaged', `BTF: type ${id} is nested too deeply`);
    const text = this.#spell(this.#btf, id, depth);
    const shape = this.#numbers.get(text) ?? this.#numbers.size;
    this.#numbers.set(text, shape);
    this.#shapes.set(id, shape);
    return shape;
  }

  #spell(btf: Btf, id: number, depth: number): string {
    const kind = btf.kind(id);
    switch (kind) {
      case Kind.STRUCT:
      case Kind.UNION: {
        const words = [kind, btf.flag(id) ? 1 : 0, btf.sizeOrType(id)];
        for (let index = 0; index < btf.vlen(id); index++) {
          const type = this.of(btf.extra(id, index * 3 + 1), depth + 1);
          words.push(btf.extra(id, index * 3), type, btf.extra(id, index * 3 + 2));
        }
        return words.join();
      }
      case Kind.ARRAY:
        return `${kind},${this.of(btf.extra(id, 0), depth + 1)},${btf.extra(id, 2)}`;
      case Kind.PTR:
        return `${kind},${this.#pointee(btf, btf.sizeOrType(id))}`;
      case Kind.INT:
        return `${kind},${btf.sizeOrType(id)},${btf.extra(id, 0)}`;
      case Kind.TYPEDEF:
        return `${kind},${btf.name(id)},${this.of(btf.sizeOrType(id), depth + 1)}`;
      case Kind.CONST:
      case Kind.VOLATILE:
      case Kind.RESTRICT:
      case Kind.TYPE_TAG:
        return `=${this.of(btf.sizeOrType(id), depth + 1)}`;
      default:
        return `${kind},${btf.size(id)}`;
    }
  }

  /** A struct that is only declared where it is pointed to is the one that is defined elsewhere. */
  #pointee(btf: Btf, id: number): string {
    const target = btf.resolve(id);
    const tagged = isAggregate(btf, target) || btf.kind(target) === Kind.FWD;
    return tagged ? btf.name(target) : String(btf.kind(target));
  }
}

/**
 * Types of one name whose shapes differ, as one: what is read of them must lie in the same place in
 * all. pahole before its dedup wrote a copy for each object file, and names that a macro makes up
 * (`__UNIQUE_ID_rh_kabi_hide11`) are others in each.
 */
class CopiesLayout implements StructLayout {
  readonly #copies: readonly StructLayout[];

  /** @throws {KernelError} `unsupported-layout` where their sizes differ */
  constructor(copies: readonly [StructLayout, ...StructLayout[]]) {
    this.#copies = copies;
    const sizes = new Set(copies.map(({ size }) => size));
    if (sizes.size > 1)
      throw this.#differ(`sizes (${[...sizes].map((size) => `${size} bytes`).join(', ')})`);
  }

  get name(): string {
    return this.#copies[0]!.name;
  }

  get size(): number {
    return this.#copies[0]!.size;
  }

  get members(): readonly string[] {
    return this.#copies[0]!.members;
  }

  /** @throws {KernelError} `unsupported-layout` where the copies have it in different places */
  member(path: string): MemberLayout | undefined {
    const [first, ...others] = this.#copies.map((copy) => copy.member(path));
    if (others.some((other) => placeOf(other) !== placeOf(first)))
      throw this.#differ(`offsets of member ${path}`);
    return first;
  }

  #differ(what: string): KernelError {
    const message = `${this.name}: ${this.#copies.length} definitions with different ${what}`;
    return new KernelError('unsupported-layout', message);
  }
}

function placeOf(member: MemberLayout | undefined): string {
  if (member === undefined) return '';
  const { offset, size, bits, count, pointer } = member;
  return [offset, size, bits?.offset, bits?.size, count, pointer].join();
}
