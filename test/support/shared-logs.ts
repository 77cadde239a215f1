import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** Logs of other machines, next to the repository or its worktrees, which are not part of it. */
const PLACES = ['../../../shared/logs/', '../../../../shared/logs/'].map((path) => new URL(path, import.meta.url));

/** Files of one of its folders, without the lines about their source; undefined if it does not exist. */
export function sharedLogs(folder: string): { name: string; text: string }[] | undefined {
  const place = PLACES.find((url) => existsSync(new URL(folder, url)));
  if (place === undefined) return undefined;
  return readdirSync(new URL(folder, place)).map((name) => {
    const text = readFileSync(new URL(`${folder}/${name}`, place), 'utf8');
    return { name, text: text.replace(/^# source: .*\n/, '') };
  });
}

const CASES = ['../../../shared/cases/', '../../../../shared/cases/'].map((path) => new URL(path, import.meta.url));

/** Text of a file of a public case, such as `dmesg-decode/dmesg-x.txt`; undefined if it does not exist. */
export function sharedCase(file: string): string | undefined {
  const place = CASES.find((url) => existsSync(new URL(file, url)));
  return place && readFileSync(new URL(file, place), 'utf8');
}
