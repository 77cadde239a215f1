// The scenario's program for guests of another architecture than this machine's.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { isArm64, machineOf } from './machines.mjs';
import { LAB, PARTS } from './paths.mjs';
import { scenarioRecipe } from './scenario.mjs';

/**
 * What takes the place of {@link import('./scenario.mjs').scenarioProgram} in a guest; nothing for
 * one of this machine's architecture.
 *
 * @param {string} kernel a kernel of the lab
 * @returns {import('./initramfs.mjs').GuestFile[]}
 */
export function guestProgram(kernel) {
  if (!isArm64(kernel)) return [];
  const program = join(LAB, 'guest', `scenario-arm64-${scenarioRecipe()}`);
  if (!existsSync(program)) {
    mkdirSync(join(LAB, 'guest'), { recursive: true });
    const partial = `${program}.${process.pid}`;
    const sources = readdirSync(join(PARTS, 'guest'))
      .filter((name) => name.endsWith('.c'))
      .map((name) => join(PARTS, 'guest', name));
    const flags = ['-O1', '-Wall', '-Wextra', '-static', '-pthread'];
    execFileSync(machineOf(kernel).compiler, [...flags, '-o', partial, ...sources], {
      stdio: ['ignore', 2, 2],
    });
    renameSync(partial, program);
  }
  return [{ path: 'bin/scenario', from: program }];
}
