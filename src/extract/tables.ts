import type { NativeKernel } from '../kernel/native/kernel.js';

/** Symbols of which every so manieth is looked up: an order of names has 3 bytes for each. */
const STEP = 600;

/**
 * Reads all of the tables by which a kernel explains itself: its symbols, by address and by name, its
 * types and its modules' types. What is not there is not needed either: it fails in the same way.
 */
export function readTables(kernel: NativeKernel): void {
  const { symbolTable, typesAt } = kernel;
  if (symbolTable !== undefined) {
    const names: string[] = [];
    for (const { name } of symbolTable.all()) names.push(name);
    names.sort();
    // A search ends where the name is in the order of names: these leave no page of it out.
    for (let at = 0; at < names.length; at += STEP) symbolTable.find(names[at]!);
    symbolTable.find(names[names.length - 1] ?? '');
    symbolTable.before((1n << 64n) - 1n);
  }
  if (typesAt !== undefined) {
    kernel.read(typesAt.address, typesAt.length);
    kernel.moduleTypes;
  }
}
