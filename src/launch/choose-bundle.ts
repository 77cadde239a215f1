import { join } from 'node:path';

/** The command's name, and which of its subcommands have a bundle of their own; put in by the bundler. */
declare const KDUMP_MEM_COMMAND: string;
declare const KDUMP_MEM_SUBCOMMANDS: readonly string[];

/** A file of code, and whether its users mostly want something else of it than help. */
export interface Bundle {
  readonly filename: string;
  readonly acts: boolean;
}

/**
 * The bundle that answers a command line: that of the subcommand it begins with, so that none waits
 * for the code of all others; else the command's own, which has the help of all.
 *
 * @param folder that the command's launcher is in
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
