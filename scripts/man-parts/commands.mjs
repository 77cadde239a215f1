import { SUBCOMMANDS } from '../bundle-parts/entries.mjs';

const APP = new URL('../../dist/app/', import.meta.url);

/** The built commands' own declarations: kdump-mem, each of its commands, and skcheck. */
export async function declaredCommands() {
  const { kdumpMemCommand } = await import(new URL('kdump-mem.js', APP).href);
  const { skcheckCommand } = await import(new URL('skcheck/options.js', APP).href);
  const registrars = await Promise.all(
    SUBCOMMANDS.map(async (name) => {
      const exported = await import(new URL(`${name}/command.js`, APP).href);
      return Object.values(exported).find((value) => /^register/.test(value.name));
    }),
  );
  const program = kdumpMemCommand(...registrars);
  const commands = program.commands.filter((command) => command.name() !== 'help');
  return { program, commands, skcheck: skcheckCommand() };
}
