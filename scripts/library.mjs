// Makes dist/library: the library as one CommonJS file, with a module that passes its exports on, so that
// who imports and who requires it have the same classes; and its types, once for each.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';
import { writeNotices } from './bundle-parts/notices.mjs';
import { bundleOptions } from './bundle-parts/options.mjs';

const OUT = 'dist/library';
const ENTRY = 'src/library/index.ts';

rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
const { metafile } = await build({
  ...bundleOptions({ entryPoints: [ENTRY] }),
  outfile: `${OUT}/index.cjs`,
  // Its types are part of ours.
  external: ['zod'],
});
writeFileSync(`${OUT}/index.mjs`, "export * from './index.cjs';\n");
// Whoever compiles against them has the project's own check behind them.
const types = ['--no-check', '--no-banner', '--project', 'tsconfig.build.json', '-o'];
execFileSync('node_modules/.bin/dts-bundle-generator', [...types, `${OUT}/index.d.cts`, ENTRY], {
  stdio: ['ignore', 'ignore', 'inherit'],
});
copyFileSync(`${OUT}/index.d.cts`, `${OUT}/index.d.mts`);
writeNotices(Object.keys(metafile.inputs), `${OUT}/THIRD-PARTY-NOTICES`);
