import { readdirSync } from 'node:fs';
import { Command } from 'commander';

const FOLDER = new URL('../../src/cli/commands/', import.meta.url);

/** kdump-mem's commands as they are declared, with their options. */
export async function commands(): Promise<readonly Command[]> {
  const program = new Command();
  for (const file of readdirSync(FOLDER)) {
    const exported: Record<string, unknown> = await import(new URL(file, FOLDER).href);
    for (const register of Object.values(exported))
      if (typeof register === 'function') register(program);
  }
  return program.commands;
}
