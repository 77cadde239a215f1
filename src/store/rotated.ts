import fs from 'node:fs';

/** More were never kept. */
export const MOST_KEPT = 1000;

/** What a file is called once `age` newer ones came after it. */
export function rotatedName(file: string, age: number): string {
  return age === 0 ? file : `${file}.${age}`;
}

/** The files of a store that are there, the oldest first. */
export function storeFiles(file: string): string[] {
  const found: string[] = [];
  const there = (name: string) => fs.statSync(name, { throwIfNoEntry: false })?.isFile() === true;
  for (let age = 1; age <= MOST_KEPT && there(rotatedName(file, age)); age++)
    found.unshift(rotatedName(file, age));
  if (there(file)) found.push(file);
  return found;
}

/** Renames what is there, so that there is none of that name; no more than `keep` stay. */
export function rotate(file: string, keep: number): void {
  const kept = storeFiles(file).filter((name) => name !== file).length;
  for (let age = kept; age >= keep; age--) fs.rmSync(rotatedName(file, age), { force: true });
  for (let age = Math.min(kept, keep - 1); age >= 0; age--)
    fs.renameSync(rotatedName(file, age), rotatedName(file, age + 1));
}
