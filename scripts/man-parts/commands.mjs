import { SUBCOMMANDS } from '../bundle-parts/entries.mjs';

const CLI = new URL('../../dist/cli/', import.meta.url);

/** The built commands' own declarations: kdump-mem, each of its commands, and skcheck. */
export async function declaredCommands() {
  const { kdumpMemCommand } = await import(new URL('kdump-mem.js', CLI).href);
  const { skcheckCommand } = await import(new URL('skcheck-options.js', CLI).href);
  const registrars = await Promise.all(
    SUBCOMMANDS.map(async (name) => {
      const exported = await import(new URL(`commands/${name}.js`, CLI).href);
      return Object.values(exported).find((value) => /^register/.test(value.name));
    }),
  );
  const program = kdumpMemCommand(...registrars);
  const commands = program.commands.filter((command) => command.name() !== 'help');
  return { program, commands, skcheck: skcheckCommand() };
}
