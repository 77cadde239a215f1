import { z } from 'zod';

const name = z.string().max(4096);

const replacements = z.array(z.strictObject({ made: name, real: name }));

/**
 * What `kdump-mem extract --map` writes: what an anonymous extract says, and what is true. `--map` of
 * other commands reads it. Names are as the kernel has them: JSON escapes them.
 */
export const mapSchema = z.strictObject({
  schema: z.literal('kdump-mem.map/1'),
  /** The extract that it belongs to, and no other. */
  extract: z.strictObject({
    sizeBytes: z.int().nonnegative(),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
  }),
  addresses: replacements,
  paths: replacements,
  commands: replacements,
  cgroups: replacements,
  interfaces: replacements,
  hosts: replacements,
  /** Physical addresses, ascending, and the bytes that were there, in hex. */
  places: z.array(z.tuple([z.int().nonnegative(), z.string().regex(/^([0-9a-f]{2}){1,4096}$/)])),
});

export type MapJson = z.infer<typeof mapSchema>;
