import { z } from 'zod';

const name = z.string().max(4096);

const replacements = z.array(z.strictObject({ made: name, real: name }));

/**
 * Output of `kdump-mem extract --map`: the replacements of an anonymous extract, and the true names. `--map`
 * of other commands reads it. Names are as in the kernel: JSON escapes them.
 */
export const mapSchema = z.strictObject({
  schema: z.literal('kdump-mem.map/1'),
  /** The only extract that the map belongs to. */
  extract: z.strictObject({ sizeBytes: z.int().nonnegative(), sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
  addresses: replacements,
  paths: replacements,
  commands: replacements,
  cgroups: replacements,
  interfaces: replacements,
  hosts: replacements,
  /** Physical addresses, ascending, and the original bytes, in hex. */
  places: z.array(z.tuple([z.int().nonnegative(), z.string().regex(/^([0-9a-f]{2}){1,4096}$/)])),
});

export type MapJson = z.infer<typeof mapSchema>;
