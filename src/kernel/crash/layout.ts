import { KernelError } from '../error.js';
import type { MemberLayout, StructLayout } from '../layout.js';
import type { GdbMember, GdbType } from './gdb-types.js';
import { findMember, memberNames, type PtypeMember, parseWhatis } from './ptype.js';

const PATH = /^\w+(\[\d+\])?(\.\w+(\[\d+\])?)*$/;

/**
 * The layout of one struct, asked for by its members: an address in a null struct takes gdb
 * 0.2 ms, but spelling task_struct out takes it 400 the first time.
 */
export class CrashLayout implements StructLayout {
  readonly name: string;
  readonly size: number;
  readonly #type: GdbType;
  readonly #struct: (name: string) => StructLayout | undefined;
  readonly #known = new Map<string, MemberLayout | undefined>();

  /** @param struct finds other structs */
  constructor(name: string, type: GdbType, struct: (name: string) => StructLayout | undefined) {
    this.name = name;
    this.size = type.size;
    this.#type = type;
    this.#struct = struct;
  }

  get members(): readonly string[] {
    return memberNames(this.#declarations());
  }

  member(path: string): MemberLayout | undefined {
    this.resolve([path]);
    return this.#known.get(path);
  }

  resolve(paths: readonly string[]): void {
    const unknown = paths.filter((path) => !this.#known.has(path));
    const asked = unknown.filter((path) => PATH.test(path));
    const found = this.#type.members(asked).map((member) => member && described(member));
    // gdb gives an address for a bitfield too, without a word: what may be one must be looked up.
    const doubted = asked.flatMap((path, index) => {
      const member = found[index];
      return member && !member.isWhole ? [{ path, size: member.layout.size }] : [];
    });
    const scalars = this.#type.scalars(doubted);
    const unsure = doubted.filter((_, index) => scalars[index] === 'unsure');
    const known = new Map(asked.map((path, index) => [path, found[index]?.layout]));
    for (const { path } of unsure) {
      const { type, pointer, ...place } = known.get(path)!;
      known.set(path, { ...place, ...this.#bits(path), type, pointer });
    }
    for (const path of unknown) this.#known.set(path, known.get(path));
  }

  /** The place of a bitfield; nothing for any other member. */
  #bits(path: string): Partial<Pick<MemberLayout, 'offset' | 'size' | 'bits'>> {
    const steps = path.split('.');
    const parent = steps.slice(0, -1).join('.');
    const [holder] = parent === '' ? [] : this.#type.members([parent]);
    const type = holder && parseWhatis(holder.whatis).type;
    if (holder && type) {
      const inner = this.#struct(type)?.member(steps.at(-1) ?? '');
      return inner?.bits
        ? { offset: holder.offset + inner.offset, size: inner.size, bits: inner.bits }
        : {};
    }
    const width = follow(this.#declarations(), steps)?.width;
    if (width === undefined) return {};
    const at = follow(this.#type.declared(true) ?? [], steps)?.at;
    if (!at) {
      throw new KernelError(
        'unsupported-layout',
        `crash does not tell where the bitfield ${this.name}.${path} lies`,
      );
    }
    // Read as few bytes, from the first that it touches, as hold the whole of it.
    const bytes = Math.ceil((at.bit + width) / 8);
    return {
      offset: at.byte,
      size: bytes <= 2 ? bytes : bytes <= 4 ? 4 : 8,
      bits: { offset: at.bit, size: width },
    };
  }

  #declarations(): readonly PtypeMember[] {
    const declared = this.#type.declared(false);
    if (declared) return declared;
    throw new KernelError('unsupported-layout', `crash does not spell out struct ${this.name}`);
  }
}

interface Described {
  readonly layout: MemberLayout;
  /** It is surely no bitfield. */
  readonly isWhole: boolean;
}

function described({ whatis, offset, size }: GdbMember): Described {
  const { aggregate, ...type } = parseWhatis(whatis);
  const isWhole = aggregate || type.pointer || type.count !== undefined;
  return { layout: { offset, size, ...type }, isWhole };
}

function follow(
  members: readonly PtypeMember[],
  steps: readonly string[],
): PtypeMember | undefined {
  let inside: readonly PtypeMember[] | undefined = members;
  let found: PtypeMember | undefined;
  for (const step of steps) {
    found = inside && findMember(inside, step.replace(/\[\d+\]$/, ''));
    inside = found?.members;
  }
  return found;
}
