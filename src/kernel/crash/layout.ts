import { KernelError } from '../error.js';
import type { MemberLayout, StructLayout } from '../layout.js';
import type { GdbType } from './gdb-types.js';
import { findMember, memberNames, type PtypeMember, parseWhatis } from './ptype.js';

/**
 * The layout of one struct, asked for member by member: an address in a null struct takes gdb
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
    if (!this.#known.has(path)) this.#known.set(path, this.#find(path));
    return this.#known.get(path);
  }

  #find(path: string): MemberLayout | undefined {
    if (!/^\w+(\[\d+\])?(\.\w+(\[\d+\])?)*$/.test(path)) return undefined;
    const found = this.#type.member(path);
    if (!found) return undefined;
    const { offset, size } = found;
    const { aggregate, ...type } = parseWhatis(found.whatis);
    // gdb gives an address for a bitfield too, without a word: what may be one must be looked up.
    const whole = aggregate || type.pointer || type.count !== undefined;
    if (whole || this.#type.scalar(path, size) !== 'unsure') return { offset, size, ...type };
    return { offset, size, ...this.#bits(path), ...type };
  }

  /** The place of a bitfield; nothing for any other member. */
  #bits(path: string): Partial<Pick<MemberLayout, 'offset' | 'size' | 'bits'>> {
    const steps = path.split('.');
    const parent = steps.slice(0, -1).join('.');
    const holder = parent === '' ? undefined : this.#type.member(parent);
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
