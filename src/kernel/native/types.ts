import { KernelError } from '../../base/errors.js';
import type { MemberLayout, StructLayout, TypeDescription } from '../layout.js';
import type { Btf } from './btf/btf.js';
import { describeType, enumeratorsOf } from './btf/describe.js';
import { Kind } from './btf/format.js';
import { BtfStructLayout, flattenMembers, isAggregate, type MemberCache } from './btf/layout.js';

/** A type by id, and the blob that defines it. */
export interface FoundType {
  readonly btf: Btf;
  readonly id: number;
}

export interface ModuleTypes {
  readonly module: string;
  readonly btf: Btf;
}

/**
 * All types of a kernel: its own first, and those of its modules for names that its own lack. Modules
 * are not even listed before such a lookup.
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
   * Returns the layout of a struct or union, or of a typedef of one.
   *
   * @throws {KernelError} `unsupported-layout` when types of that name differ in size, or later in a
   * requested member; `damaged` when the types are invalid
   */
  struct(name: string): StructLayout | undefined {
    if (!this.#structs.has(name)) this.#structs.set(name, this.#findStruct(name));
    return this.#structs.get(name);
  }

  enumerators(name: string): ReadonlyMap<string, bigint> | undefined {
    if (!this.#enums.has(name)) this.#enums.set(name, this.#findEnum(name));
    return this.#enums.get(name);
  }

  /** The kernel's own per-CPU variables, by their offsets in the template; empty if unknown. */
  perCpuVariables(): ReadonlyMap<string, SectionVariable> {
    return sectionVariables(this.base, '.data..percpu');
  }

  /** Every struct, union, enum or typedef of that name: the kernel's, or else its modules'. */
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
   * Every type of that name, for printing: `struct x`, `union x`, `enum x` and a typedef may share the
   * name x, and some names are defined several times.
   */
  describe(name: string): TypeDescription[] {
    return this.find(name).map(({ btf, id }) => describeType(btf, id));
  }

  #findStruct(name: string): StructLayout | undefined {
    const [, plain = name, member] = /^(\w+)\{(\w+)\}$/.exec(name) ?? [];
    const types = this.find(plain).filter(({ btf, id }) => member === undefined || hasMember(btf, id, member));
    // `struct x` and `union x` precede a typedef x, which C allows to be another type.
    const tagged = types.filter(({ btf, id }) => isAggregate(btf, id));
    const resolved = (tagged.length > 0 ? tagged : types)
      .map(({ btf, id }) => ({ btf, id: btf.resolve(id) }))
      .filter(({ btf, id }) => isAggregate(btf, id));
    const [first, ...rest] = this.#distinct(resolved).map(({ btf, id }) => {
      const cache = this.#caches.get(btf) ?? new Map();
      this.#caches.set(btf, cache);
      return new BtfStructLayout(btf, id, name, cache);
    });
    return first && rest.length > 0 ? new CopiesLayout([first, ...rest]) : first;
  }

  /** One type per shape: types in different blobs count as different. */
  #distinct(types: readonly FoundType[]): readonly FoundType[] {
    if (types.length < 2) return types;
    const visited = new Map<Btf, Set<number>>();
    return types.filter(({ btf, id }) => {
      const shapes = this.#shapes.get(btf) ?? new Shapes(btf);
      this.#shapes.set(btf, shapes);
      const shape = shapes.of(id);
      const known = visited.get(btf) ?? new Set();
      visited.set(btf, known);
      return !known.has(shape) && known.add(shape);
    });
  }

  #findEnum(name: string): ReadonlyMap<string, bigint> | undefined {
    const [first, ...rest] = this.find(name)
      .map(({ btf, id }) => ({ btf, id: btf.resolve(id) }))
      .filter(({ btf, id }) => btf.kind(id) === Kind.ENUM || btf.kind(id) === Kind.ENUM64)
      .map(({ btf, id }) => enumeratorsOf(btf, id));
    for (const candidate of rest)
      for (const key of new Set([...(first?.keys() ?? []), ...candidate.keys()]))
        if (first?.get(key) !== candidate.get(key)) {
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

/** Deeper nesting of types indicates corruption or a cycle. */
const MAX_DEPTH = 64;

/**
 * Shapes of types: equal for types of the same size whose members have equal names, offsets and sizes,
 * recursively. Pointers are equal if the names of their targets are.
 *
 * One instance per blob: names are compared by their offset in its strings.
 */
class Shapes {
  readonly #btf: Btf;
  readonly #shapes = new Map<number, number>();
  readonly #numbers = new Map<string, number>();

  constructor(btf: Btf) {
    this.#btf = btf;
  }

  /** Returns a number that types of one shape share. @throws {KernelError} `damaged` as Btf does */
  of(id: number, depth = 0): number {
    const known = this.#shapes.get(id);
    if (known !== undefined) return known;
    if (depth > MAX_DEPTH) throw new KernelError('damaged', `BTF: type ${id} is nested too deeply`);
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

  /** A forward declaration counts as the struct that is defined elsewhere. */
  #pointee(btf: Btf, id: number): string {
    const target = btf.resolve(id);
    const tagged = isAggregate(btf, target) || btf.kind(target) === Kind.FWD;
    return tagged ? btf.name(target) : String(btf.kind(target));
  }
}

/**
 * Types of one name with different shapes, combined: every requested member must have the same position
 * in all. pahole before deduplication wrote a copy for each object file, and generated names
 * (`__UNIQUE_ID_rh_kabi_hide11`) differ between them.
 */
class CopiesLayout implements StructLayout {
  readonly #copies: readonly StructLayout[];

  /** @throws {KernelError} `unsupported-layout` if their sizes differ */
  constructor(copies: readonly [StructLayout, ...StructLayout[]]) {
    this.#copies = copies;
    const sizes = new Set(copies.map(({ size }) => size));
    if (sizes.size > 1) throw this.#differ(`sizes (${[...sizes].map((size) => `${size} bytes`).join(', ')})`);
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

  /** @throws {KernelError} `unsupported-layout` if the member's position differs between copies */
  member(path: string): MemberLayout | undefined {
    const [first, ...rest] = this.#copies.map((copy) => copy.member(path));
    if (rest.some((layout) => placeOf(layout) !== placeOf(first))) throw this.#differ(`offsets of member ${path}`);
    return first;
  }

  #differ(subject: string): KernelError {
    const message = `${this.name}: ${this.#copies.length} definitions with different ${subject}`;
    return new KernelError('unsupported-layout', message);
  }
}

function placeOf(member: MemberLayout | undefined): string {
  if (member === undefined) return '';
  const { offset, size, bits, count, pointer } = member;
  return [offset, size, bits?.offset, bits?.size, count, pointer].join();
}

/** A variable in a section of the kernel image, in bytes. */
export interface SectionVariable {
  /** From the section's start. */
  readonly offset: number;
  readonly size: number;
}

/** 32-bit words of a `struct btf_var_secinfo`: type, offset, size. */
const WORDS = 3;

/**
 * The variables of a section (BTF_KIND_DATASEC) by name, without ambiguous names. Empty if the
 * types do not describe the section.
 */
function sectionVariables(btf: Btf, section: string): ReadonlyMap<string, SectionVariable> {
  const variables = new Map<string, SectionVariable>();
  const ambiguous = new Set<string>();
  for (let id = btf.firstId; id < btf.endId; id++) {
    if (btf.kind(id) !== Kind.DATASEC || btf.name(id) !== section) continue;
    for (let index = 0; index < btf.vlen(id); index++) {
      const variable = btf.extra(id, index * WORDS);
      if (btf.kind(variable) !== Kind.VAR) continue;
      const name = btf.name(variable);
      if (variables.has(name)) ambiguous.add(name);
      variables.set(name, { offset: btf.extra(id, index * WORDS + 1), size: btf.extra(id, index * WORDS + 2) });
    }
  }
  for (const name of ambiguous) variables.delete(name);
  return variables;
}
