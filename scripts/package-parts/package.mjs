// One executable for each command, of this machine's node.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { entryOf } from '../bundle-parts/entries.mjs';
import { writeNotices } from '../bundle-parts/notices.mjs';
import { bundle, canCarry, putInto } from './executable.mjs';

const OUT = 'dist/package';
const node = process.env.NODE ?? process.execPath;
if (!canCarry(node)) {
  process.stderr.write(`package: ${node} cannot carry an application (no SEA fuse).\n`);
  process.exit(1);
}

mkdirSync(OUT, { recursive: true });
const asked = process.argv.slice(2);
const inputs = [];
for (const command of asked.length > 0 ? asked : ['kdump-mem', 'skcheck']) {
  inputs.push(...(await make(command)));
}
writeNotices(inputs, join(OUT, 'THIRD-PARTY-NOTICES'));

/** Returns the source files that went into it. */
async function make(command) {
  const main = join(OUT, `${command}.cjs`);
  const sources = await bundle(entryOf(command), main);
  const program = join(OUT, command);
  // Putting the blob into node takes most of the time: not again for the same bundle and node.
  const made = join(OUT, `.${command}.made`);
  const recipe = createHash('sha256').update(readFileSync(main)).update(readFileSync(node)).digest('hex');
  if (!existsSync(program) || !existsSync(made) || readFileSync(made, 'utf8') !== recipe) {
    rmSync(made, { force: true });
    await putInto({ main, node, program });
    writeFileSync(made, recipe);
  }
  rmSync(main);
  process.stdout.write(`${program}: ${(statSync(program).size / 1024 ** 2).toFixed(1)} MiB\n`);
  return sources;
}
