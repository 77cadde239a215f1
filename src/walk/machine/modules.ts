import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { listNodes } from '../list.js';
import { StructReader } from '../struct-reader.js';
import { needSymbol } from './cpus.js';

const MOST_MODULES = 4096;

/**
 * Names of the loaded modules, the last loaded first; hostile.
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`; {@link TornList}; {@link ReadError}
 */
export function moduleNames(kernel: Kernel): string[] {
  const reader = new StructReader(kernel, 'module', ['list', 'name']);
  const offset = BigInt(reader.offset('list'));
  const names: string[] = [];
  for (const node of listNodes(kernel, needSymbol(kernel, 'modules'))) {
    names.push(reader.read(node - offset).text('name'));
    if (names.length >= MOST_MODULES) break;
  }
  return names;
}

/**
 * Whether a module is loaded; undefined where that is not known, since the kernel names no list.
 *
 * @throws {TornList}; {@link ReadError}
 */
export function isLoaded(kernel: Kernel, module: string): boolean | undefined {
  try {
    return moduleNames(kernel).includes(module);
  } catch (error) {
    if (error instanceof KernelError && error.code !== 'damaged') return undefined;
    throw error;
  }
}
