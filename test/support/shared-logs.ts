import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** Logs of other machines, beside the repository or its worktrees; they are no part of it. */
const PLACES = ['../../../shared/logs/', '../../../../shared/logs/'].map(
  (path) => new URL(path, import.meta.url),
);

/** Files of a folder of them, without the lines that say where they are from; undefined: not there. */
export function sharedLogs(folder: string): { name: string; text: string }[] | undefined {
  const place = PLACES.find((url) => existsSync(new URL(folder, url)));
  if (place === undefined) return undefined;
  return readdirSync(new URL(folder, place)).map((name) => {
    const text = readFileSync(new URL(`${folder}/${name}`, place), 'utf8');
    return { name, text: text.replace(/^# source: .*\n/, '') };
  });
}
