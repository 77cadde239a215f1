// Makes an executable of node and a program: esbuild bundles that into one CommonJS file (the only form
// that Node 20's SEA runs), node prepares the blob, postject puts it into a copy of node.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';
import { inject } from 'postject';
import { bundleOptions } from '../bundle-parts/options.mjs';

const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** Whether a node can carry an application. */
export function canCarry(node) {
  return readFileSync(node).includes(FUSE);
}

/** Bundles a program (bundle-parts/entries.mjs) into a file. Returns the sources that went into it. */
export async function bundle(entry, file) {
  const options = { ...bundleOptions(entry), outfile: file, minify: true, keepNames: true };
  const { metafile } = await build(options);
  return Object.keys(metafile.inputs);
}

/**
 * Puts a bundle into a copy of node.
 *
 * @param {{ main: string, node: string, program: string, preparedBy?: string }} order preparedBy: a node of the
 * same version that runs here, where `node` is of another architecture
 */
export async function putInto({ main, node, program, preparedBy = node }) {
  const [config, blob] = [`${program}.json`, `${program}.blob`];
  const sea = { main, output: blob, disableExperimentalSEAWarning: true, useCodeCache: false };
  writeFileSync(config, JSON.stringify(sea));
  execFileSync(preparedBy, ['--experimental-sea-config', config], { stdio: ['ignore', 'ignore', 'inherit'] });
  rmSync(program, { force: true });
  copyFileSync(node, program);
  chmodSync(program, 0o755);
  await inject(program, 'NODE_SEA_BLOB', readFileSync(blob), { sentinelFuse: FUSE });
  for (const file of [config, blob]) rmSync(file);
}
