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

const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
const OUT = 'dist/package';
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const node = process.env.NODE ?? process.execPath;
if (!readFileSync(node).includes(FUSE)) {
  process.stderr.write(`package: ${node} cannot carry an application (no SEA fuse).\n`);
  process.exit(1);
}

/** A module that waits at its top level cannot be CommonJS: what follows its imports becomes a function. */
const commonJsEntry = {
  name: 'commonjs-entry',
  setup({ onLoad }) {
    onLoad({ filter: /src\/cli\/(?:kdump-mem|skcheck)\.ts$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8').replace(/^#!.*\n/, '');
      const imports = [...source.matchAll(/^(?:import .*|\} from .*);$/gm)];
      const last = imports.at(-1);
      const end = last === undefined ? 0 : last.index + last[0].length;
      const body = source
        .slice(end)
        .replace(
          "createRequire(import.meta.url)('../../package.json')",
          '{ version: KDUMP_MEM_VERSION }',
        );
      return { loader: 'ts', contents: `${source.slice(0, end)}\n(async () => {${body}\n})();\n` };
    });
  },
};

mkdirSync(OUT, { recursive: true });
const asked = process.argv.slice(2);
for (const command of asked.length > 0 ? asked : ['kdump-mem', 'skcheck']) await make(command);

async function make(command) {
  const main = join(OUT, `${command}.cjs`);
  await build({
    entryPoints: [`src/cli/${command}.ts`],
    outfile: main,
    bundle: true,
    minify: true,
    keepNames: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20.19',
    legalComments: 'inline',
    define: { KDUMP_MEM_VERSION: JSON.stringify(version), 'import.meta.url': '"file:///"' },
    plugins: [commonJsEntry],
    logLevel: 'warning',
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
}
