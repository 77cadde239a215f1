import { existsSync, readdirSync } from 'node:fs';
import { Command } from 'commander';

const APP = new URL('../../src/app/', import.meta.url);
const fileOf = (name: string) => new URL(`${name}/command.ts`, APP);

/** kdump-mem's commands: each has a folder of src/app with a command.ts. */
export const COMMAND_NAMES = readdirSync(APP).filter((name) => existsSync(fileOf(name)));

/** Declarations of the commands, with their options. */
export async function commands(): Promise<readonly Command[]> {
  const program = new Command();
  for (const name of COMMAND_NAMES) {
    const exported: Record<string, unknown> = await import(fileOf(name).href);
    for (const [exportedName, register] of Object.entries(exported))
      if (exportedName.startsWith('register') && typeof register === 'function') register(program);
  }
  return program.commands;
}
