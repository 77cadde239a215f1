// Makes dist/bin: each command as one file with all that it imports, since a cold start spends a
// millisecond on every module file that it looks for and reads, and there are a hundred. CommonJS,
// which node loads 5 ms faster than modules. Beside it lies V8's code cache; see launch.cjs.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';
import { writeNotices } from './bundle-parts/notices.mjs';
import { bundleOptions } from './bundle-parts/options.mjs';

const OUT = 'dist/bin';
const DUMP = 'fixtures/dumps/6.1.vmcore';
/** What each command is run with to fill its code cache. */
const TYPICAL = {
  'kdump-mem': existsSync(DUMP)
    ? ['skb', '--pid', '122', '--fd', '4', '--vmcore', DUMP]
    : ['--help'],
  // A look at this host that finds, and so prints, nothing.
  skcheck: ['--stale', '--quiet', '--sport', '1', '--netns', 'own', '--interval', '0'],
};

rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
// The package around it has modules.
writeFileSync(`${OUT}/package.json`, '{ "type": "commonjs" }\n');
const inputs = [];
for (const [command, args] of Object.entries(TYPICAL)) {
  const { metafile } = await build({
    ...bundleOptions(command),
    outfile: `${OUT}/${command}.bundle.js`,
    minifyWhitespace: true,
    minifySyntax: true,
    sourcemap: true,
  });
  inputs.push(...Object.keys(metafile.inputs));
  const program = `${OUT}/${command}.js`;
  copyFileSync('scripts/bundle-parts/launch.cjs', program);
  chmodSync(program, 0o755);
  // However it ends, what it ran is compiled.
  spawnSync(process.execPath, ['scripts/bundle-parts/cache-code.cjs', program, ...args], {
    stdio: 'ignore',
  });
  const cache = `${OUT}/${command}.bundle.js.cache`;
  if (!existsSync(cache)) throw new Error(`${cache} was not made`);
}
writeNotices(inputs, `${OUT}/THIRD-PARTY-NOTICES`);
