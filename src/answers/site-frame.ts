import { z } from 'zod';
import type { SiteFrame } from '../records/allocation-sites.js';
import { count } from './schema.js';

/** A function on the stack of an allocation, or a line of source. Names are untrusted. */
export const siteFrameSchema = z.strictObject({
  symbol: z.string().nullable(),
  /** Bytes from the start of the function. */
  offset: count.nullable(),
  module: z.string().nullable(),
  /** File and line; null: the source does not report them. */
  line: z.string().nullable(),
  /** Always false: frames come from the kernel’s own unwinder. */
  guess: z.boolean(),
});

export function siteFrameJson(frame: SiteFrame): z.infer<typeof siteFrameSchema> {
  const { symbol, offset, module, line } = frame;
  return { symbol, offset, module, line, guess: false };
}
