// Makes dist/library: the library as one CommonJS file, with a module that passes its exports on, so that
// who imports and who requires it have the same classes; and its types, once for each.
//
//   node scripts/library.mjs          as it is packed: types are one file too
//   node scripts/library.mjs --quick  for a clone: types are those that tsc left beside
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';
import { writeNotices } from './bundle-parts/notices.mjs';
import { bundleOptions } from './bundle-parts/options.mjs';

const OUT = 'dist/library';
const ENTRY = 'src/library/index.ts';
const { engines } = JSON.parse(readFileSync('package.json', 'utf8'));

// What tsc leaves there is not packed: package.json names what is.
mkdirSync(OUT, { recursive: true });
const { metafile } = await build({
  ...bundleOptions({ entryPoints: [ENTRY] }),
  outfile: `${OUT}/index.cjs`,
  // A Node that is too old lacks what reads a dump, and the dump would be blamed.
  banner: { js: needsNode(engines.node.replace('>=', '')) },
  // Its types are part of ours.
  external: ['zod'],
});
writeFileSync(`${OUT}/index.mjs`, "export * from './index.cjs';\n");
if (process.argv.includes('--quick')) {
  for (const types of ['index.d.mts', 'index.d.cts']) writeFileSync(`${OUT}/${types}`, "export * from './index.js';\n");
} else {
  // Whoever compiles against them has the project's own check behind them.
  const types = ['--no-check', '--no-banner', '--project', 'tsconfig.build.json', '-o'];
  execFileSync('node_modules/.bin/dts-bundle-generator', [...types, `${OUT}/index.d.cts`, ENTRY], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  copyFileSync(`${OUT}/index.d.cts`, `${OUT}/index.d.mts`);
  writeNotices(Object.keys(metafile.inputs), `${OUT}/THIRD-PARTY-NOTICES`);
}

/** Code that throws where node is older: the first that runs. */
function needsNode(oldest) {
  const [major, minor] = oldest.split('.').map(Number);
  return `{
  const { node } = globalThis.process.versions;
  const [major, minor] = node.split('.').map(Number);
  if (major < ${major} || (major === ${major} && minor < ${minor}))
    throw new Error(\`kdump-mem: this is Node \${node}, and Node ${oldest} or newer is needed\`);
}`;
}
