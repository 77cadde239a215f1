import fs from 'node:fs';
import path from 'node:path';
import { KernelError } from '../error.js';

/**
 * The path of a program, looked for as a shell does.
 *
 * @throws {KernelError} `crash-missing`
 */
export function findProgram(name: string): string {
  const candidates = name.includes('/')
    ? [path.resolve(name)]
    : (process.env.PATH ?? '').split(':').map((folder) => path.join(folder, name));
  for (const candidate of candidates) {
    try {
      fs.accessSync(candidate, fs.constants.X_OK);
      return candidate;
    } catch {}
  }
  throw new KernelError('crash-missing', `there is no program ${name}`);
}
