import { z } from 'zod';
import { READ_ERROR_CODES } from '../base/errors.js';
import type { Immutable } from '../base/util.js';
import { address, count, kernelSchema, warningSchema } from './common.js';

/** A number, or beyond 2^53 its decimal digits. */
const integer = z.union([z.int(), z.string().regex(/^-?\d{16,39}$/)]);

/** A member with its place; offsets and sizes are bytes from the start of the outermost type. */
const layoutMemberSchema = z.strictObject({
  name: z.string(),
  /** C declaration; for an anonymous struct or union only its keyword. */
  declaration: z.string(),
  offset: count,
  size: count,
  /** A bitfield's place in the storage unit of `size` bytes at `offset`. */
  bits: z.strictObject({ offset: count, size: count }).optional(),
  get members() {
    return z.array(layoutMemberSchema).optional();
  },
});

const typeSchema = z.strictObject({
  /** As C writes it, typedefs stripped. */
  type: z.string(),
  kind: z.enum(['struct', 'union', 'enum', 'int', 'float', 'pointer', 'array', 'opaque']),
  typedef: z.string().optional(),
  module: z.string().optional(),
  size: count,
  members: z.array(layoutMemberSchema).optional(),
  values: z.record(z.string(), integer).optional(),
});

const valueSchema = z.union([
  z.strictObject({ kind: z.literal('int'), value: integer }),
  /** Null: not finite. */
  z.strictObject({ kind: z.literal('float'), value: z.number().nullable() }),
  z.strictObject({ kind: z.literal('pointer'), value: address, symbol: z.string().optional() }),
  /** Null: no enumerator has this value. */
  z.strictObject({ kind: z.literal('enum'), value: integer, name: z.string().nullable() }),
  /** A char array without trailing NULs. */
  z.strictObject({ kind: z.literal('text'), text: z.string() }),
  z.strictObject({
    kind: z.literal('array'),
    get elements() {
      return z.array(valueSchema);
    },
    /** Number of further elements, omitted to keep the answer short. */
    omitted: count,
  }),
  z.strictObject({
    kind: z.enum(['struct', 'union']),
    get members() {
      return z.array(z.strictObject({ name: z.string(), value: valueSchema }));
    },
    /** Members behind those, left out since the answer was too long already. */
    omitted: z.int().positive().optional(),
  }),
  /** Types without a value: void, functions, undefined structs. */
  z.strictObject({ kind: z.literal('opaque') }),
  z.strictObject({ kind: z.literal('unreadable'), reason: z.enum(READ_ERROR_CODES) }),
]);

/** `kdump-mem struct TYPE --json`: every type of that name, or the members of one that were chosen. */
export const structSchema = z.strictObject({
  schema: z.literal('kdump-mem.struct/1'),
  kernel: kernelSchema,
  types: z.array(typeSchema).min(1),
  warnings: z.array(warningSchema),
});

/** `kdump-mem struct TYPE ADDR --json`. */
export const instanceSchema = z.strictObject({
  schema: z.literal('kdump-mem.struct-instance/1'),
  kernel: kernelSchema,
  type: z.string(),
  address,
  symbol: z.string().optional(),
  cpu: count.optional(),
  /** The complete instance, or only the selected members. */
  value: valueSchema.optional(),
  members: z.array(z.strictObject({ path: z.string(), offset: count, value: valueSchema })).optional(),
  warnings: z.array(warningSchema),
});

export type LayoutMemberJson = Immutable<z.input<typeof layoutMemberSchema>>;
export type StructJson = Immutable<z.input<typeof structSchema>>;
export type InstanceAnswer = Immutable<z.output<typeof instanceSchema>>;
/** A value in memory, by its type. Text and names in it are untrusted. */
export type Value = Immutable<z.output<typeof valueSchema>>;
