import { join } from 'node:path';

/** The command's name, and its subcommands with bundles of their own; inserted by the bundler. */
declare const KDUMP_MEM_COMMAND: string;
declare const KDUMP_MEM_SUBCOMMANDS: readonly string[];

/** A code file, and whether most of its runs do more than print help. */
export interface Bundle {
  readonly filename: string;
  readonly acts: boolean;
}

/**
 * Returns the bundle for a command line: that of its subcommand, so that other code is not loaded; else
 * the command's own, which contains the help of all.
 *
 * @param folder contains the command's launcher
 */
export function chooseBundle(folder: string, args: readonly string[]): Bundle {
  const first = args.find((argument) => argument !== '--');
  const own = first !== undefined && KDUMP_MEM_SUBCOMMANDS.includes(first);
  const name = own ? `${KDUMP_MEM_COMMAND}-${first}` : KDUMP_MEM_COMMAND;
  return {
    filename: join(folder, 'bundles', `${name}.js`),
    acts: own || KDUMP_MEM_SUBCOMMANDS.length === 0,
  };
}
