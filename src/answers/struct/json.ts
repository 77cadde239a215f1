import { hex } from '../../base/hex.js';
import type { Kernel, KernelFacts } from '../../kernel/kernel.js';
import type { NamedType } from '../../kernel/type-description.js';
import type { Value } from '../../walk/values/instance.js';
import type { Place } from '../../walk/values/place.js';
import type { Warning } from '../../walk/warnings.js';
import { kernelJson } from '../kernel-json.js';
import { type LayoutMember, layoutOf } from './layout.js';
import type { InstanceJson, LayoutMemberJson, StructJson, ValueJson } from './schema.js';

/** Layouts as the JSON contract has them; `members` replaces those of the only type. */
export function structJson(
  { facts, doubts = [] }: Pick<Kernel, 'facts' | 'doubts'>,
  types: readonly NamedType[],
  members?: readonly LayoutMember[],
): StructJson {
  return {
    schema: 'kdump-mem.struct/1',
    kernel: kernelJson(facts),
    types: types.map(({ type, typedef, module }) => ({
      type: type.spelling,
      kind: type.kind,
      ...(typedef === undefined ? {} : { typedef }),
      ...(module === undefined ? {} : { module }),
      size: type.size,
      ...(type.kind === 'struct' || type.kind === 'union'
        ? { members: (members ?? layoutOf(type)).map(memberJson) }
        : {}),
      ...(type.kind === 'enum'
        ? {
            values: Object.fromEntries(
              [...type.values()].map(([name, value]) => [name, integer(value)]),
            ),
          }
        : {}),
    })),
    warnings: doubts.map((doubt) => ({ ...doubt })),
  };
}

/** What an instance is told by. */
export interface InstanceAnswer {
  readonly kernel: KernelFacts;
  readonly type: string;
  readonly place: Place;
  readonly value?: Value;
  readonly members?: readonly { path: string; offset: number; value: Value }[];
  readonly warnings: readonly Warning[];
}

export function instanceJson(answer: InstanceAnswer): InstanceJson {
  const { address, ...symbol } = answer.place;
  return {
    schema: 'kdump-mem.struct-instance/1',
    kernel: kernelJson(answer.kernel),
    type: answer.type,
    address: hex(address),
    ...symbol,
    ...(answer.value ? { value: valueJson(answer.value) } : {}),
    ...(answer.members
      ? {
          members: answer.members.map(({ path, offset, value }) => ({
            path,
            offset,
            value: valueJson(value),
          })),
        }
      : {}),
    warnings: [...answer.warnings],
  };
}

function memberJson({
  name,
  declaration,
  offset,
  size,
  bits,
  members,
}: LayoutMember): LayoutMemberJson {
  return {
    name,
    declaration,
    offset,
    size,
    ...(bits ? { bits: { ...bits } } : {}),
    ...(members ? { members: members.map(memberJson) } : {}),
  };
}

function valueJson(value: Value): ValueJson {
  switch (value.kind) {
    case 'int':
      return { kind: 'int', value: integer(value.value) };
    case 'float':
      return { kind: 'float', value: Number.isFinite(value.value) ? value.value : null };
    case 'pointer': {
      const symbol = value.symbol === undefined ? {} : { symbol: value.symbol };
      return { kind: 'pointer', value: hex(value.value), ...symbol };
    }
    case 'enum':
      return { kind: 'enum', value: integer(value.value), name: value.name ?? null };
    case 'text':
      return { kind: 'text', text: value.text };
    case 'array': {
      const elements = value.elements.map(valueJson);
      return { kind: 'array', elements, omitted: value.omitted };
    }
    case 'struct':
    case 'union': {
      const members = value.members.map((one) => ({ name: one.name, value: valueJson(one.value) }));
      return {
        kind: value.kind,
        members,
        ...(value.omitted > 0 ? { omitted: value.omitted } : {}),
      };
    }
    case 'opaque':
      return { kind: 'opaque' };
    case 'unreadable':
      return { kind: 'unreadable', reason: value.code };
  }
}

/** JSON's numbers are exact to 2^53. */
function integer(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : `${value}`;
}
