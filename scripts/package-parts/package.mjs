// Makes executables of node and a command: esbuild bundles it into one CommonJS file (the only form
// that Node 20's SEA runs), node prepares the blob, postject puts it into a copy of node.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { inject } from 'postject';
import { writeNotices } from '../bundle-parts/notices.mjs';
import { bundleOptions } from '../bundle-parts/options.mjs';

const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
const OUT = 'dist/package';
const node = process.env.NODE ?? process.execPath;
if (!readFileSync(node).includes(FUSE)) {
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
    ...bundleOptions(command),
    outfile: main,
    minify: true,
    keepNames: true,
  });
  const config = join(OUT, `${command}.json`);
  const blob = join(OUT, `${command}.blob`);
  const program = join(OUT, command);
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
  rmSync(program, { force: true });
  copyFileSync(node, program);
  chmodSync(program, 0o755);
  await inject(program, 'NODE_SEA_BLOB', readFileSync(blob), { sentinelFuse: FUSE });
  for (const file of [main, config, blob]) rmSync(file);
  const mib = (statSync(program).size / 1024 ** 2).toFixed(1);
  process.stdout.write(`${program}: ${mib} MiB\n`);
  return Object.keys(metafile.inputs);
}
