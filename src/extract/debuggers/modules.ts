import type { NativeKernel } from '../../kernel/native/parts.js';
import { listNodes } from '../../walk/list.js';
import { StructReader } from '../../walk/struct-reader.js';
import { attempt } from '../questions.js';
import { present } from './present.js';

/** Modules that can be loaded at once, by any measure. */
const MOST_MODULES = 4096;
/** Exported symbols of a module that are kept at most. */
const MOST_EXPORTS = 65_536;

/** The loaded modules: their names and places, and which symbols they export. */
export function readModules(kernel: NativeKernel): void {
  const head = kernel.symbol('modules');
  const symbol = kernel.struct('kernel_symbol')?.size ?? 0;
  if (head === undefined) return;
  const module = new StructReader(kernel, 'module', ['list']);
  const exports = present(kernel, 'module', ['syms', 'num_syms', 'gpl_syms', 'num_gpl_syms']);
  let modules = 0;
  for (const node of listNodes(kernel, head)) {
    if (++modules > MOST_MODULES) return;
    const address = node - BigInt(module.offset('list'));
    attempt(() => {
      kernel.read(address, module.size);
      const view = exports.read(address);
      for (const kind of ['', 'gpl_']) {
        if (exports.members[`${kind}syms`] === undefined) continue;
        const count = Math.min(view.number(`num_${kind}syms`), MOST_EXPORTS);
        const table = view.pointer(`${kind}syms`);
        if (count > 0) attempt(() => kernel.read(table, count * symbol));
      }
    });
  }
}
