import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { drgnJson } from '../../support/drgn.js';
import { KERNELS, LAB, type LabKernel, LabMissing, ofRun } from '../../support/lab.js';

/** Dumps that prove symbols and types of one kernel each; `-la57` has five-level page tables. */
export const REAL_DUMPS: readonly { readonly name: string; readonly kernel: LabKernel }[] = [
  ...KERNELS.map((kernel) => ({ name: kernel, kernel })),
  ...ofRun(['6.1-la57']).map((name) => ({ name, kernel: '6.1' as const })),
];

/** @throws {LabMissing} */
export function dumpFile(name: string, format: 'elf' | 'kdump-zlib'): string {
  const path = join(LAB, 'dumps', name, `${format}.vmcore`);
  if (!existsSync(path)) throw new LabMissing(path, `dump ${name}`);
  return path;
}

/** Output of a script beside this file, run by drgn on a dump with debug information. */
export function askDrgn<T>(
  { name, kernel }: { readonly name: string; readonly kernel: LabKernel },
  script: string,
  ...args: string[]
): T {
  return drgnJson<T>(dumpFile(name, 'elf'), kernel, new URL(script, import.meta.url), ...args);
}
