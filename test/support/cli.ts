import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { STEP_MS } from '../../scripts/lab-parts/limits.mjs';

const DIST = fileURLToPath(new URL('../../dist/bin/', import.meta.url));

/** Output of a command, and its exit status. */
export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number | undefined;
}

/** Path of a built command. */
export function commandPath(name: 'kdump-mem' | 'skcheck'): string {
  const path = `${DIST}${name}.js`;
  if (!existsSync(path)) throw new Error(`${path} is missing: run npm run build`);
  return path;
}

/** Runs the built `kdump-mem` as a user would, without a terminal. */
export function kdumpMem(...args: readonly string[]): Promise<Ran> {
  return kdumpMemIn(process.cwd(), ...args);
}

/** Runs it in another, writable folder. */
export async function kdumpMemIn(folder: string, ...args: readonly string[]): Promise<Ran> {
  const { stdout, stderr, exitCode } = await execa(process.execPath, [commandPath('kdump-mem'), ...args], {
    cwd: folder,
    reject: false,
    stdin: 'ignore',
    timeout: STEP_MS,
    stripFinalNewline: false,
  });
  return { stdout, stderr, status: exitCode };
}

/** The answer of `kdump-mem … --json`, by its schema. */
export async function kdumpMemJson<T>(schema: { parse(json: unknown): T }, ...args: readonly string[]): Promise<T> {
  const { stdout } = await kdumpMem(...args, '--json');
  return schema.parse(JSON.parse(stdout));
}
