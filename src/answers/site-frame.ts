import type { z } from 'zod';
import type { SiteFrame } from '../records/allocation-sites.js';
import type { siteFrameSchema } from './schema.js';

export function siteFrameJson(frame: SiteFrame): z.infer<typeof siteFrameSchema> {
  const { symbol, offset, module, line } = frame;
  return { symbol, offset, module, line, guess: false };
}
