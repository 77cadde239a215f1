import { existsSync, readdirSync } from 'node:fs';
import { Command, type CommandUnknownOpts } from 'commander';

const APP = new URL('../../src/app/', import.meta.url);
const fileOf = (name: string) => new URL(`${name}/command.ts`, APP);

/** kdump-mem's commands: each has a folder of src/app with a command.ts. */
export const COMMAND_NAMES = readdirSync(APP).filter((name) => existsSync(fileOf(name)));

type Registrar = (program: Command) => void;

/** The functions that register these commands. */
export async function registrars(names: readonly string[] = COMMAND_NAMES): Promise<readonly Registrar[]> {
  const modules = await Promise.all(names.map((name) => import(fileOf(name).href) as Promise<Record<string, unknown>>));
  return modules.flatMap((exported) =>
    Object.entries(exported).flatMap(([name, register]) =>
      name.startsWith('register') && typeof register === 'function' ? [register as Registrar] : [],
    ),
  );
}

/** Declarations of the commands, with their options. */
export async function commands(): Promise<readonly CommandUnknownOpts[]> {
  const program = new Command();
  for (const register of await registrars()) register(program);
  return program.commands;
}
