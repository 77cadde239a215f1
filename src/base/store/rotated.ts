import fs from 'node:fs';

/** More were never kept. */
export const MOST_KEPT = 1000;

/** What a file is called once `age` newer ones came after it. */
export function rotatedName(file: string, age: number): string {
  return age === 0 ? file : `${file}.${age}`;
}

/** The files of a store that are there, the oldest first. */
export function storeFiles(file: string): string[] {
  const older = agesOf(file).map((age) => rotatedName(file, age));
  return isThere(file) ? [...older, file] : older;
}

/** Renames what is there, so that there is none of that name; no more than `keep` stay. */
export function rotate(file: string, keep: number): void {
  const ages = agesOf(file);
  for (const age of ages) if (age > keep) fs.rmSync(rotatedName(file, age), { force: true });
  // A program that was killed amid this has left a place free.
  let free = 1;
  while (free <= keep && ages.includes(free)) free++;
  if (free > keep) fs.rmSync(rotatedName(file, keep), { force: true });
  for (let age = Math.min(free, keep) - 1; age >= 0; age--)
    fs.renameSync(rotatedName(file, age), rotatedName(file, age + 1));
}

/** How old those are that newer ones came after, the oldest first. */
function agesOf(file: string): number[] {
  const ages: number[] = [];
  for (let age = MOST_KEPT; age >= 1; age--) if (isThere(rotatedName(file, age))) ages.push(age);
  return ages;
}

function isThere(name: string): boolean {
  return fs.statSync(name, { throwIfNoEntry: false })?.isFile() === true;
}
