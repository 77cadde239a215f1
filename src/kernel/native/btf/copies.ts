import { KernelError } from '../../error.js';
import type { MemberLayout, StructLayout } from '../../layout.js';
import type { Btf } from './btf.js';
import { Kind } from './format.js';
import { isAggregate } from './member.js';

/** Nested deeper than this, types are damage or a cycle. */
const MOST_DEPTH = 64;

/**
 * The shapes of types: equal for types of the same size whose members have the same names, places and
 * sizes, all the way down. Pointers are equal where the names that they point to are.
 *
 * One for each blob: names are compared by their place in its strings.
 */
export class Shapes {
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
      throw new KernelError('damaged', `BTF: type ${id} nests without an end`);
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
export class CopiesLayout implements StructLayout {
  readonly #copies: readonly StructLayout[];

  /** @throws {KernelError} `unsupported-layout` where their sizes differ */
  constructor(copies: readonly [StructLayout, ...StructLayout[]]) {
    this.#copies = copies;
    const sizes = new Set(copies.map(({ size }) => size));
    if (sizes.size > 1)
      throw this.#differ(`sizes: ${[...sizes].map((size) => `${size} bytes`).join(', ')}`);
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
      throw this.#differ(`places of member ${path}`);
    return first;
  }

  #differ(what: string): KernelError {
    const message = `the kernel has ${this.#copies.length} different types named ${this.name}, with different ${what}`;
    return new KernelError('unsupported-layout', message);
  }
}

function placeOf(member: MemberLayout | undefined): string {
  if (member === undefined) return '';
  const { offset, size, bits, count, pointer } = member;
  return [offset, size, bits?.offset, bits?.size, count, pointer].join();
}
