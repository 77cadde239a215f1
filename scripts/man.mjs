// Makes dist/man: a page for each command, of what the commands themselves declare.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { SUBCOMMANDS } from './bundle-parts/entries.mjs';
import { manualPage } from './man-parts/page.mjs';

const CLI = new URL('../dist/cli/', import.meta.url);
const OUT = 'dist/man';

const { kdumpMemCommand } = await import(new URL('kdump-mem.js', CLI).href);
const { skcheckCommand } = await import(new URL('skcheck-options.js', CLI).href);
const registrars = await Promise.all(
  SUBCOMMANDS.map(async (name) => {
    const exported = await import(new URL(`commands/${name}.js`, CLI).href);
    return Object.values(exported).find((value) => /^register/.test(value.name));
  }),
);
const program = kdumpMemCommand(...registrars);
const pages = program.commands.filter((command) => command.name() !== 'help');

rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
const names = pages.map((command) => `kdump-mem-${command.name()}`);
write('kdump-mem', manualPage(program, { name: 'kdump-mem', also: [...names, 'skcheck'] }));
for (const command of pages) {
  const name = `kdump-mem-${command.name()}`;
  write(name, manualPage(command, { name, also: ['kdump-mem', 'skcheck'] }));
}
write('skcheck', manualPage(skcheckCommand(), { name: 'skcheck', also: ['kdump-mem', 'ss'] }));
process.stdout.write(`${OUT}: ${readdirSync(OUT).length} manual pages\n`);

function write(name, text) {
  writeFileSync(`${OUT}/${name}.1`, text);
}
