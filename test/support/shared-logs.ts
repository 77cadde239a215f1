import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Logs of other machines, next to the repository or its worktrees, which are not part of it. */
const PLACES = ['../../../shared/logs/', '../../../../shared/logs/'].map((path) => new URL(path, import.meta.url));

/** Path of a case of other machines, beside the folder of logs; undefined if it does not exist. */
export function sharedCase(name: string): string | undefined {
  const places = PLACES.map((url) => fileURLToPath(new URL(`../cases/${name}`, url)));
  return places.find((path) => existsSync(path));
}

/** Text of a file of such a case, `dmesg-decode/dmesg-x.txt`; undefined if it does not exist. */
export function sharedCaseText(file: string): string | undefined {
  const path = sharedCase(file);
  return path && readFileSync(path, 'utf8');
}

/** Files of one of its folders, without the lines about their source; undefined if it does not exist. */
export function sharedLogs(folder: string): { name: string; text: string }[] | undefined {
  const place = PLACES.find((url) => existsSync(new URL(folder, url)));
  if (place === undefined) return undefined;
  return readdirSync(new URL(folder, place)).map((name) => {
    const text = readFileSync(new URL(`${folder}/${name}`, place), 'utf8');
    return { name, text: text.replace(/^# source: .*\n/, '') };
  });
}
