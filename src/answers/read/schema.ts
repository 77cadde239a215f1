import { z } from 'zod';

const address = z.string().regex(/^0x[0-9a-f]{1,16}$/);
const length = z.int().positive();

/** `kdump-mem read --json`: pieces in order of address, without gaps between them. */
export const readSchema = z.strictObject({
  schema: z.literal('kdump-mem.read/1'),
  address,
  space: z.enum(['virtual', 'physical']),
  /** Where a symbol led there. */
  symbol: z.string().optional(),
  cpu: z.int().nonnegative().optional(),
  length,
  pieces: z.array(
    z.union([
      /** Bytes in hex, at most a page. */
      z.strictObject({ address, length, bytes: z.string().regex(/^([0-9a-f]{2})+$/) }),
      z.strictObject({
        address,
        length,
        missing: z.enum(['filtered', 'absent', 'unmapped', 'damaged', 'truncated', 'refused']),
        /** That is said of a page table: the bytes may be there, and nothing leads to them. */
        behindTable: z.literal(true).optional(),
      }),
    ]),
  ),
  /** Nothing is missing, and nothing was replaced by zeros. */
  complete: z.boolean(),
});

export type ReadJson = z.infer<typeof readSchema>;
