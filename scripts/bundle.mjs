// Makes dist/bin: a launcher for each command (src/launch), and in bundles/ one file with everything that a
// command line needs, since a cold start spends a millisecond on every module file that it resolves
// and reads, and there are a hundred. CommonJS, which node loads 5 ms faster than modules.
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';
import { entryOf, SUBCOMMANDS } from './bundle-parts/entries.mjs';
import { writeNotices } from './bundle-parts/notices.mjs';
import {
  bundleOptions,
  declarationsOnly,
  LIBRARIES_APART,
  launcherOptions,
  librariesApart,
  MAP_SCHEMA,
  mapSchemaApart,
} from './bundle-parts/options.mjs';

const OUT = 'dist/bin';
/** The launcher calls the code of a bundle as node calls a module. */
const CALLED = {
  banner: { js: '(function (exports, require, module, __filename, __dirname) {' },
  footer: { js: '})' },
};

/** Bundles that the others require. */
const REQUIRED = { banner: {}, footer: {} };

rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
// The enclosing package uses modules.
writeFileSync(`${OUT}/package.json`, '{ "type": "commonjs" }\n');
const inputs = [
  ...(await bundle('skcheck', bundleOptions(entryOf('skcheck')))),
  ...(await bundle('kdump-mem', bundleOptions(entryOf('kdump-mem'), [declarationsOnly()]))),
];
for (const name of SUBCOMMANDS) {
  const plugins = [mapSchemaApart, librariesApart(name)];
  if (name === 'mcp') plugins.push(declarationsOnly(name));
  const options = bundleOptions(entryOf('kdump-mem', [name]), plugins);
  // A script that the launcher runs can require another, and not import it.
  const supported = { 'dynamic-import': false };
  inputs.push(...(await bundle(`kdump-mem-${name}`, { ...options, supported })));
}
const mapSchema = bundleOptions({ entryPoints: ['src/extract/map/schema.ts'] });
inputs.push(...(await bundle(MAP_SCHEMA, mapSchema, REQUIRED)));
for (const library of new Set(Object.values(LIBRARIES_APART).flat())) {
  const stdin = { contents: `export * from '${library}';`, resolveDir: 'src' };
  inputs.push(...(await bundle(library, bundleOptions({ stdin }), REQUIRED)));
}
await launcher('skcheck', []);
await launcher('kdump-mem', SUBCOMMANDS);
writeNotices(inputs, `${OUT}/THIRD-PARTY-NOTICES`);

/** Returns the source files of the bundle. */
async function bundle(name, options, around = CALLED) {
  const { metafile } = await build({
    ...options,
    outfile: `${OUT}/bundles/${name}.js`,
    minifyWhitespace: true,
    minifySyntax: true,
    sourcemap: true,
    sourcesContent: false,
    ...around,
  });
  refuseOthersThanAscii(`${OUT}/bundles/${name}.js`);
  return Object.keys(metafile.inputs);
}

/**
 * The launcher reads bundles as Latin-1, in half the memory. esbuild escapes non-ASCII characters everywhere
 * except in tagged templates (String.raw), where they would be misread.
 */
function refuseOthersThanAscii(file) {
  const line = readFileSync(file, 'utf8')
    .split('\n')
    .find((text) => /[^\0-\x7f]/.test(text));
  if (line !== undefined) throw new Error(`${file} has letters that are not ASCII: ${line.slice(0, 200)}`);
}

async function launcher(command, subcommands) {
  const outfile = `${OUT}/${command}.js`;
  await build({ ...launcherOptions(command, subcommands), outfile });
  chmodSync(outfile, 0o755);
}
