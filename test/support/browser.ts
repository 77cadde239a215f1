import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { z } from 'zod';
import { STEP_MS } from '../../scripts/lab-parts/limits.mjs';

const box = z.object({ left: z.number(), top: z.number(), width: z.number(), height: z.number() });

/** How Chromium renders a page (test/browser/look.mjs). */
const seenSchema = z.object({
  /** Console messages, errors, and dialogs. */
  messages: z.array(z.string()),
  /** Requests besides the page itself. */
  requests: z.array(z.string()),
  views: z.array(
    z.object({
      scheme: z.enum(['light', 'dark']),
      width: z.number(),
      picture: z.string(),
      /** Pixels by which the page is wider than the window. */
      overflow: z.number(),
      ground: z.string(),
      /** Lines of visible cells, and those that overflow their cell. */
      labels: z.number(),
      clipped: z.array(z.string()),
      lists: z.array(z.object({ bytes: z.number(), box, cells: z.array(z.object({ bytes: z.number(), box })) })),
    }),
  ),
  violations: z.array(z.string()),
  stops: z.array(
    z.object({ what: z.string(), name: z.string(), outlined: z.boolean(), inView: z.boolean(), told: z.boolean() }),
  ),
  followed: z.object({ element: z.string().nullable(), id: z.string().nullable() }),
  shape: z.string(),
  tree: z.record(z.string(), z.number()),
  print: z.object({ hidden: z.number(), overflow: z.string() }),
});

export type Seen = z.infer<typeof seenSchema>;

const LOOK = fileURLToPath(new URL('../browser/look.mjs', import.meta.url));

/** Renders pages in Chromium, by name. Screenshots go to KDUMP_MEM_PICTURES if it is set. */
export async function lookAt<Name extends string>(pages: Readonly<Record<Name, string>>): Promise<Record<Name, Seen>> {
  if (!existsSync(fileURLToPath(new URL('../browser/node_modules', import.meta.url))))
    throw new Error('what drives the browser is missing: npm ci --prefix test/browser');
  const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-pages-'));
  try {
    const names = Object.keys(pages) as Name[];
    const files = names.map((name) => {
      const file = join(folder, `${name}.html`);
      writeFileSync(file, pages[name]);
      return file;
    });
    const pictures = process.env.KDUMP_MEM_PICTURES ?? folder;
    const { stdout } = await execa(process.execPath, [LOOK, pictures, ...files], { timeout: STEP_MS });
    const seen = z.array(seenSchema).parse(JSON.parse(stdout));
    return Object.fromEntries(names.map((name, index) => [name, seen[index]])) as Record<Name, Seen>;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
