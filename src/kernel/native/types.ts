import { KernelError } from '../error.js';
import type { StructLayout } from '../layout.js';
import type { TypeDescription } from '../type-description.js';
import type { Btf } from './btf/btf.js';
import { CopiesLayout, Shapes } from './btf/copies.js';
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
          const message = `the kernel has different enums named ${name}, with different values of ${key}`;
          throw new KernelError('unsupported-layout', message);
        }
    return first;
  }
}

function hasMember(btf: Btf, id: number, member: string): boolean {
  const resolved = btf.resolve(id);
  return isAggregate(btf, resolved) && flattenMembers(btf, resolved).has(member);
}
