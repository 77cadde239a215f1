import { z } from 'zod';
import type { Immutable } from '../../base/util.js';

const address = z.string().regex(/^0x[0-9a-f]{1,16}$/);
const length = z.int().positive();

/** `kdump-mem read --json`: pieces ordered by address, without gaps between them. */
export const readSchema = z.strictObject({
  schema: z.literal('kdump-mem.read/1'),
  address,
  space: z.enum(['virtual', 'physical']),
  /** Symbol of the address. */
  symbol: z.string().optional(),
  cpu: z.int().nonnegative().optional(),
  length,
  pieces: z.array(
    z.union([
      /** Bytes in hex, at most one page. */
      z.strictObject({ address, length, bytes: z.string().regex(/^([0-9a-f]{2})+$/) }),
      z.strictObject({
        address,
        length,
        missing: z.enum(['filtered', 'absent', 'unmapped', 'damaged', 'truncated', 'refused']),
        /** Set if a page table is unreadable: the bytes may exist, but cannot be located. */
        behindTable: z.literal(true).optional(),
      }),
    ]),
  ),
  /** Whether nothing is missing and nothing was replaced by zeros. */
  complete: z.boolean(),
});

export type ReadJson = Immutable<z.infer<typeof readSchema>>;
