import { KernelError } from '../error.js';
import type { MemberLayout, StructLayout } from '../layout.js';
import { type PtypeMember, type PtypeStruct, parseDeclaration } from './ptype.js';

/** Finds another struct by name: members can be of types that were not spelled out. */
type StructFinder = (name: string) => StructLayout | undefined;

/** A layout out of one `ptype /o`. */
export class PtypeLayout implements StructLayout {
  readonly name: string;
  readonly size: number;
  readonly members: readonly string[];
  readonly #members: readonly PtypeMember[];
  readonly #struct: StructFinder;

  constructor(name: string, parsed: PtypeStruct, struct: StructFinder) {
    this.name = name;
    this.size = parsed.size;
    this.#members = parsed.members;
    this.#struct = struct;
    this.members = namesOf(parsed.members);
  }

  member(path: string): MemberLayout | undefined {
    const steps = parsePath(path);
    if (!steps) return undefined;
    let members = this.#members;
    let moved = 0;
    for (const [index, step] of steps.entries()) {
      const member = findMember(members, step.name);
      if (!member) return undefined;
      if (step.element !== undefined) {
        if (member.count === undefined) return undefined;
        // A flexible array has no size to divide: what its elements are must be asked.
        const size =
          member.count > 0 ? member.size / member.count : (this.#struct(member.type)?.size ?? 0);
        moved += step.element * size;
      }
      if (index === steps.length - 1) return layoutOf(member, moved, step.element !== undefined);
      if (member.pointer) return undefined;
      if (!member.members) {
        const rest = path.split('.').slice(index + 1);
        const inner = this.#struct(member.type)?.member(rest.join('.'));
        return inner && { ...inner, offset: inner.offset + member.offset + moved };
      }
      members = member.members;
    }
    return undefined;
  }
}

/**
 * A layout of which gdb prints no offsets, because the struct ends in a flexible array of structs
 * ("ptype/o does not work with dynamic types"): each member's place is asked for when it is needed.
 */
export class AskedLayout implements StructLayout {
  readonly name: string;
  readonly size: number;
  readonly members: readonly string[];
  readonly #declarations: ReadonlyMap<string, string>;
  readonly #struct: StructFinder;
  readonly #offset: (member: string) => { offset: number; size: number } | undefined;

  /**
   * @param text the output of plain `ptype`
   * @param offset asks gdb for a direct member's place
   */
  constructor(
    name: string,
    size: number,
    text: string,
    struct: StructFinder,
    offset: (member: string) => { offset: number; size: number } | undefined,
  ) {
    this.name = name;
    this.size = size;
    this.#declarations = new Map(
      text
        .split('\n')
        .map((line) => line.trim())
        .flatMap((line) => {
          const declared = parseDeclaration(line, 0, 0, 0);
          return declared ? [[declared.name, line] as const] : [];
        }),
    );
    this.members = [...this.#declarations.keys()];
    this.#struct = struct;
    this.#offset = offset;
  }

  member(path: string): MemberLayout | undefined {
    const [first, ...rest] = path.split('.');
    const step = parsePath(first ?? '')?.[0];
    const declaration = step && this.#declarations.get(step.name);
    if (!step || declaration === undefined) return undefined;
    const place = this.#offset(step.name);
    if (!place) return undefined;
    const declared = parseDeclaration(declaration, place.offset, place.size, 0);
    if (!declared) return undefined;
    if (declared.bits) {
      // gdb gives an address for a bitfield, but not which bits of what lies there.
      throw new KernelError(
        'unsupported-layout',
        `crash does not tell where the bitfield ${this.name}.${step.name} lies`,
      );
    }
    const parsed = { name: this.name, size: this.size, members: [declared] };
    return new PtypeLayout(this.name, parsed, this.#struct).member([first, ...rest].join('.'));
  }
}

function parsePath(path: string): { name: string; element: number | undefined }[] | undefined {
  const steps = path.split('.').map((step) => /^(\w+)(?:\[(\d+)\])?$/.exec(step));
  if (steps.some((step) => step === null)) return undefined;
  return steps.map((step) => ({
    name: step?.[1] ?? '',
    element: step?.[2] === undefined ? undefined : Number(step[2]),
  }));
}

function layoutOf(member: PtypeMember, moved: number, element: boolean): MemberLayout {
  const { offset, size, bits, count, type, pointer } = member;
  return {
    offset: offset + moved,
    size: element && count ? size / count : size,
    ...(bits ? { bits } : {}),
    ...(count !== undefined && !element ? { count } : {}),
    type,
    pointer,
  };
}

/** Looks through anonymous structs and unions. */
function findMember(members: readonly PtypeMember[], name: string): PtypeMember | undefined {
  for (const member of members) {
    if (member.name === name) return member;
    if (member.name === '' && member.members) {
      const inner = findMember(member.members, name);
      if (inner) return inner;
    }
  }
  return undefined;
}

function namesOf(members: readonly PtypeMember[]): string[] {
  return members.flatMap((member) =>
    member.name === '' ? namesOf(member.members ?? []) : [member.name],
  );
}
