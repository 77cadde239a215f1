// Programs of the lab's own for guests of this machine's architecture, beside the scenario.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { LAB, PARTS } from './paths.mjs';

/**
 * A program of guest-programs/NAME.c as /bin/NAME, compiled once for each state of its source.
 *
 * @param {string} name
 * @returns {import('./initramfs.mjs').GuestFile}
 */
export function guestTool(name) {
  const source = join(PARTS, 'guest-programs', `${name}.c`);
  const program = join(LAB, 'guest', `${name}-${sourceHash(source)}`);
  if (!existsSync(program)) {
    mkdirSync(join(LAB, 'guest'), { recursive: true });
    const partial = `${program}.${process.pid}`;
    const flags = ['-O1', '-Wall', '-Wextra', '-static', '-pthread'];
    execFileSync('gcc', [...flags, '-o', partial, source], { stdio: ['ignore', 2, 2] });
    renameSync(partial, program);
  }
  return { path: `bin/${name}`, from: program };
}

/** @param {string[]} files @returns {string} tells them from older and newer ones */
export function sourceHash(...files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 16);
}
