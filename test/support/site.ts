import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { z } from 'zod';
import { STEP_MS } from '../../scripts/lab-parts/limits.mjs';

const seenSchema = z.object({
  pages: z.array(
    z.object({
      page: z.string(),
      title: z.string(),
      /** Console messages and errors. */
      messages: z.array(z.string()),
      /** Requests to other hosts. */
      elsewhere: z.array(z.string()),
      views: z.array(
        z.object({
          scheme: z.enum(['light', 'dark']),
          width: z.number(),
          /** Pixels by which the page is wider than the window. */
          overflow: z.number(),
        }),
      ),
      violations: z.array(z.string()),
    }),
  ),
  /** Links of the search results, best first. */
  found: z.array(z.string()),
});

const LOOK = fileURLToPath(new URL('../browser/look-site.mjs', import.meta.url));

/** Reads pages of a built site in Chromium. Screenshots go to KDUMP_MEM_PICTURES if it is set. */
export async function readSite(folder: string, query: string, pages: readonly string[]) {
  const pictures = process.env.KDUMP_MEM_PICTURES ?? `${folder}/pictures`;
  mkdirSync(pictures, { recursive: true });
  const { stdout } = await execa(process.execPath, [LOOK, folder, pictures, query, ...pages], { timeout: STEP_MS });
  return seenSchema.parse(JSON.parse(stdout));
}
