// Makes dist/man: a page for each command, generated from the declarations of the commands.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { declaredCommands } from './man-parts/commands.mjs';
import { manualPage } from './man-parts/page.mjs';

const OUT = 'dist/man';

const { program, commands, skcheck } = await declaredCommands();

rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
const names = commands.map((command) => `kdump-mem-${command.name()}`);
write('kdump-mem', manualPage(program, { name: 'kdump-mem', also: [...names, 'skcheck'] }));
for (const command of commands) {
  const name = `kdump-mem-${command.name()}`;
  write(name, manualPage(command, { name, also: ['kdump-mem', 'skcheck'] }));
}
write('skcheck', manualPage(skcheck, { name: 'skcheck', also: ['kdump-mem', 'ss'] }));
process.stdout.write(`${OUT}: ${readdirSync(OUT).length} manual pages\n`);

function write(name, text) {
  writeFileSync(`${OUT}/${name}.1`, text);
}
