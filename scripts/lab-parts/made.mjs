// A folder of results that are made together: complete and of today's recipe, or made anew.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LAB } from './paths.mjs';

/** An emulated guest on a busy machine may miss a deadline of its own, or of ours. */
const ATTEMPTS = 3;

/**
 * Makes `.lab/dumps/NAME` unless it is there. Older files stay in use until all new ones are made.
 *
 * @param {string} name
 * @param {string} recipe tells results from those of older sources
 * @param {string[]} files that must be there
 * @param {(work: string) => Promise<void>} make writes the files into a folder
 */
export async function madeOnce(name, recipe, files, make) {
  const folder = join(LAB, 'dumps', name);
  const recipeFile = join(folder, 'recipe');
  const whole = files.every((file) => existsSync(join(folder, file)));
  if (whole && existsSync(recipeFile) && readFileSync(recipeFile, 'utf8') === recipe) return;

  // One lab at a time is here (scripts/lab has a lock): what is left over is of one that was killed.
  for (const left of existsSync(folder) ? readdirSync(folder) : []) {
    if (left.startsWith('.new-')) rmSync(join(folder, left), { recursive: true });
  }
  const work = join(folder, `.new-${process.pid}`);
  for (let attempt = 1; ; attempt++) {
    mkdirSync(work, { recursive: true });
    try {
      await make(work);
      for (const file of files) renameSync(join(work, file), join(folder, file));
      writeFileSync(recipeFile, recipe);
      return;
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      console.error(`lab: ${name} is tried again: ${error instanceof Error ? error.message : error}`);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
}
