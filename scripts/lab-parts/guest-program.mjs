// Programs of C that run in guests: for the guest's architecture, linked statically, since a guest has no
// libraries, and compiled once for each state of their sources.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { machineOf } from './machines.mjs';
import { LAB, PARTS } from './paths.mjs';

const FLAGS = ['-O1', '-Wall', '-Wextra', '-static', '-pthread'];

/**
 * A program as /bin/NAME of a guest.
 *
 * @param {string} name
 * @param {string[]} sources files of C, and headers
 * @param {string} kernel of the guest: a kernel of the lab
 * @returns {import('./initramfs.mjs').GuestFile}
 */
export function guestProgram(name, sources, kernel) {
  const { compiler } = machineOf(kernel);
  const program = join(LAB, 'guest', `${name}-${compiler}-${sourceHash(...sources)}`);
  if (!existsSync(program)) {
    mkdirSync(join(LAB, 'guest'), { recursive: true });
    const partial = `${program}.${process.pid}`;
    const inputs = sources.filter((source) => source.endsWith('.c'));
    execFileSync(compiler, [...FLAGS, '-o', partial, ...inputs], { stdio: ['ignore', 2, 2] });
    renameSync(partial, program);
  }
  return { path: `bin/${name}`, from: program };
}

/**
 * The program of guest-programs/NAME.c.
 *
 * @param {string} name
 * @param {string} kernel of the guest: a kernel of the lab
 */
export function guestTool(name, kernel) {
  return guestProgram(name, [join(PARTS, 'guest-programs', `${name}.c`)], kernel);
}

/** @param {string} folder of the lab's own @returns {string[]} the files in it */
export function sourcesIn(folder) {
  return readdirSync(join(PARTS, folder))
    .sort()
    .map((file) => join(PARTS, folder, file));
}

/** @param {string[]} files @returns {string} tells them from older and newer ones */
export function sourceHash(...files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 16);
}
