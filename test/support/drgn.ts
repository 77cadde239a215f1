import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { STEP_MS } from '../../scripts/lab-parts/limits.mjs';
import { type GuestKernel, labKernel, labTool } from './lab.js';

const LAB_PARTS = fileURLToPath(new URL('../../scripts/lab-parts', import.meta.url));

/**
 * The JSON output of a script that drgn runs on a dump with the kernel's debug information;
 * $LAB_PARTS is the folder with the lab's modules.
 */
export function drgnJson<T>(core: string, kernel: GuestKernel, script: URL, ...args: readonly string[]): T {
  const { vmlinux } = labKernel(kernel);
  const printed = execFileSync(labTool('drgn'), ['-q', '-c', core, '-s', vmlinux, fileURLToPath(script), ...args], {
    maxBuffer: 1 << 28,
    timeout: STEP_MS,
    env: { ...process.env, LAB_PARTS, PYTHONDONTWRITEBYTECODE: '1' },
  });
  return JSON.parse(printed.toString()) as T;
}
