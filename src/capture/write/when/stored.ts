import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { OutputError } from '../../../base/output-file.js';

/** `snapshot-20261121T180501Z-psi-oom.tar.gz`: time and reasons. */
const NAME = /^snapshot-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z(?:-[a-z]{1,12}){1,8}\.tar\.gz$/;

export function nameOf(at: Date, kinds: readonly string[]): string {
  const time = at.toISOString().replace(/[-:]|\.\d+/g, '');
  return `snapshot-${time}-${[...new Set(kinds)].join('-')}.tar.gz`;
}

/**
 * Snapshots in a folder, oldest first; other files are ignored.
 *
 * @throws {OutputError} the folder cannot be listed
 */
export function snapshotsIn(folder: string): { readonly name: string; readonly at: number }[] {
  return namesIn(folder)
    .flatMap((name) => {
      const [, year, month, day, hour, minute, second] = NAME.exec(name) ?? [];
      if (year === undefined) return [];
      return [{ name, at: Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`) }];
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Removes the oldest snapshots beyond `limit`.
 *
 * @param current the newest snapshot, which is kept even if the clock went back
 * @returns the removed names
 * @throws {OutputError} the folder cannot be listed or modified
 */
export function removeOldest(folder: string, limit: number, current?: string): string[] {
  const all = snapshotsIn(folder);
  const older = all.map(({ name }) => name).filter((name) => name !== current);
  const old = older.slice(0, Math.max(0, all.length - limit));
  for (const name of old) remove(join(folder, name));
  return old;
}

/** Names of partial files (src/base/output-file.ts). */
const PARTIAL = /^\.(snapshot-.{1,200}\.tar\.gz)\.[0-9a-f]{12}\.partial$/;

/** Longer than any snapshot takes, milliseconds. */
const ABANDONED_MS = 2 * 3600 * 1000;

/**
 * Removes partial files left by killed runs, as happens under memory pressure.
 *
 * @param nowMs since 1970
 * @throws {OutputError} the folder cannot be listed or modified
 */
export function removeAbandoned(folder: string, nowMs: number): void {
  for (const name of namesIn(folder)) {
    if (!NAME.test(PARTIAL.exec(name)?.[1] ?? '')) continue;
    const file = join(folder, name);
    const stat = lstatSync(file, { throwIfNoEntry: false });
    if (stat && nowMs - stat.mtimeMs > ABANDONED_MS) remove(file);
  }
}

function remove(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new OutputError('cannot-write', `${file} cannot be removed (${code})`, { cause });
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new OutputError('cannot-write', `${folder} cannot be listed (${code})`, { cause });
  }
}
