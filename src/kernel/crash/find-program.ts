import { programPath } from '../../program-path.js';
import { KernelError } from '../error.js';

/**
 * The path of a program.
 *
 * @throws {KernelError} `crash-missing`
 */
export function findProgram(name: string): string {
  const found = programPath(name);
  if (found === undefined) throw new KernelError('crash-missing', `there is no program ${name}`);
  return found;
}
