import { existsSync } from 'node:fs';
import { shellPath } from '../../../shell-word.js';

/** How what is packed is unpacked: what the file ends in, and the command that makes `to` of `from`. */
export interface Unpacking {
  readonly suffix: string;
  /** Both are quoted for a shell. */
  command(from: string, to: string): string;
}

/** A program that unpacks its stdin, whatever the file is called, and leaves the file as it is. */
export function unpacker(program: string, suffix: string): Unpacking {
  return { suffix, command: (from, to) => `${program} -dc < ${from} > ${to}` };
}

/** The command that unpacks a file, to be printed: what it makes is not there yet. */
export function unpackCommand(file: string, { suffix, command }: Unpacking): string {
  const bare = file.toLowerCase().endsWith(suffix) ? file.slice(0, -suffix.length) : '';
  const first = bare === '' || bare.endsWith('/') ? `${file}.unpacked` : bare;
  let to = first;
  for (let more = 1; existsSync(to) && more < MOST_TRIED; more++)
    to = `${file}.unpacked${more === 1 ? '' : more}`;
  return command(shellPath(file), shellPath(to));
}

const MOST_TRIED = 100;

export const TAR: Unpacking = {
  suffix: '.tar',
  command: (from, to) => `mkdir ${to} && tar -C ${to} -xf - < ${from}`,
};
export const ZIP: Unpacking = { suffix: '.zip', command: (from, to) => `unzip -d ${to} ${from}` };
export const SEVEN_ZIP: Unpacking = {
  suffix: '.7z',
  command: (from, to) => `7z x -o${to} -- ${from}`,
};
