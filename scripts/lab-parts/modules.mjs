// Kernel modules for the guest, in the order in which insmod wants them.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** @typedef {{ name: string, data: Buffer }} Module */

/**
 * The modules called `names` and all that they need, each after what it needs. A name that the
 * kernel has built in, or lacks, is passed over.
 *
 * @param {string} folder a kernel's modules folder
 * @param {string[]} names
 * @returns {Module[]}
 */
export function modulesInOrder(folder, names) {
  const files = moduleFiles(folder);
  /** @type {Map<string, Module>} */
  const taken = new Map();
  /** @param {string} name */
  const take = (name) => {
    const file = files.get(name);
    if (file === undefined || taken.has(name)) return;
    const data = readModule(file);
    for (const needed of dependencies(data)) take(needed);
    taken.set(name, { name, data });
  };
  for (const name of names) take(canonical(name));
  return [...taken.values()];
}

/** @param {string} name the kernel takes - and _ for the same */
function canonical(name) {
  return name.replaceAll('-', '_');
}

/** @param {string} folder @returns {Map<string, string>} module name → path */
function moduleFiles(folder) {
  const files = new Map();
  for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const found = /([^/]+)\.ko(\.xz|\.zst|\.gz)?$/.exec(entry);
    if (found?.[1] !== undefined) files.set(canonical(found[1]), join(folder, entry));
  }
  return files;
}

/** @param {string} file */
function readModule(file) {
  const tool = { '.xz': 'xz', '.zst': 'zstd', '.gz': 'gzip' }[/\.(xz|zst|gz)$/.exec(file)?.[0] ?? ''];
  if (tool === undefined) return readFileSync(file);
  return execFileSync(tool, ['-dc', file], { maxBuffer: 64 << 20 });
}

/**
 * `depends=a,b` in the .modinfo section: strings that end in NUL.
 *
 * @param {Buffer} data
 */
function dependencies(data) {
  const at = data.indexOf('\0depends=');
  if (at < 0) return [];
  const list = data.toString('latin1', at + 9, data.indexOf(0, at + 9));
  return list
    .split(',')
    .filter((name) => name !== '')
    .map(canonical);
}
