// Makes executables of node and a command: esbuild bundles it into one CommonJS file (the only form
// that Node 20's SEA runs), node prepares the blob, postject puts it into a copy of node.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { inject } from 'postject';
import { entryOf } from '../bundle-parts/entries.mjs';
import { writeNotices } from '../bundle-parts/notices.mjs';
import { bundleOptions } from '../bundle-parts/options.mjs';

const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
const OUT = 'dist/package';
const node = process.env.NODE ?? process.execPath;
const nodeBytes = readFileSync(node);
if (!nodeBytes.includes(FUSE)) {
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
  const { metafile } = await build({
    ...bundleOptions(entryOf(command)),
    outfile: main,
    minify: true,
    keepNames: true,
  });
  const config = join(OUT, `${command}.json`);
  const blob = join(OUT, `${command}.blob`);
  const program = join(OUT, command);
  // Putting the blob into node takes most of the time: not again for the same bundle and node.
  const made = join(OUT, `.${command}.made`);
  const recipe = createHash('sha256').update(readFileSync(main)).update(nodeBytes).digest('hex');
  if (existsSync(program) && existsSync(made) && readFileSync(made, 'utf8') === recipe) {
    rmSync(main);
    process.stdout.write(sizeOf(program));
    return Object.keys(metafile.inputs);
  }
  writeFileSync(
    config,
    JSON.stringify({
      main,
      output: blob,
      disableExperimentalSEAWarning: true,
      useCodeCache: false,
    }),
  );
  execFileSync(node, ['--experimental-sea-config', config], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  for (const old of [program, made]) rmSync(old, { force: true });
  copyFileSync(node, program);
  chmodSync(program, 0o755);
  await inject(program, 'NODE_SEA_BLOB', readFileSync(blob), { sentinelFuse: FUSE });
  for (const file of [main, config, blob]) rmSync(file);
  writeFileSync(made, recipe);
  process.stdout.write(sizeOf(program));
  return Object.keys(metafile.inputs);
}

/** @param {string} program */
function sizeOf(program) {
  return `${program}: ${(statSync(program).size / 1024 ** 2).toFixed(1)} MiB\n`;
}
