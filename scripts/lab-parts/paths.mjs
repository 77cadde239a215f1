// Where the lab keeps its things.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isArm64 } from './machines.mjs';

export const PARTS = dirname(fileURLToPath(import.meta.url));
export const LAB = process.env.KDUMP_MEM_LAB ?? join(dirname(dirname(PARTS)), '.lab');

/**
 * @param {string} version a kernel of the lab: 5.10, 6.1, 6.12, newest, 6.12-arm64, …
 * @returns {{ vmlinuz: string, vmlinux: string, systemMap: string, modules: string, release: string, busybox?: string }}
 *   busybox: of a guest that isn't of this machine's architecture
 */
export function kernelFiles(version) {
  const home = join(LAB, 'kernels', version);
  const release = need(join(home, 'release'), `scripts/lab kernel ${version}`);
  return {
    vmlinuz: join(home, 'vmlinuz'),
    vmlinux: join(home, 'vmlinux'),
    systemMap: join(home, 'System.map'),
    modules: join(home, 'modules'),
    release: readFileSync(release, 'utf8').trim(),
    ...(isArm64(version) ? { busybox: join(home, 'busybox') } : {}),
  };
}

/**
 * @param {string} path
 * @param {string} step what makes it
 */
export function need(path, step) {
  if (!existsSync(path)) throw new Error(`${path} is missing: run ${step}`);
  return path;
}
