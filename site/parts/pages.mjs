// Writes the input of VitePress to site/dist: pages of docs/, pages from the commands' declarations, and in
// public/ the files that they name. Needs the built commands (npm run build).
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KINDS } from '../../dist/answers/explain/codes.js';
import { declaredCommands } from '../../scripts/man-parts/commands.mjs';
import { codesPage } from './codes-page.mjs';
import { commandPage } from './command-page.mjs';
import { linkedAnew } from './links.mjs';
import { deployPage, schemasPage } from './lists.mjs';
import { OTHER_PAGES, placeOf, withEnding } from './places.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const OUT = fileURLToPath(new URL('../dist/pages/', import.meta.url));

rmSync(OUT, { recursive: true, force: true });
const documents = [
  ...Object.keys(OTHER_PAGES).filter((path) => path.endsWith('.md')),
  ...readdirSync(join(ROOT, 'docs'), { recursive: true })
    .map((name) => `docs/${name}`)
    .filter((path) => path.endsWith('.md') && !(path in OTHER_PAGES)),
];
for (const path of documents) write(placeOf(path), linkedAnew(readFileSync(join(ROOT, path), 'utf8'), path, ROOT));

const { program, commands, skcheck } = await declaredCommands();
write('commands/kdump-mem.md', commandPage(program, 'kdump-mem'));
for (const command of commands)
  write(`commands/${command.name()}.md`, commandPage(command, `kdump-mem ${command.name()}`));
write('commands/skcheck.md', commandPage(skcheck, 'skcheck'));
write('codes.md', codesPage(KINDS));
write('schemas.md', schemasPage(join(ROOT, 'schemas')));
write('deploy.md', deployPage(join(ROOT, 'deploy')));

for (const folder of ['schemas', 'deploy'])
  for (const each of readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true }))
    if (each.isFile()) {
      const file = join(each.parentPath, each.name);
      cpSync(file, join(OUT, 'public', withEnding(file.slice(ROOT.length))));
    }
for (const each of readdirSync(join(ROOT, 'docs'), { withFileTypes: true }))
  if (each.isFile() && !each.name.endsWith('.md'))
    cpSync(join(ROOT, 'docs', each.name), join(OUT, 'public', each.name));
// The library's API, from typedoc (scripts/api-docs).
cpSync(join(ROOT, 'site/dist/api'), join(OUT, 'public/api'), { recursive: true });
process.stdout.write(`${basename(OUT)}: ${readdirSync(OUT, { recursive: true }).length} files\n`);

function write(place, markdown) {
  mkdirSync(dirname(join(OUT, place)), { recursive: true });
  writeFileSync(join(OUT, place), markdown);
}
